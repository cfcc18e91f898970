"""Functions of the public API that open what is named (folders, files, tasks) for the room that does the work."""

from __future__ import annotations

import logging
import shutil
import tempfile
import weakref
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from robustbench_char.common import InputError
from robustbench_char.common.files import check_writable
from robustbench_char.common.options import options_of
from robustbench_char.inference.opening import open_model
from robustbench_char.inference.options import ModelKeywords, ModelOptions
from robustbench_char.records.predictors import absolute_name, identity
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import Input, NamedSource, as_read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from robustbench_char.attacks.suites import Suite
    from robustbench_char.inference.evaluate import PredictionSource
    from robustbench_char.inference.opening import Unbound
    from robustbench_char.inference.results import Evaluation
    from robustbench_char.records.defence_price import PriceRecord
    from robustbench_char.reports.results import Results
    from robustbench_char.tasks.base import NativeFile, Task

__all__ = ["evaluate", "load_model", "recogniser_price", "report", "train_recogniser"]

_LOG = logging.getLogger(__name__)


class EvaluateKeywords(NamedSource, ModelKeywords, total=False):
    """Where data come from other than `input`, and the options of a model."""


def evaluate(
    model: Path | str | Unbound | PredictionSource | None = None,
    input: Input | None = None,
    *,
    predictor: str | None = None,
    task: Task | Path | str | None = None,
    suites: Sequence[str] = (),
    seeds: int | str | Sequence[int] | None = None,
    limit: int | None = None,
    output: Path | str | None = None,
    batch_size: int = 32,
    overwrite: bool = False,
    progress: bool = True,
    **options: Unpack[EvaluateKeywords],
) -> Evaluation | Results:
    """Score a model on a data set; return scores, interval, predictions, record; on several sets, return `Results`.

    `model` is a folder, a hub id, a predictor (also as `predictor`) or a model made in Python; a `task` is needed
    unless `finetune` wrote it. With `suites` the data are scored clean and attacked, with so many `seeds` or those
    listed; of a folder of attacked sets each is. A file in the folder that `attack_file` wrote counts as attacked: the
    record takes the attack from there. `limit` keeps the first examples. With `output` record, predictions and counts
    are written, atomically. Scores are in percent. Raises InputError for a model, task or data that do not fit, and for
    an output with other content.

    >>> import robustbench_char as rbc
    >>> system = rbc.finetune("cola", data="mini", output="cola/", layers=1, limit=40, epochs=1, progress=False)
    >>> result = evaluate("cola/", data="mini", split="test", output="runs/clean", progress=False)
    >>> sorted(result.scores), len(result.predictions), result.record.headline
    (['accuracy', 'matthews'], 300, 'matthews')
    """
    from robustbench_char.inference.asked import parted

    named, (source, asked) = _one(model, predictor), parted(options, ModelOptions)
    how: dict[str, Any] = {"limit": limit, "batch_size": batch_size, "overwrite": overwrite, "progress": progress}
    return _evaluated(named, asked, task, input, source, (suites, seeds), output, how)


def _evaluated(
    named: Any,
    asked: ModelOptions,
    task: Task | Path | str | None,
    input: Input | None,
    source: NamedSource,
    attacks: tuple[Sequence[str], int | str | Sequence[int] | None],
    output: Path | str | None,
    how: dict[str, Any],
) -> Evaluation | Results:
    """Look up all that is named, the model last, and score it on one set or on several."""
    from robustbench_char.inference.asked import attacks_of, files_of, task_named
    from robustbench_char.inference.evaluate import evaluate as run

    chosen = as_read(task_named(task, [named]), source)
    files, attacked_by = files_of(chosen, input, **source), attacks_of(chosen, *attacks)
    if attacked_by and list(files) != ["clean"]:
        raise InputError("--suite", found="suites, and attacked sets to score", expected="one of them",
                         fix="Name the clean file.")  # fmt: skip
    if output is not None:
        check_writable(Path(output))
    opened = open_model(named, chosen, options=asked)
    if attacked_by or len(files) > 1:
        return _on_several(opened, files, attacked_by, output, how)
    name, folder = "mini" if source.get("data") else None, None if output is None else Path(output)
    return run(opened, *files.values(), task=chosen, name=name, output=folder, **how)


