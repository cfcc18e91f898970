"""What each kind of job does: one function a stage, from the results it needs to its own result.

Each writes into a new folder; the store moves it to its place. Libraries are imported when a stage runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import robustbench_char
from robustbench_char.common import Registry
from robustbench_char.common.files import sha256_bytes, sha256_file
from robustbench_char.experiments.sources import MINI, Source, text_path
from robustbench_char.experiments.spec import COMMAND_OPTIONS, training_options

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from robustbench_char.tasks.base import NativeFile, Task

__all__ = ["STAGES", "Call", "Stage", "package_sha256"]


@dataclass(frozen=True)
class Call:
    """One call of a stage: see `jobs.Job` for `params` and `places`. `needs` maps inputs to the folders of results.

    `output` is the folder to make, `unfinished` the one for checkpoints, which outlives a stop. Training saves itself
    every `save_seconds`, and tells how far it is in the file `status`, and in event files of TensorBoard where
    `tensorboard` names a folder.
    """

    params: Mapping[str, Any]
    places: Mapping[str, Any]
    needs: Mapping[str, Path]
    output: Path
    unfinished: Path
    status: Path
    save_seconds: float = 120.0
    tensorboard: Path | None = None


@dataclass(frozen=True)
class Stage:
    """A kind of job: its function, and whether it computes with torch.

    `version` is raised by hand whenever the stage's result changes for equal input: its earlier results, and those of
    the stages that need them, are then made again. Moving, renaming and rewording code leave it as it is.
    """

    run: Callable[[Call], None]
    version: int = 1
    heavy: bool = True


STAGES: Registry[Stage] = Registry("stage")


def _attack(call: Call) -> None:
    from robustbench_char.attack_sets.verify import verify
    from robustbench_char.attack_sets.write import attack_file
    from robustbench_char.attacks.suites import Suite

    task, source = _task(call), _source(call, "test")
    suite = Suite.model_validate(call.params["suite"], strict=False)
    attack_file(task, source, suite, seed=call.params["seed"], output=call.output)
    verify(call.output, source)


def _pretrain(call: Call) -> None:
    from robustbench_char.training.pretraining.run import pretrain

    texts, heldout = ([text_path(path) for path in call.places[which]] for which in ("text", "heldout"))
    base = str(call.needs.get("base", call.places["base"]))
    options = dict(call.params["options"])
    processes = options.pop("processes", 1)
    if processes > 1:
        _pretrain_together(call, processes, texts, heldout, base, options)
        return
    pretrain(
        call.params["system"],
        texts=texts,
        heldout=heldout or None,
        output=call.output,
        base=base,
        store=call.unfinished,
        save_seconds=call.save_seconds,
        callbacks=_callbacks(call),
        **training_options(options),
    )


def _pretrain_together(
    call: Call, processes: int, texts: list[Path], heldout: list[Path], base: str, options: Mapping[str, Any]
) -> None:
    """Have several processes train together; the Trainer finds them through Accelerate."""
    import torch

    from robustbench_char.common import InputError

    line = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    line += ["-m", "robustbench_char.cli.main", "pretrain", call.params["system"], f"--base={base}"]
    line += [f"--text={path}" for path in texts] + [f"--heldout={path}" for path in heldout]
    line += [_flag(COMMAND_OPTIONS.get(key, key).replace("_", "-"), value) for key, value in options.items()]
    line += [f"--output={call.output}", f"--store={call.unfinished}"]
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
    """Have the kernel end this process (which ends those that it started) when the one that started it dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


_PR_SET_PDEATHSIG = 1


def _flag(name: str, value: object) -> str:
    return f"--{name}={value}" if not isinstance(value, bool) else f"--{name}" if value else f"--no-{name}"


def _recogniser(call: Call) -> None:
    from robustbench_char.defences.wordrec import RecogniserSettings, train_recogniser
    from robustbench_char.defences.wordrec.sentences import FirstExamples

    on_text = "text" in call.places
    train_recogniser(
        output=call.output,
        texts=[text_path(path) for path in call.places.get("text", ())],
        task=None if on_text else _task(call),
        source=None if on_text else FirstExamples(_source(call, "train"), call.params["examples"]),
        settings=RecogniserSettings(**call.params["options"]),
    )


