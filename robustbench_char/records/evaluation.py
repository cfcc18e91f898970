"""What `evaluate` writes: `record.json`, one measured result with its provenance, and `predictions.parquet` beside it.

Reports are functions of records, their counts (see `counts`) and their predictions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field

from robustbench_char.attacks.search_info import SearchInfo
from robustbench_char.common.errors import InputError
from robustbench_char.common.files import sha256_file, write_json
from robustbench_char.common.frozen import Frozen, read_json_model
from robustbench_char.common.provenance import Provenance
from robustbench_char.common.seeds import StoredSeed
from robustbench_char.records.defence import DefenceInfo
from robustbench_char.records.published import RECORD, find_counts, find_results, is_folder, read_table
from robustbench_char.records.readable import record_lines
from robustbench_char.records.systems import ForeignModelInfo, PredictorInfo, SystemInfo
from robustbench_char.records.training import AugmentInfo, PretrainingInfo
from robustbench_char.tasks.base import Family

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PREDICTION_COLUMNS",
    "AttackInfo",
    "AugmentInfo",
    "DataInfo",
    "DefenceInfo",
    "ForeignModelInfo",
    "PredictorInfo",
    "PretrainingInfo",
    "Record",
    "SystemInfo",
    "find_records",
    "read_counts",
    "read_predictions",
    "read_record",
    "result_part",
    "write_predictions",
    "write_record",
]

_EXPECTED, _FIX = "a record written by `evaluate`", "Run `robustbench-char evaluate` again."
PREDICTIONS = "predictions.parquet"

PREDICTION_COLUMNS = ("row", "id", "fields", "gold", "prediction", "score", "edits")
"""`fields`, `gold`, `prediction` and `edits` hold JSON; `score` is the example's own (1 right, 0 wrong; F1 of a
question, share of right tags of a tagging). `fields` maps a field to its text or tokens as evaluated. `edits` (an empty
list on clean data) holds objects with field, word (its number under the suite's splitter), operator, start_clean,
start_attacked, removed, inserted, word_before and word_after. Where the system failed on an example, its `prediction`
is null, and a last column `error` holds the reason; of a chat model also what of its answer could not be used (missing
for all others)."""
ERROR = "error"
_PREDICTIONS = f"the predictions of one evaluation (columns {', '.join(PREDICTION_COLUMNS)})"


class AttackInfo(Frozen):
    """How the data was attacked, read from the manifest beside it. Strengths are shares of eligible words.

    `requested_strength` is None where the suite asks for a number of words, `effective_strength` where no word is
    eligible, `no_op_share` where none was chosen. `word_edits` is how many edits a word gets at most (None: any number,
    or not known), `character_error_rate` the share of characters that edits change (None: not known). `search` is that
    of a worst case, with the model that it is the worst case of (None: edits were drawn), `requested_edits` the most
    edits of an example (None: a share, or not known). Attacks with the same `constraints` chose among the same edits.
    """

    suite: str
    suite_sha256: str
    seed: StoredSeed
    clean_sha256: str
    requested_strength: float | None
    effective_strength: float | None
    eligible_words: int
    edits: int
    words: int
    no_op_share: float | None
    counts_by_operator: dict[str, int]
    word_edits: int | None = 1
    character_error_rate: float | None = None
    requested_edits: int | None = None
    constraints: str | None = None
    search: SearchInfo | None = None


class DataInfo(Frozen):
    """What it was evaluated on; `attack` is None for clean data. `source` is a file name or `mini`, never a path.

    `limit` says that the first so many examples alone were evaluated (None: all); an attack's counts are of the file.
    `trained_on` counts those of the evaluated examples that the system was fine-tuned on, clean or attacked (None: not
    any, as far as is known; older systems and those from elsewhere do not tell).
    """

    source: str
    sha256: str
    examples: int
    attack: AttackInfo | None = None
    limit: int | None = None
    trained_on: int | None = None


class Record(Frozen):
    """One evaluation. `scores` are in percent at full precision, `headline` names the one that tables show.

    `clean_gold_scores` scores question answering against the answers of the clean text (None elsewhere). `counts` holds
    what the scores stand on: examples, for tagging tokens, entities, `truncated_words` (counted as errors), and so on;
    `failed_examples` have no usable prediction, count as wrong, and are absent where there are none; `pieces` are the
    sub-words that the model read, which took `predict_seconds` (None: not measured). Of a chat model these are the
    seconds of all requests, `tokens_in` and `tokens_out` its own counts, `cost` is in the currency of the
    price, and `served` is what the model calls itself.
    `task_note` is what a reader of the task's scores should know. `constant_score` is the headline score of the best
    answer that is the same for all examples (None: not known, in older records).
    `counts_sha256` is that of the counts of each example beside it (see `count_table`; None in older records).
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    task: str
    family: Family
    metric: str
    headline: str
    system: SystemInfo
    data: DataInfo
    scores: dict[str, float]
    clean_gold_scores: dict[str, float] | None = None
    constant_score: float | None = None
    counts: dict[str, int]
    task_note: str | None = None
    predictions_sha256: str
    counts_sha256: str | None = None
    wall_seconds: float
    predict_seconds: float | None = None
    cost: float | None = None
    served: tuple[str, ...] = ()
    device: str
    created: str
    provenance: Provenance

    def __repr__(self) -> str:
        return record_lines(self)

    __str__ = __repr__

    @property
    def condition(self) -> str:
        """`clean`, or the name of the attack suite; that of a worst case tells apart which model was searched, and how.

        Models that differ in their training seed alone have one name.
        """
        attack = self.data.attack
        if attack is None or attack.search is None:
            return attack.suite if attack else "clean"
        return f"{attack.suite} ({attack.search.search}, {attack.suite_sha256[:6]})"

    @property
    def clean_sha256(self) -> str:
        """The hash of the data before any attack."""
        return self.data.attack.clean_sha256 if self.data.attack else self.data.sha256

    @property
    def saw_attack(self) -> Literal["suite", "operators", "edits"] | None:
        """What the system knew of the evaluated attack: the whole suite, some operators, the number of edits, nothing.

        A suite counts, by its name, wherever it was seen: in a training file or text, in augmentation (unless it left
        out an operator), by the defence, as the noise of pre-training. Operators count where training files,
        augmentation, the defence or trained characters used them, edits where the defence assumes as many in a word as
        the attack makes, or more.
        """
        attack, system = self.data.attack, self.system
        if attack is None:
            return None
        if _same_suite(attack, system):
            return "suite"
        seen = set(system.defence.operators) if system.defence else set()
        seen |= set(system.pretraining.character_operators) if system.pretraining else set()
        seen |= {operator for trained in system.trained_attacks for operator in trained.operators}
        if system.augment:
            seen |= set(system.augment.operators) - set(system.augment.without)
        if seen & {name for name, number in attack.counts_by_operator.items() if number}:
            return "operators"
        assumed = system.defence.edits if system.defence else None
        return "edits" if assumed and attack.word_edits and attack.word_edits <= assumed else None

    @property
    def cost_per_piece(self) -> float | None:
        """Seconds of prediction per sub-word, or None where it was not measured."""
        pieces = self.counts.get("pieces")
        return self.predict_seconds / pieces if pieces and self.predict_seconds is not None else None


def _same_suite(attack: AttackInfo, system: SystemInfo) -> bool:
    augment, defence, pretraining = system.augment, system.defence, system.pretraining
    return attack.suite in (
        augment.suite if augment and not augment.without else None,
        *(defence.suites if defence else ()),
        pretraining.noise if pretraining and pretraining.noise_share != 0 else None,
        pretraining.character_noise if pretraining else None,
        *(trained.suite for trained in system.trained_attacks),
    )


VOLATILE = (
    "wall_seconds", "predict_seconds", "cost", "created", "provenance", "system.pretraining.wall_seconds",
    "system.pretraining.tokens_per_second",
)  # fmt: skip
"""What two records of the same result may differ in: times, commits, versions, machines."""


def result_part(record: BaseModel) -> dict[str, Any]:
    """Return a record (of whichever kind) as JSON without what is VOLATILE: equal for equal results."""
    value = record.model_dump(mode="json", by_alias=True)
    for name in VOLATILE:
        *outer, last = name.split(".")
        inner: Any = value
        for key in outer:
            inner = inner and inner[key]
        if inner:
            inner.pop(last, None)
    return value


def write_record(folder: Path, record: Record) -> None:
    """Write `record.json` into a folder that exists."""
    write_json(folder / RECORD, record.model_dump(mode="json", by_alias=True))


def read_record(path: Path) -> Record:
    """Read one record. Raises InputError that names file and field, also for a record of a newer version."""
    return _checked(path, read_json_model(path, Record, expected=_EXPECTED, fix=_FIX))


def _checked(path: Path, record: Record) -> Record:
    if record.headline not in record.scores:
        found = f"{record.headline!r}, which is not among the scores"
        raise InputError(f"{path}: headline", found=found, expected=_EXPECTED, fix=_FIX)
    return record


def find_records(folders: list[Path]) -> list[tuple[Path, Record]]:
    """Return every record below the folders with the folder it stands in, in sorted order.

    A folder is one that commands wrote, or a published set (see `published`). Raises InputError when there is none.
    """
    for folder in folders:
        if not is_folder(folder):
            raise InputError(folder, found="a file" if folder.is_file() else "no such folder",
                             expected="a folder that `evaluate` wrote", fix="Check the path.")  # fmt: skip
    records = find_results(folders, RECORD, Record, expected=_EXPECTED, fix=_FIX)
    if not records:
        place, fix = ", ".join(map(str, folders)), "Run `robustbench-char evaluate` first."
        raise InputError(place, found=f"no {RECORD}", expected="at least one evaluation", fix=fix)
    return [(folder, _checked(folder / RECORD, record)) for folder, record in records]


def read_counts(folder: Path, record: Record) -> pd.DataFrame | None:
    """Return the counts beside a record (see `count_table`), or None where an older version kept none.

    Raises InputError for a file that is damaged, missing, or not the one that the record was made with.
    """
    return None if record.counts_sha256 is None else find_counts(folder, record.counts_sha256)


def write_predictions(folder: Path, frame: pd.DataFrame) -> str:
    """Write the predictions of a record, one row per example, and return the SHA-256 of the file.

    Raises InputError unless the columns are PREDICTION_COLUMNS.
    """
    path = folder / PREDICTIONS
    if not _fits(list(frame.columns)):
        found = f"the columns {', '.join(map(str, frame.columns))}"
        raise InputError(path, found=found, expected=_PREDICTIONS, fix=_FIX)
    frame.to_parquet(path, index=False)
    return sha256_file(path)


def read_predictions(
    folder: Path, record: Record | None = None, *, columns: Sequence[str] | None = None
) -> pd.DataFrame | None:
    """Return the predictions beside a record, or None where they were not kept (published results hold numbers only).

    `columns` are those that are read (default: all). Raises InputError for a file that is damaged, and, where `record`
    is given, for one that is not the one it was made with.
    """
    path, sha256 = folder / PREDICTIONS, record.predictions_sha256 if record else None
    if not path.is_file():
        return None
    return read_table(path, sha256, fits=_fits, expected=_PREDICTIONS, fix=_FIX, columns=columns)


def _fits(columns: list[str]) -> bool:
    return columns in ([*PREDICTION_COLUMNS], [*PREDICTION_COLUMNS, ERROR])
