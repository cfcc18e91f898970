"""`check`: from models and a test set to a report, as a benchmark of models that are ready.

A spec is made in memory and run as any other: the same store, jobs, resuming and output.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Unpack

from robustbench_char.common.errors import Unfinished
from robustbench_char.common.extras import needed
from robustbench_char.common.options import keywords_of
from robustbench_char.experiments._resolve import ready_model
from robustbench_char.experiments.executors import EXECUTORS
from robustbench_char.experiments.run import run
from robustbench_char.experiments.run_folder import RunFile, RunFolder
from robustbench_char.experiments.spec import Benchmark, Given, Ready, SystemSpec, TaskSpec
from robustbench_char.inference.asked import attacks_of, parted, seeds_of, task_named
from robustbench_char.inference.opening import Unbound, kind_of_model, without_chat_options
from robustbench_char.inference.options import CHAT, CheckKeywords, CheckOptions
from robustbench_char.tasks.base import NativeFile, Task
from robustbench_char.tasks.labels import labelled
from robustbench_char.tasks.sources import Input, LayoutKeywords, NamedSource, as_read, open_source

if TYPE_CHECKING:
    from robustbench_char.inference.evaluate import PredictionSource
    from robustbench_char.reports.results import Results

__all__ = ["SUITES", "check"]

SUITES = ("charbert_2020", "mixed@0.05", "mixed@0.1", "mixed@0.2", "mixed@0.5", "mixed@1")
"""What is attacked by default: the attack of a paper, and one whose strength grows."""
_LONGEST_NAME = 80

Named: TypeAlias = dict[str, tuple[Any, dict[str, Any]]]
"""Models and their options by the names that tell them apart."""


class _Keywords(NamedSource, CheckKeywords, total=False):
    """Where data come from other than `input`, and the options of models."""


def check(
    models: str | Path | PredictionSource | Sequence[str | Path | PredictionSource],
    input: Input | None = None,
    *,
    task: Task | Path | str | None = None,
    suites: Sequence[str] = (),
    seeds: int | str | Sequence[int] | None = None,
    limit: int | None = None,
    defences: Sequence[str] = (),
    output: Path | str | None = None,
    store: Path | str | None = None,
    executor: str | None = None,
    workers: int | None = None,
    **options: Unpack[_Keywords],
) -> Results:
    """Attack a test set, score models on it clean and attacked, and write records and a report; return the results.

    `models` are folders, hub ids, predictors, endpoints (see `open_model`), or what `rbc.load_model`, `rbc.predictor`
    and `rbc.chat` returned. `suites` (default: SUITES) attack with so many `seeds`, or with those listed. Each model is
    checked as it is and behind each of `defences`. Files go to `output` (default: runs/ and the names of models and
    task), results to `store`, where a rerun finds what was done. `executor` is processes, or local where a model is an
    object of this process. `results.attrs["errors"]` has the reason by failed job. Raises InputError for bad input,
    before any work, and where nothing could be scored.
    """
    source, shared = parted(options, CheckOptions)
    given = list(models) if isinstance(models, list | tuple) else [models]
    chosen = as_read(task_named(task, given), source)
    file = open_source(chosen, input=input, **source)
    examples = len(labelled(chosen, file, list(islice(file.examples(), limit))))
    requests = examples * (1 + len(attacks_of(chosen, suites or SUITES, seeds)))
    named = _named(given, keywords_of(shared), defences)
    asked = TaskSpec(test_limit=limit, train_systems=False, **_test(file, **source))
    attacks = {"suites": tuple(dict.fromkeys(suites or SUITES)), "attack_seeds": seeds_of(seeds)}
    executor = executor or ("processes" if all(isinstance(model, str | Path) for model in given) else "local")
    return _run(chosen, asked, named, attacks, output, executor, requests, store=store, workers=workers)


def _run(
    task: Task,
    asked: TaskSpec,
    named: Named,
    attacks: dict[str, Any],
    output: Path | str | None,
    executor: str,
    requests: int,
    *,
    store: Path | str | None,
    workers: int | None,
) -> Results:
    """Make the spec and run it. What needs torch comes last."""
    name = "-".join([*named, task.name]).replace("/", "-")[-_LONGEST_NAME:]
    folder = Path(output or Path("runs") / name)
    _check_lightly(folder, executor, [model for model, _ in named.values()])
    ready = {key: ready_model(model, task, options) for key, (model, options) in named.items()}
    _check_requests(ready.values(), requests, asked.test_limit)
    heavy = any(model.heavy for model in ready.values())
    spec = Benchmark(
        about=f"{', '.join(named)} on {task.name}",
        systems={key: SystemSpec(model=str(model), **options) for key, (model, options) in named.items()},
        tasks={task.name: asked},
        device=_device() if heavy else "cpu",
        **attacks,
    )
    given = Given(name, {task.name: task}, ready)
    workers = workers or (None if heavy else 1)  # a predictor or an endpoint may bear one caller alone
    done = run(spec, output=folder, data_dir=Path(), store=store, executor=executor, workers=workers, given=given)
    return _results(folder, done)


def _check_lightly(folder: Path, executor: str, models: Iterable[Any]) -> None:
    """Make the checks that need no torch. Raises InputError as those who work with these things do."""
    RunFolder(folder, examples=True)
    EXECUTORS.get(executor, place="--executor")
    for model in models:
        if isinstance(model, str | Path):
            kind_of_model(model)


def _check_requests(models: Iterable[Ready], requests: int, limit: int | None) -> None:
    """Raise InputError where chat models would be sent more requests than the user may expect."""
    chats = [model for model in models if "endpoint" in model.identity]
    agreed = [
        model.options.get("yes") or getattr(getattr(model.name, "options", None), "yes", False) for model in chats
    ]
    if chats:
        from robustbench_char.inference.chat.source import check_requests

        check_requests(requests * len(chats), limit=limit, yes=all(agreed))


def _named(models: Iterable[Any], options: dict[str, Any], defences: Iterable[str]) -> Named:
    """Return models and their options by the names that tell them apart, each as it is and behind each defence."""
    models = list({model if isinstance(model, str | Path) else id(model): model for model in models}.values())
    short = [_name(model) for model in models]
    chats = [isinstance(model, str) and model.startswith(CHAT) for model in models]
    named: Named = {}
    for model, name, is_chat in zip(models, short, chats, strict=True):
        own_options = options if is_chat or not any(chats) else without_chat_options(options)
        if short.count(name) > 1 and isinstance(model, str | Path):
            name = f"{Path(model).expanduser().resolve().parent.name}-{name}"
        own = _free(name, named)
        named[own] = (model, own_options)
        for defence in dict.fromkeys(map(str, defences)):
            behind = _free(f"{own}+{Path(defence).expanduser().resolve().name}", named)
            named[behind] = (model, {**own_options, "defence": defence})
    return named


def _free(name: str, taken: Named) -> str:
    return next(one for number in count(1) if (one := name if number == 1 else f"{name}-{number}") not in taken)


def _name(model: Any) -> str:
    """Return what a model is called: a folder by its name, an id by itself, a function by its file and name."""
    if isinstance(model, Unbound):
        return str(model.name).removeprefix(CHAT)
    if not isinstance(model, str | Path):
        return str(model.info.shown)
    folder = Path(model).expanduser()
    if folder.exists():
        return folder.resolve().name
    if str(model).startswith(CHAT):
        return str(model).removeprefix(CHAT)
    place, colon, function = str(model).rpartition(":")
    return f"{Path(place).stem}.{function}" if colon else function


def _test(
    file: NativeFile,
    *,
    data: str | None = None,
    hub: bool = False,
    split: str | None = None,
    data_dir: str | Path | None = None,
    **layout: Unpack[LayoutKeywords],
) -> dict[str, Any]:
    """Return the keys of a spec's task that name data which are open; the task itself holds their layout."""
    if data or hub:
        return {"data": "mini" if data else "hub", "test": split or "dev"}
    where = str(file.path.resolve())
    return {"test": f"{where}@{split or 'all'}" if data_dir is not None else where}


@needed()
def _device() -> Literal["cpu", "gpu"]:
    import torch

    return "gpu" if torch.cuda.is_available() else "cpu"


def _results(folder: Path, done: RunFile) -> Results:
    """Return what was scored. Raises InputError where nothing was."""
    from robustbench_char.reports.results import load_results

    if not (folder / "records").is_dir():
        (job, error), *others = done.errors.items()
        more = f", and {len(others)} more that failed" if others else ""
        raise Unfinished(job, found=f"no score, as the job failed ({error})", expected="at least one score",
                         fix=f"See the logs of this job{more} in {folder / 'logs'}.")  # fmt: skip
    results = load_results(folder / "records")
    results.attrs["errors"] = done.errors
    return results