def _finetune(call: Call) -> None:
    from robustbench_char.attack_sets.write import source_sha256
    from robustbench_char.training.augmentation import augmentation_asked
    from robustbench_char.training.finetune import finetune

    task, source, params = _task(call), _source(call, "train"), call.params
    augment = params["augment"]
    finetune(
        task,
        train=source,
        train_sha256=source_sha256(source.path),
        output=call.output,
        system=params["system"],
        base=str(call.needs.get("base", call.places["base"])),
        label=params["label"],
        recogniser=call.needs.get("recogniser"),
        augmentation=augmentation_asked(params["system"], augment["suite"], task, share=augment["share"],
                                        seed=augment["seed"], without=augment["without"]) if augment else None,
        weights=call.needs.get("weights"),
        store=call.unfinished,
        save_seconds=call.save_seconds,
        callbacks=_callbacks(call),
        seed=params["seed"],
        **training_options(params["options"]),
    )  # fmt: skip


def _predict(call: Call) -> None:
    from robustbench_char.inference.load_system import predict_file

    predict_file(_system(call), _evaluated(call), call.output, limit=call.params["limit"])


def _score(call: Call) -> None:
    from robustbench_char.inference.evaluate import evaluate
    from robustbench_char.inference.load_system import StoredPredictions

    stored = StoredPredictions(_system(call), call.needs["predicted"], label=call.params.get("label"))
    evaluate(stored, _evaluated(call), name=_called(call), limit=stored.limit, output=call.output)


def _outside(call: Call) -> None:
    """Have a predictor of another package predict and score it: what it does cannot be told apart from here."""
    from robustbench_char.inference.evaluate import evaluate
    from robustbench_char.inference.predictors import PredictorSource

    predictor = PredictorSource.load(call.params["predictor"]["name"], _task(call))
    evaluate(predictor, _evaluated(call), name=_called(call), limit=call.params["limit"], output=call.output)


def _sensitivity(call: Call) -> None:
    from robustbench_char.inference.sensitivity import measure_sensitivity

    measure_sensitivity(
        str(_system(call)),
        _source(call, "test"),
        call.needs["attacked"],
        _task(call),
        limit=call.params["limit"],
        output=call.output,
        label=call.params.get("label"),
    )


def _price(call: Call) -> None:
    from robustbench_char.defences.wordrec import Recogniser
    from robustbench_char.inference.recogniser_cost import measure_price

    clean, attacked = _source(call, "test"), call.needs["attacked"]
    measure_price(
        Recogniser.load(call.needs["recogniser"]), clean, attacked, _task(call), output=call.output, overwrite=False
    )


def _report(call: Call) -> None:
    from robustbench_char.reports.page import write_report

    folders = [call.needs[role] for role in call.params["order"]]
    write_report(folders, call.output, examples=call.params["examples"])


def _task(call: Call) -> Task:
    from robustbench_char.tasks.base import Task

    return Task.model_validate(call.params["task"], strict=False)


def _source(call: Call, which: str) -> NativeFile:
    return Source(**call.places[which]).open(_task(call))


def _called(call: Call) -> str | None:
    """Return how records call the evaluated file; None: by its name."""
    return MINI if call.places["test"]["kind"] == MINI and "attacked" not in call.needs else None


def _evaluated(call: Call) -> NativeFile:
    """Return the file that is predicted and scored: the clean one, or the attacked one that the job needs."""
    from robustbench_char.attack_sets.manifest import read_manifest
    from robustbench_char.tasks.formats import open_native

    if "attacked" not in call.needs:
        return _source(call, "test")
    home = call.needs["attacked"]
    return open_native(_task(call), home / read_manifest(home).output.name)


def _system(call: Call) -> Path:
    return call.needs["system"] if "system" in call.needs else Path(call.places["system"])


def _callbacks(call: Call) -> list[TrainerCallback]:
    from robustbench_char.experiments.training_status import StatusWriter, tensorboard_callback

    found: list[TrainerCallback] = [StatusWriter(call.status)]
    return found if call.tensorboard is None else [*found, tensorboard_callback(call.tensorboard)]


for _name, _stage in {
    "attack": Stage(_attack, version=1, heavy=False),
    "pretrain": Stage(_pretrain, version=1),
    "recogniser": Stage(_recogniser, version=1),
    "finetune": Stage(_finetune, version=1),
    "predict": Stage(_predict, version=1),
    "score": Stage(_score, version=1),
    "outside": Stage(_outside, version=1, heavy=False),
    "sensitivity": Stage(_sensitivity, version=1),
    "price": Stage(_price, version=1),
    "report": Stage(_report, version=1, heavy=False),
}.items():
    STAGES.register(_name, _stage)


@cache
def package_sha256() -> str:
    """Return one hash of the package's code and templates: it decides the report; machines of a run agree in it."""
    home = Path(robustbench_char.__file__).parent
    files = (path for path in sorted(home.rglob("*")) if path.is_file() and path.suffix != ".pyc")
    lines = [f"{path.relative_to(home).as_posix()} {sha256_file(path)}" for path in files]
    return sha256_bytes("\n".join(line for line in lines if not line.startswith("_shipped/")).encode())
