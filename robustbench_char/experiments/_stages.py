"""What each kind of job does: one function per stage, from the results that it needs to its own result.

Each writes the new folder `output`, which the store then moves to its place. Libraries are imported when a stage runs.
To add a kind of job, write its function and register it below; `expand` says when there is one.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustbench_char.common import InputError, Registry
from robustbench_char.common.files import sha256_bytes, sha256_file
from robustbench_char.experiments._callbacks import callbacks_of
from robustbench_char.experiments._jobs import MINI, Call, Source, text_path

if TYPE_CHECKING:
    from robustbench_char.attacks.suites import Suite
    from robustbench_char.inference.evaluate import PredictionSource
    from robustbench_char.inference.worst_case import Request
    from robustbench_char.tasks.base import NativeFile, Task


@dataclass(frozen=True)
class Stage:
    """A kind of job: its function, and whether it computes with torch.

    `version` is raised by hand whenever the stage's result changes for equal input: its earlier results, and those of
    the stages that need them, are then made again. Moving, renaming and rewording code leave it as it is.
    """

    run: Callable[[Call, Path], None]
    version: int = 1
    heavy: bool = True


_HOME = Path(__file__).resolve().parents[1]
STAGES: Registry[Stage] = Registry("stage")


def _attack(call: Call, output: Path) -> None:
    from robustbench_char.attack_sets.attack import attack_file
    from robustbench_char.attack_sets.verify import verify

    task, source, operations = _task(call), _source(call, "test"), call.job.paths.get("operations")
    suite = call.job.paths["suite"] if operations else _suite(call)
    seed, fields = call.job.params["seed"], call.job.params.get("fields")
    attack_file(task, source, suite=suite, seed=seed, fields=fields, operations=operations, output=output)
    verify(output, source)


def _pretrain(call: Call, output: Path) -> None:
    from robustbench_char.training.pretraining.run import pretrain

    texts, heldout = ([text_path(path) for path in call.job.paths[which]] for which in ("text", "heldout"))
    base = str(call.inputs.get("base", call.job.paths["base"]))
    options = dict(call.job.params["options"])
    processes = options.pop("processes", 1)
    if processes > 1:
        _pretrain_together(call, output, processes, texts, heldout, base, options)
        return
    pretrain(
        call.job.params["system"],
        text=texts,
        heldout=heldout or None,
        output=output,
        base=base,
        store=call.unfinished,
        save_seconds=call.save_seconds,
        callbacks=callbacks_of(call),
        **options,
    )


def _pretrain_together(
    call: Call, output: Path, processes: int, texts: list[Path], heldout: list[Path], base: str, options: dict[str, Any]
) -> None:
    """Train in several processes together, which the Trainer joins through Accelerate."""
    import torch

    from robustbench_char.common.options import flags
    from robustbench_char.training.pretraining.options import PretrainOptions

    line = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    line += ["-m", "robustbench_char.cli.main", "pretrain", call.job.params["system"], f"--base={base}"]
    line += [f"--text={path}" for path in texts] + [f"--heldout={path}" for path in heldout]
    line += [*flags(PretrainOptions, options), f"--seed={options['seed']}"]
    line += [f"--output={output}", f"--store={call.unfinished}"]
    ended = subprocess.run(
        line,
        stdout=sys.stdout.fileno(),
        stderr=sys.stderr.fileno(),
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        check=False,
    )
    if ended.returncode != 0:
        raise InputError("pretrain.processes", found=f"training that ended with code {ended.returncode}",
                         expected="0", fix="See the log of this job.")  # fmt: skip


def _end_with_parent() -> None:
    """Have the kernel end this process, and so those that it started, when its parent dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


_PR_SET_PDEATHSIG = 1


def _recogniser(call: Call, output: Path) -> None:
    from robustbench_char.defences.wordrec import train_recogniser

    on_text = "text" in call.job.paths
    train_recogniser(
        output=output,
        text=[text_path(path) for path in call.job.paths.get("text", ())],
        task=None if on_text else _task(call),
        input=None if on_text else _source(call, "train"),
        examples=call.job.params.get("examples"),
        **call.job.params["options"],
    )


def _defence(call: Call, output: Path) -> None:
    from robustbench_char.defences.channel import train_channel

    params, paths = call.job.params, call.job.paths
    train_channel(
        output=output,
        text=[text_path(path) for path in paths.get("text", ())],
        task=_task(call) if "task" in params else None,
        input=_source(call, "train") if "task" in params else None,
        examples=params.get("examples"),
        misspellings=paths["misspellings"],
        **params["options"],
    )


