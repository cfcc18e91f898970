"""What is predicted, what an evaluation makes of it, and how that is written. No model library is loaded here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from robustbench_char.common import InputError, nearest
from robustbench_char.common.files import check_writable, is_free, other_content, output_folder, read_json, write_json
from robustbench_char.common.frozen import Frozen
from robustbench_char.common.provenance import provenance
from robustbench_char.metrics.base import METRICS, Prediction, QaPrediction
from robustbench_char.metrics.bootstrap import Interval, interval
from robustbench_char.records.counts import cell_counts, write_counts
from robustbench_char.records.evaluation import (
    DataInfo,
    Record,
    SystemInfo,
    read_record,
    write_predictions,
    write_record,
)
from robustbench_char.records.readable import readable
from robustbench_char.tasks.base import Example, Family
from robustbench_char.tasks.labels import place_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Evaluation"]  # fmt: skip

RECORD = "record.json"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Predictions:
    """One prediction per example, in the order given, and the seconds from text to predictions.

    None stands for an example without a usable prediction, which counts as wrong; `errors` maps its position to the
    reason. `counts` are those of the source, such as `pieces` (sub-words read, special ones and overlapping windows
    included) and `truncated_examples`. `no_answer_scores`: every answer came with its no-answer score, over which the
    best threshold can be sought. `cost` is that of a priced service, `served` what models of an endpoint call
    themselves. `complete` is called when they were scored, and the result was written.
    """

    values: Sequence[Prediction | None]
    seconds: float
    counts: dict[str, int] = field(default_factory=dict)
    no_answer_scores: bool = True
    errors: dict[int, str] = field(default_factory=dict)
    cost: float | None = None
    served: tuple[str, ...] = ()
    complete: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Evaluation:
    """One evaluation: its record, a row per example in `predictions` (PREDICTION_COLUMNS), the counts per cell.

    `inputs` are the files and folders that it was made from, which saving never replaces.
    """

    record: Record
    predictions: pd.DataFrame = field(repr=False)
    counts: pd.DataFrame = field(repr=False)
    inputs: tuple[Path, ...] = ()

    @classmethod
    def of(
        cls, result: dict[str, Any], predictions: pd.DataFrame, counts: pd.DataFrame, inputs: Iterable[Path]
    ) -> Evaluation:
        """Complete the fields of a record by hashes, time and provenance."""
        with TemporaryDirectory() as scratch:
            hashes: dict[str, Any] = {
                "predictions_sha256": write_predictions(Path(scratch), predictions),
                "counts_sha256": write_counts(Path(scratch), counts),
            }
        created = datetime.now(UTC).isoformat(timespec="seconds")
        record = Record(**result, **hashes, created=created, provenance=provenance())
        return cls(record, predictions, counts, tuple(inputs))

    @property
    def scores(self) -> dict[str, float]:
        """All scores of the task's metric, in percent."""
        return self.record.scores

    def interval(self, score: str | None = None) -> Interval:
        """Return a score with its 95% interval over examples, in percent (see `metrics.bootstrap`).

        `score` names one that is a function of the counts (default: the headline). Raises InputError for another.
        """
        metric, headline = METRICS.get(self.record.metric), self.record.headline
        known = {**metric.scores, headline: metric.score}
        if score is not None and score not in known:
            expected, fix = f"one of {', '.join(known)}", f"Correct the name.{nearest(score, known)}"
            raise InputError("score", found=repr(score), expected=expected, fix=fix)
        counts = cell_counts(self.counts, self.predictions["row"].tolist())
        return interval(counts, known[score or headline])

    def frame(self) -> pd.DataFrame:
        """Return a row per example without JSON: the columns READABLE_COLUMNS of `records.readable`."""
        return readable(self.predictions)

    def examples(self, outcome: str = "wrong", *, most: int | None = 20) -> pd.DataFrame:
        """Return at most `most` rows of `frame` with one outcome, the lowest scores first.

        `outcome` is right (entirely), wrong (not entirely), or failed (there is no prediction). Raises InputError for
        another.
        """
        frame = self.frame().sort_values("score", kind="stable")
        chosen = {"right": frame["score"] == 1, "wrong": frame["score"] < 1, "failed": frame["prediction"].isna()}
        if outcome not in chosen:
            expected, fix = f"one of {', '.join(chosen)}", f"Correct the name.{nearest(outcome, chosen)}"
            raise InputError("outcome", found=repr(outcome), expected=expected, fix=fix)
        return frame[chosen[outcome]].head(most or len(frame)).reset_index(drop=True)

    def __repr__(self) -> str:
        return repr(self.record).replace("Record of", "Evaluation of", 1)

    def _repr_html_(self) -> str:
        """Return the record and its scores with their 95% intervals, for notebooks."""
        import pandas as pd

        known = METRICS.get(self.record.metric).scores
        limits = {name: _limits(self.interval(name)) if name in known else "" for name in self.scores}
        scores = self.scores.items()
        rows = [{"score": name, "value": f"{value:.2f}", "95% interval": limits[name]} for name, value in scores]
        title, *lines = repr(self).split("\n")
        told = "<br>".join(escape(line.strip()) for line in lines if not line.startswith("  scores"))
        return f"<p><b>{escape(title)}</b><br>{told}</p>\n{pd.DataFrame(rows).to_html(index=False, border=0)}"

    def save(self, folder: Path | str, *, overwrite: bool = False) -> Path:
        """Write record, predictions and counts to a folder, atomically; return the folder.

        The same result that was written before stays as it is; one with failed examples is replaced. Raises InputError
        for a folder with other content, and for one that holds the inputs.
        """
        record, folder = self.record, Path(folder)
        old = check_result_folder(folder, record.task, record.system, record.data, overwrite=overwrite)
        overwrite = overwrite or bool(old and old.counts.get("failed_examples"))  # those were asked again
        volatile = (RECORD,) if old else ()
        with output_folder(folder, overwrite=overwrite, volatile=volatile, inputs=self.inputs) as target:
            write_predictions(target, self.predictions)
            write_counts(target, self.counts)
            write_record(target, record)
        return folder


