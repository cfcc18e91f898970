"""Functions of the public API that open what is named (folders, files, tasks) for the room that does the work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from robustbench_char.common import InputError
from robustbench_char.common.options import options_of
from robustbench_char.inference.opening import open_model
from robustbench_char.inference.options import ModelOptions
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import SourceKeywords, open_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robustbench_char.inference.evaluate import PredictionSource
    from robustbench_char.inference.opening import Unbound
    from robustbench_char.inference.results import Evaluation
    from robustbench_char.tasks.base import Task

__all__ = ["evaluate", "load_model", "report"]


def evaluate(
    folder: Path | str | Unbound | PredictionSource | None = None,
    *,
    predictor: str | None = None,
    task: Task | Path | str | None = None,
    output: Path | str | None = None,
    batch_size: int = 32,
    overwrite: bool = False,
    progress: bool = True,
    **source: Unpack[SourceKeywords],
) -> Evaluation:
    """Score a saved system, or a predictor, on a data set; return scores, interval, predictions, record.

    `folder` is what `finetune` wrote, or a model made in Python; `predictor` is `module:function`, `path.py:function`
    or a registered name, and needs `task`. A file in the folder that `attack_file` wrote counts as attacked: the record
    takes the attack from there. With `output` record, predictions and counts are written, atomically. Scores are in
    percent. Raises InputError for a system, task or data that do not fit, and for an output with other content.

    >>> import robustbench_char as rbc
    >>> system = rbc.finetune("cola", data="mini", output="cola/", layers=1, limit=40, epochs=1, progress=False)
    >>> result = evaluate("cola/", data="mini", split="test", output="runs/clean", progress=False)
    >>> sorted(result.scores), len(result.predictions), result.record.headline
    (['accuracy', 'matthews'], 300, 'matthews')
    >>> rbc.load_results("runs/")[["task", "system", "condition", "metric", "examples"]].values.tolist()
    [['cola', 'bert', 'clean', 'matthews', 300]]
    """
    from robustbench_char.inference.evaluate import evaluate as run

    chosen = None if task is None else get_task(task, "--task")
    model = _model(folder, predictor, chosen)
    return run(
        model,
        open_source(model.task, **source),
        task=chosen,
        name="mini" if source.get("data") else None,
        batch_size=batch_size,
        output=None if output is None else Path(output),
        overwrite=overwrite,
        progress=progress,
    )


def _model(
    folder: Path | str | Unbound | PredictionSource | None, predictor: str | None, task: Task | None
) -> PredictionSource:
    """Return the one source of predictions that was named."""
    if (folder is None) == (predictor is None):
        raise InputError(
            "evaluate",
            found="DIR and --predictor" if folder else "neither DIR nor --predictor",
            expected="one of them",
            fix="Give a folder that `finetune` wrote, or --predictor NAME.",
        )
    return open_model(folder, task) if folder is not None else open_model(str(predictor), task, kind="predictor")


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