def _finetune(call: Call, output: Path) -> None:
    from robustbench_char.common.options import keywords_of
    from robustbench_char.training.finetune import finetune
    from robustbench_char.training.options import AugmentOptions

    params = call.job.params
    finetune(
        _task(call),
        train=_source(call, "train"),
        output=output,
        system=params["system"],
        base=call.inputs.get("base", call.job.paths["base"]),
        label=params["label"],
        defence=_front(call),
        weights=call.inputs.get("weights"),
        store=call.unfinished,
        save_seconds=call.save_seconds,
        callbacks=callbacks_of(call),
        seed=params["seed"],
        **params["options"],
        **keywords_of(AugmentOptions.model_validate(params["augment"] or {}, strict=False)),
    )


def _predict(call: Call, output: Path) -> None:
    from robustbench_char.inference.systems import predict_file

    predict_file(_system(call), _evaluated(call), output, limit=call.job.params["limit"])


def _score(call: Call, output: Path) -> None:
    from robustbench_char.inference.evaluate import evaluate
    from robustbench_char.inference.systems import StoredPredictions

    stored = StoredPredictions(_system(call), call.inputs["predicted"], label=call.job.params.get("label"))
    evaluate(stored, _evaluated(call), name=_source_name(call), limit=stored.limit, output=output)


def _model(call: Call, output: Path) -> None:
    """Predict and score with a model that is ready."""
    from robustbench_char.inference.evaluate import evaluate

    limit = call.job.params["limit"]
    evaluate(_named(call), _evaluated(call), name=_source_name(call), limit=limit, output=output)


def _named(call: Call) -> PredictionSource:
    """Return a model that is ready, called as the spec calls it."""
    source, params = copy(_opened(call)), call.job.params
    own = source.info.predictor is not None and source.info.label is not None  # a predictor may name itself
    built = source.info.defence if isinstance(_front(call), Path) else None  # its folder, a result's, is no name
    if built or not own:
        named = {"defence": built.model_copy(update={"name": built.kind})} if built else {}
        source.info = source.info.model_copy(update={"label": params["label"], **named})
    return source


def _opened(call: Call) -> PredictionSource:
    """Return a model as a source of predictions: of this process, or opened by its name."""
    from robustbench_char.inference.opening import identify_model, open_model
    from robustbench_char.inference.options import ModelOptions

    name, given, params = call.job.paths["model"], call.job.paths["options"], call.job.params
    front = _front(call)
    options = {**given, "defence": str(front)} if front else given
    if STAGES.get(call.job.stage).heavy:
        return _open(name, *(json.dumps(part, sort_keys=True) for part in (params["task"], params["model"], options)))
    chosen, kind = ModelOptions.model_validate(options, strict=False), params["model"]["kind"]
    known = {"kind": kind} if isinstance(name, str) else {}
    asked = ModelOptions.model_validate(given, strict=False)
    if kind == "predictor" and identify_model(name, _task(call), options=asked, kind=kind) != params["model"]:
        raise InputError(f"predictor {name}", found="a source that was edited during the run",
                         expected="the one that the run began with", fix="Run the same command again.")  # fmt: skip
    return open_model(name, _task(call), options=chosen, **known)


@lru_cache(maxsize=1)
def _open(name: str, task: str, identity: str, options: str) -> PredictionSource:
    """Open a model once for the jobs of a process that need it one after another; `identity` tells versions apart."""
    from robustbench_char.inference.opening import open_model
    from robustbench_char.inference.options import ModelOptions
    from robustbench_char.tasks.base import Task

    chosen = ModelOptions.model_validate_json(options)
    return open_model(name, Task.model_validate_json(task), options=chosen)


def _sensitivity(call: Call, output: Path) -> None:
    from robustbench_char.inference.sensitivity import sensitivity

    clean, attacked, label = _source(call, "test"), call.inputs["attacked"], call.job.params.get("label")
    limit, model = call.job.params["limit"], call.job.paths.get("model")
    sensitivity(
        model or _system(call),
        task=_task(call),
        input=clean,
        attacked=attacked,
        limit=limit,
        output=output,
        label=label,
        defence=_front(call) if model else None,
    )


def _price(call: Call, output: Path) -> None:
    from robustbench_char.defences.opening import open_defence
    from robustbench_char.inference.defence_price import defence_price

    clean, attacked, front = _source(call, "test"), call.inputs["attacked"], _front(call)
    defence = open_defence(front) if isinstance(front, Path) else str(front)  # a result's folder is no name
    defence_price(defence, task=_task(call), input=clean, attacked=attacked, output=output)