def _limits(interval: Interval) -> str:
    return interval.note if interval.low is None else f"[{interval.low:.2f}, {interval.high:.2f}]"


def check_result_folder(
    folder: Path, task: str, system: SystemInfo, data: DataInfo, *, overwrite: bool
) -> Record | None:
    """Return the record of a folder that holds an evaluation of this system on these data, None for a free folder.

    Raises InputError for other content, and for a folder that cannot be written.
    """
    check_writable(folder)
    if is_free(folder):
        return None
    if (folder / RECORD).is_file():
        old = read_record(folder / RECORD)
        known = system if old.system.base_sha256 else system.model_copy(update={"base_sha256": None})  # as older ones
        if (old.task, old.system, old.data) == (task, known, data):
            return old
    if not overwrite:
        raise other_content(folder, "the record of this very evaluation")
    return None


def no_prediction(system: SystemInfo, example: Example, reason: str, examples: int) -> InputError:
    """Return the error for a system that failed on all of so many examples, of which this one was the first."""
    found = f"no usable prediction for any of {examples} examples; {place_of(example)}: {reason}"
    fix = "Correct the cause; tracebacks stand above, or in the log of the job."
    return InputError(f"system {system.shown}", found=found, expected="predictions of the task", fix=fix)


def write_alone(output: Path, name: str, record: Frozen, *, overwrite: bool, inputs: Iterable[Path]) -> None:
    """Write a record as the only file of the folder `output`, whole or not at all.

    An earlier one stays when it differs in times and `provenance` alone. Raises InputError for other content.
    """
    value = record.model_dump(mode="json", by_alias=True)
    same = (output / name).is_file() and _lasting(read_json(output / name)) == _lasting(value)
    with output_folder(output, overwrite=overwrite, inputs=inputs, volatile=(name,) if same else ()) as folder:
        write_json(folder / name, value)


def _lasting(value: Any) -> Any:
    return (
        {key: value[key] for key in value.keys() - {"created", "provenance", "words_per_second"}}
        if isinstance(value, dict)
        else value
    )


def one_line(value: object) -> str:
    """Return JSON in one line; characters stay as they are, but for lone surrogates, which Parquet cannot hold."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isascii() or not _LONE_SURROGATE.search(text) else json.dumps(value)


def prediction_json(prediction: Prediction | None) -> str:
    """Return a prediction, or the lack of one, as it stands in tables of predictions."""
    return one_line(asdict(prediction) if isinstance(prediction, QaPrediction) else prediction)


def prediction_of(family: Family, text: str) -> Prediction | None:
    """Return what `prediction_json` wrote, of a task of this family."""
    value: Any = json.loads(text)
    if value is None:
        return None
    if family == "question_answering":
        return QaPrediction(**value)
    return tuple(value) if family == "tagging" else str(value)