def _on_several(
    source: PredictionSource,
    files: Mapping[str, NativeFile],
    attacks: Sequence[tuple[Suite, int]],
    output: Path | str | None,
    how: dict[str, Any],
) -> Results:
    """Score files and their attacks into a folder each, below `output` or where the results alone keep them."""
    from robustbench_char.inference.asked import attacked_files
    from robustbench_char.inference.evaluate import Asking
    from robustbench_char.inference.evaluate import evaluate as run
    from robustbench_char.reports.results import load_results

    if isinstance(source, Asking):
        examples = [example for file in files.values() for example in islice(file.examples(), how["limit"])]
        source.check_requests(examples, how["limit"], more=len(examples) * len(attacks))
    folder = Path(tempfile.mkdtemp(prefix="robustbench-char-")) if output is None else Path(output)
    clean = next(iter(files.values()))
    attacked = attacked_files(source.task, clean, attacks, folder / "attacked", overwrite=how["overwrite"])
    for name, file in (*files.items(), *attacked):
        run(source, file, output=folder / name, **how)
    results = load_results(folder)
    if output is None:
        weakref.finalize(results, shutil.rmtree, folder, ignore_errors=True)
    return results


def _one(model: Any, predictor: str | None) -> Any:
    """Return the one model that was named."""
    if (model is None) == (predictor is None):
        raise InputError(
            "evaluate",
            found="MODEL and --predictor" if model else "neither MODEL nor --predictor",
            expected="one of them",
            fix="Give a model: a folder, an id of the hub, or a predictor.",
        )
    if predictor is None:
        return model
    identity(predictor)  # no folder, no id
    return absolute_name(predictor)


def load_model(
    model: Path | str | Unbound,
    task: Task | Path | str | None = None,
    *,
    labels: Sequence[str] | Path | str = (),
    defence: Path | str | None = None,
) -> PredictionSource:
    """Return a model that `evaluate` takes, by folder, hub id or the name of a predictor.

    `task` is what it shall predict (default: what a system of `finetune` was trained on). `labels` says what each class
    id of a model of Transformers means, where their names do not: a list, or a file of one name per line; "-" for what
    the task does not have. `defence` is a folder that `train_recogniser` wrote: it corrects texts before the model
    reads them. Raises InputError for what cannot be loaded, and for labels or a head that do not fit the task.
    """
    (options,) = options_of({"labels": labels, "defence": defence and str(defence)}, ModelOptions)
    return open_model(model, None if task is None else get_task(task, "task"), options=options)


def report(
    folders: Path | str | Sequence[Path | str],
    output: Path | str = "report",
    *,
    examples: bool = True,
    overwrite: bool = False,
) -> Path:
    """Write one self-contained HTML page, the same as Markdown, and every table and figure as files.

    `folders` are what `evaluate` and `run` wrote, or published sets of results. With `examples` off no text of the data
    is shown. Returns the path of `index.html`. Raises InputError for folders without records, and for records that do
    not belong in one table.
    """
    from robustbench_char.reports import write_report

    paths = [Path(folder) for folder in ([folders] if isinstance(folders, str | Path) else folders)]
    return write_report(paths, Path(output), examples=examples, overwrite=overwrite)


def train_recogniser(**options: Any) -> Path:
    """Train a word recogniser: an earlier name of `train_defence("wordrec", ...)`, which goes with the next version."""
    from robustbench_char.defences.train import train_defence

    _LOG.warning('train_recogniser is called train_defence("wordrec", ...) now; this name goes with the next version')
    return train_defence("wordrec", **options)


def recogniser_price(folder: Any, **options: Any) -> PriceRecord:
    """Measure a defence: an earlier name of `defence_price`, which goes with the next version."""
    from robustbench_char.inference.defence_price import defence_price

    _LOG.warning("recogniser_price is called defence_price now; this name goes with the next version")
    return defence_price(folder, **options)
