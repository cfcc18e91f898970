"""What any system's predictions are worth, on disk: scores, counts, breakdowns, record. No model library is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from robustbench_char.common import InputError
from robustbench_char.common.files import check_writable, output_folder, read_json, safe_name, write_json
from robustbench_char.common.frozen import Frozen
from robustbench_char.common.provenance import provenance
from robustbench_char.inference.attack_set import AttackSet
from robustbench_char.inference.said import one_line, prediction_json
from robustbench_char.inference.word_states import PieceCounter, example_words
from robustbench_char.metrics.counted import COUNTED
from robustbench_char.metrics.metrics import Gold, Prediction, QaGold, Scores, score
from robustbench_char.records.counts import count_table, write_counts
from robustbench_char.records.evaluation import (
    PREDICTION_COLUMNS,
    DataInfo,
    Record,
    SystemInfo,
    read_record,
    write_predictions,
    write_record,
)
from robustbench_char.tasks.base import Example, NativeFile, Task

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Scored", "check_task", "data_info", "done_before", "keep", "write_alone", "write_result"]

RECORD = "record.json"


@dataclass(frozen=True)
class Scored:
    """What predictions are worth: scores, counts, the table of predictions, the counts of each cell.

    `seconds` is the time that predicting took.
    """

    scores: dict[str, float]
    clean_gold_scores: dict[str, float] | None
    counts: dict[str, int]
    seconds: float
    table: pd.DataFrame
    by_cell: pd.DataFrame

    @classmethod
    def of(
        cls,
        task: Task,
        examples: Sequence[Example],
        golds: Sequence[Gold],
        predictions: Sequence[Prediction],
        attack: AttackSet | None,
        *,
        labels: Sequence[str] | None,
        pieces: PieceCounter | None,
        seconds: float,
    ) -> Scored:
        """Score the predictions, against the clean answers too where an attack changed contexts.

        `pieces` counts the sub-words of words; without it there is no breakdown by them.
        """
        scores = score(task.metric, golds, predictions, labels=labels)
        clean = attack.clean_golds(examples) if attack and task.family == "question_answering" else None
        by_clean = score(task.metric, clean, predictions).scores if clean else None
        edits = attack.edits(examples) if attack else [[] for _ in examples]
        words = example_words(pieces, examples, edits, attacked=attack is not None)
        units = COUNTED.get(task.metric).units(golds, predictions, labels)
        by_cell = count_table(task.metric, [example.row for example in examples], units, words, labels)
        table = _table(examples, golds, predictions, scores, edits)
        return cls(scores.scores, by_clean, scores.counts, seconds, table, by_cell)


def check_task(task: Task, origin: str, file: NativeFile, asked: Task | None, attack: AttackSet | None) -> None:
    """Raise InputError where the user, or the attack beside the file, says that the data are of another task.

    `origin` says in messages where `task` comes from.
    """
    for found, place in ((asked and asked.name, "--task"), (attack and attack.manifest.task, file.path)):
        if found and found != task.name:
            raise InputError(
                place,
                found=f"data of the task {found}",
                expected=f"{task.name}, {origin}",
                fix="Choose the system or the file of the same task.",
            )


def data_info(
    file: NativeFile,
    sha256: str,
    examples: Sequence[Example],
    attack: AttackSet | None,
    *,
    source: str | None,
    limit: int | None = None,
) -> DataInfo:
    """Return what a record says about its data. `source` is how it calls the file (default: its name)."""
    return DataInfo(
        source=source or safe_name(file.path.name),
        sha256=sha256,
        examples=len(examples),
        attack=attack.info() if attack else None,
        limit=limit,
    )


def done_before(output: Path | None, task: Task, system: SystemInfo, data: DataInfo, *, overwrite: bool) -> bool:
    """Return whether `output` holds this system on these data. Raises InputError for other content."""
    if output is not None:
        check_writable(output)
    if output is None or not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return False
    if (output / RECORD).is_file():
        old = read_record(output / RECORD)
        if (old.task, old.system, old.data) == (task.name, system, data):
            return True
    if not overwrite:
        raise InputError(
            output,
            found="an output folder with other content",
            expected="a new folder, or the record of this very evaluation",
            fix="Choose another --output, or add --overwrite to replace it.",
        )
    return False


def keep(
    output: Path | None,
    write: Callable[[Path], Record],
    *,
    inputs: Iterable[Path],
    overwrite: bool,
    again: bool,
) -> Record:
    """Have `write` fill the folder `output`, which appears whole or not at all, or keep nothing where it is None.

    `again` says that `output` holds an earlier record of the same, which may differ in what is volatile.
    """
    if output is None:
        with TemporaryDirectory() as scratch:
            return write(Path(scratch))
    volatile = (RECORD,) if again else ()
    with output_folder(output, overwrite=overwrite, volatile=volatile, inputs=inputs) as target:
        return write(target)


def write_result(
    folder: Path, task: Task, system: SystemInfo, data: DataInfo, scored: Scored, *, device: str, wall_seconds: float
) -> Record:
    """Write predictions, counts and record into a folder that exists, and return the record.

    `wall_seconds` is what it took until now, predicting included.
    """
    record = Record(
        task=task.name,
        family=task.family,
        metric=task.metric,
        headline=task.headline,
        system=system,
        data=data,
        scores=scored.scores,
        clean_gold_scores=scored.clean_gold_scores,
        counts=scored.counts,
        task_note=task.note,
        predictions_sha256=write_predictions(folder, scored.table),
        counts_sha256=write_counts(folder, scored.by_cell),
        wall_seconds=wall_seconds,
        predict_seconds=scored.seconds,
        device=device,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        provenance=provenance(),
    )
    write_record(folder, record)
    return record


def write_alone(output: Path, name: str, record: Frozen, *, overwrite: bool, inputs: Iterable[Path]) -> None:
    """Write a record as the only file of the folder `output`, whole or not at all.

    An earlier one stays when it differs in `created` and `provenance` alone. Raises InputError for other content.
    """
    value = record.model_dump(mode="json", by_alias=True)
    same = (output / name).is_file() and _lasting(read_json(output / name)) == _lasting(value)
    with output_folder(output, overwrite=overwrite, inputs=inputs, volatile=(name,) if same else ()) as folder:
        write_json(folder / name, value)


def _lasting(value: Any) -> Any:
    return {key: value[key] for key in value.keys() - {"created", "provenance"}} if isinstance(value, dict) else value


def _table(
    examples: Sequence[Example],
    golds: Sequence[Gold],
    predictions: Sequence[Prediction],
    scores: Scores,
    edits: Sequence[list[dict[str, Any]]],
) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, list[Any]] = {
        "row": [example.row for example in examples],
        "id": [example.id for example in examples],
        "fields": [one_line(dict(example.fields)) for example in examples],
        "gold": [one_line(gold.answers if isinstance(gold, QaGold) else gold) for gold in golds],
        "prediction": [prediction_json(said) for said in predictions],
        "score": scores.per_example,
        "edits": [one_line(entries) for entries in edits],
    }
    return pd.DataFrame(columns, columns=list(PREDICTION_COLUMNS))
