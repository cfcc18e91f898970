"""Functions of the public API that open what is named (folders, files, tasks) for the room that does the work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from robustbench_char.common import InputError
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import SourceKeywords, open_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robustbench_char.analysis.compare_runs import SetComparison
    from robustbench_char.inference.evaluate import PredictionSource
    from robustbench_char.inference.results import Evaluation
    from robustbench_char.inference.sensitivity import Sensitivity
    from robustbench_char.models.charbert.conversion import ConversionReport
    from robustbench_char.models.representations import Pooling, Stream
    from robustbench_char.records.recogniser_cost import PriceRecord
    from robustbench_char.records.sensitivity import FragilityRecord
    from robustbench_char.tasks.base import Task

__all__ = ["compare", "convert", "evaluate", "fragility", "recogniser_price", "report", "sensitivity"]


def evaluate(
    folder: Path | str | None = None,
    *,
    predictor: str | None = None,
    task: Task | str | None = None,
    output: Path | str | None = None,
    batch_size: int = 32,
    overwrite: bool = False,
    progress: bool = True,
    **source: Unpack[SourceKeywords],
) -> Evaluation:
    """Score a saved system, or a registered predictor, on a data set; return scores, interval, predictions, record.

    `folder` is what `finetune` wrote; `predictor` names what another package registers, and needs `task`. A file that
    stands in the folder that `attack_file` wrote counts as attacked: the record takes the attack from there. With
    `output` record, predictions and counts are written, atomically. Scores are in percent. Raises InputError for a
    system, task or data that do not fit, and for an output with other content.

    >>> import robustbench_char as rbc
    >>> result = rbc.evaluate("ner/", input="attacked/test.txt")  # doctest: +SKIP
    >>> result.scores["f1"], result.interval("f1").low  # doctest: +SKIP
    (36.1, 34.9)
    """
    from robustbench_char.inference.evaluate import evaluate as run

    chosen = get_task(task, "--task") if isinstance(task, str) else task
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


def _model(folder: Path | str | None, predictor: str | None, task: Task | None) -> PredictionSource:
    """Return the one source of predictions that was named."""
    if (folder is None) == (predictor is None):
        raise InputError(
            "evaluate",
            found="DIR and --predictor" if folder else "neither DIR nor --predictor",
            expected="one of them",
            fix="Give a folder that `finetune` wrote, or --predictor NAME.",
        )
    if folder is not None:
        from robustbench_char.inference.systems import load_system

        return load_system(Path(folder))
    from robustbench_char.inference.predictors import PredictorSource

    if task is None:
        raise InputError("--task", found="none", expected="the task of the data", fix="Name it: --task TASK.")
    return PredictorSource.load(str(predictor), task)


def sensitivity(
    model: Path | str,
    *,
    task: Task | str,
    attacked: Path | str,
    output: Path | str | None = None,
    layer: int = -1,
    pooling: Pooling = "mean",
    stream: Stream = "both",
    max_length: int | None = None,
    limit: int | None = None,
    batch_size: int = 32,
    profile: Sequence[str] = (),
    overwrite: bool = False,
    **source: Unpack[SourceKeywords],
) -> Sensitivity:
    """Measure sensitivity S: how much each word's contextual representation shifts under an attack.

    S is the mean over words of 1 - cos, from 0 to 2 (Ma et al. 2020, section 5; docs/metrics.md). `model` is a folder
    that `finetune` wrote, any encoder's folder or hub id, or "minilm"; `attacked` the folder that `attack_file` wrote
    for these data. `layer` counts hidden states (-1 the last, 0 the embeddings). `profile` lists ids of examples whose
    words are returned one by one. Returns the record, a data frame of one row per word, and the profiles; `output`
    keeps them. Raises InputError for a model that cannot be used and for data that were not attacked so.
    """
    from robustbench_char.inference.sensitivity import measure_sensitivity

    record = _task(task)
    return measure_sensitivity(
        str(model),
        open_source(record, **source),
        Path(attacked),
        record,
        output=None if output is None else Path(output),
        layer=layer,
        pooling=pooling,
        stream=stream,
        max_length=max_length,
        limit=limit,
        batch_size=batch_size,
        profiles=tuple(profile),
        overwrite=overwrite,
    )


def fragility(
    tokenizer: Path | str,
    *,
    task: Task | str = "ptb_pos",
    output: Path | str | None = None,
    seed: int = 0,
    overwrite: bool = False,
    **source: Unpack[SourceKeywords],
) -> FragilityRecord:
    """Measure the share of words, entities and nouns that a tokenizer splits, and what one deletion does to nouns.

    `tokenizer` is a model's folder, a hub id, or "minilm"; `task` a tagging task; `seed` that of the deletions. Shares
    are fractions. `output` keeps the record, which reports show. Raises InputError for a task of another family.
    """
    from robustbench_char.inference.fragility import measure_fragility

    record = _task(task)
    folder = None if output is None else Path(output)
    file = open_source(record, **source)
    return measure_fragility(file, record, str(tokenizer), seed=seed, output=folder, overwrite=overwrite)


def recogniser_price(
    folder: Path | str,
    *,
    task: Task | str,
    attacked: Path | str,
    output: Path | str | None = None,
    overwrite: bool = False,
    **source: Unpack[SourceKeywords],
) -> PriceRecord:
    """Measure what a word recogniser repairs on attacked text, and what it breaks on clean text, in percent of words.

    `folder` is what `train_recogniser` wrote, `attacked` what `attack_file` wrote for these data. `output` keeps the
    record, which reports show. Raises InputError for an attack on other data.
    """
    from robustbench_char.defences.wordrec import Recogniser
    from robustbench_char.inference.recogniser_cost import measure_price

    record, kept = _task(task), None if output is None else Path(output)
    recogniser = Recogniser.load(Path(folder))
    file = open_source(record, **source)
    return measure_price(recogniser, file, Path(attacked), record, output=kept, overwrite=overwrite)


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


def compare(a: Path | str, b: Path | str) -> SetComparison:
    """Compare the results below folder A with those below folder B: what changed beyond noise, and what differs.

    The result has `rows` (scores, difference B - A in points, 95% interval, p after Holm, verdict), `apart` (what
    cannot be compared, and why), `changes` (what the two were made with), and `equal`. Raises InputError where the two
    have nothing in common.
    """
    from robustbench_char.analysis.compare_runs import compare_sets

    return compare_sets(Path(a), Path(b))


def convert(
    checkpoint: Path | str, output: Path | str, *, char_vocab: Path | str | None = None, overwrite: bool = False
) -> ConversionReport:
    """Convert a released CharBERT checkpoint (BERT or RoBERTa layout); return what became of each key.

    `checkpoint` holds config.json and pytorch_model.bin or model.safetensors; `char_vocab`, the reference's character
    list, makes a processor too. Raises InputError for missing or damaged files.
    """
    from robustbench_char.models.charbert.conversion import convert_checkpoint

    characters = None if char_vocab is None else Path(char_vocab)
    return convert_checkpoint(Path(checkpoint), Path(output), char_vocab=characters, overwrite=overwrite)


def _task(task: Task | str) -> Task:
    return get_task(task, "--task") if isinstance(task, str) else task