def _worst_part(call: Call, output: Path) -> None:
    from robustbench_char.inference.systems import load_system
    from robustbench_char.inference.worst_case import search_part, write_part

    number, parts = call.job.params["part"]
    model = _named(call) if "model" in call.job.paths else load_system(_system(call))
    if label := call.job.params.get("label"):
        model.info = model.info.model_copy(update={"label": label})
    part = search_part(_searched(call, model), number, parts)
    output.mkdir(parents=True)
    write_part(output / _PART, part)


def _worst_case(call: Call, output: Path) -> None:
    from robustbench_char.attack_sets.verify import verify
    from robustbench_char.inference.worst_case import read_part, write_parts

    request, parts = _searched(call), [read_part(folder / _PART) for folder in call.inputs.values()]
    write_parts(request, parts, output, sum(part.seconds for part in parts))
    verify(output, request.file)


_PART = "part.json"


def _searched(call: Call, model: PredictionSource | None = None) -> Request:
    """Return the search of a job, which needs no model where all is found."""
    from robustbench_char.attack_sets.stream import Attack
    from robustbench_char.inference.options import ModelOptions
    from robustbench_char.inference.worst_case import Plan, Request

    params = call.job.params
    attack, plan = Attack(_task(call), _suite(call), 0, tuple(params["fields"])), Plan(**params["search"])
    return Request(model, ModelOptions(), attack, plan, _source(call, "test"), params["limit"])


def _report(call: Call, output: Path) -> None:
    from robustbench_char.reports.page import write_report

    folders = [call.inputs[role] for role in call.job.params["order"]]
    write_report(folders, output, examples=call.job.params["examples"], run=tuple(call.job.params["run"]))


def _front(call: Call) -> Path | str | None:
    """Return the defence of a job: the folder of the one that it needs, or the place of a ready one."""
    built = call.inputs.get("defence") or call.inputs.get("recogniser")
    return built or call.job.paths.get("defence") or call.job.paths.get("options", {}).get("defence")


def _suite(call: Call) -> Suite:
    from robustbench_char.attacks.suites import Suite

    drawn, listing = dict(call.job.params["suite"]), call.job.paths.get("misspellings")
    if listing:  # where the list of a suite stands is no part of the suite
        drawn["misspellings"] = {**drawn["misspellings"], "path": listing}
    return Suite.model_validate(drawn, strict=False)


def _task(call: Call) -> Task:
    from robustbench_char.tasks.base import Task

    return Task.model_validate(call.job.params["task"], strict=False)


def _source(call: Call, which: str) -> NativeFile:
    return Source(**call.job.paths[which]).open(_task(call))


def _source_name(call: Call) -> str | None:
    """Return the name of the evaluated file in records, where it is not the file's own."""
    return MINI if call.job.paths["test"]["kind"] == MINI and "attacked" not in call.inputs else None


def _evaluated(call: Call) -> NativeFile:
    """Return the file that is predicted and scored: the clean one, or the attacked one that the job needs."""
    from robustbench_char.attack_sets.manifest import read_manifest
    from robustbench_char.tasks.formats import open_native

    if "attacked" not in call.inputs:
        return _source(call, "test")
    folder = call.inputs["attacked"]
    return open_native(_task(call), folder / read_manifest(folder).output.name)


def _system(call: Call) -> Path:
    return call.inputs["system"] if "system" in call.inputs else Path(call.job.paths["system"])


for _name, _stage in {
    "attack": Stage(_attack, version=1, heavy=False),
    "pretrain": Stage(_pretrain, version=4),
    "recogniser": Stage(_recogniser, version=1),
    "defence": Stage(_defence, version=1, heavy=False),
    "finetune": Stage(_finetune, version=1),
    "predict": Stage(_predict, version=1),
    "score": Stage(_score, version=1),
    "model": Stage(_model, version=1),
    "outside": Stage(_model, version=2, heavy=False),
    "sensitivity": Stage(_sensitivity, version=1),
    "price": Stage(_price, version=1),
    "defence_price": Stage(_price, version=1, heavy=False),
    "worst_part": Stage(_worst_part, version=1),
    "worst_part_outside": Stage(_worst_part, version=1, heavy=False),
    "worst_case": Stage(_worst_case, version=1, heavy=False),
    "report": Stage(_report, version=1, heavy=False),
}.items():
    STAGES.register(_name, _stage)


@cache
def package_sha256() -> str:
    """Return one hash of the package's code and templates: it decides the report; machines of a run agree in it."""
    files = (path for path in sorted(_HOME.rglob("*")) if path.is_file() and path.suffix != ".pyc")
    lines = [f"{path.relative_to(_HOME).as_posix()} {sha256_file(path)}" for path in files]
    return sha256_bytes("\n".join(line for line in lines if not line.startswith("_shipped/")).encode())
