"""What a search for the worst case writes beside the attack set: `worst_case.json`, and its steps, example by example.

`worst_case.parquet` has a row per step of each example: a text that was worse than all before it, the clean one first.
Columns: `row`, `id`; `options` (single edits open to its texts), `questions` (asked in all), `complete` (the budget
sufficed) and `certified` (the most errors under any attack of one edit in each of 1, 2, ... words, as far as that is
known), which are those of the example; `asked` (after how many questions), `edits` (of its texts), `sure` (how sure the
model was of the gold labels), and the counts of the record's metric. No text of the data is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from robustbench_char.attacks.search_info import SearchInfo
from robustbench_char.common.files import sha256_file, write_json
from robustbench_char.common.frozen import Frozen, lines_of, read_json_model
from robustbench_char.common.provenance import Provenance
from robustbench_char.metrics.base import METRICS, Floats
from robustbench_char.metrics.bootstrap import Interval, interval
from robustbench_char.records.evaluation import DataInfo, SystemInfo
from robustbench_char.records.published import STEPS, WORST_CASE, find_results, find_steps

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "STEPS",
    "WORST_CASE",
    "QueryCounts",
    "WorstCaseRecord",
    "WorstCases",
    "find_worst_cases",
    "read_worst_cases",
]

STEP_COLUMNS = ("row", "id", "options", "questions", "complete", "certified", "asked", "edits", "sure")
_EXPECTED, _FIX = "what a search for the worst case wrote", "Search again."


class QueryCounts(Frozen):
    """Questions to the model: all, different ones, those answered before (`cached`), and the windows that it
    `read` for the others: fewer, where a defence makes one text of several; more, where texts are long.
    """

    total: int
    distinct: int
    cached: int
    read: int


class WorstCaseRecord(Frozen):
    """A search for the worst case of one system on one file; its attack set is beside it.

    `exact`: every state within suite and edits was tried, for each example. `suite` is the suite that was searched,
    `suite_sha256` that of the attack set, which holds the search. `data` is the clean file. Of attacks with the same
    `constraints` (see `AttackInfo`; None: not known) and as many edits a text, none is worse than an exact worst case.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    task: str
    family: str
    metric: str
    headline: str
    classes: tuple[str, ...] | None
    system: SystemInfo
    data: DataInfo
    suite: str
    suite_sha256: str
    constraints: str | None = None
    search: SearchInfo
    exact: bool
    queries: QueryCounts
    steps_sha256: str
    wall_seconds: float
    device: str
    created: str
    provenance: Provenance


@dataclass(frozen=True)
class WorstCases:
    """A record and its steps: how well the system does within any number of edits or questions."""

    record: WorstCaseRecord
    steps: pd.DataFrame

    @cached_property
    def rows(self) -> list[int]:
        """The examples, in file order."""
        return self.steps["row"].drop_duplicates().tolist()

    def counts(self, *, edits: int | None = None, questions: int | None = None) -> Floats:
        """Return the counts [N, K] of each example at its worst within so many edits and questions."""
        kept = self.steps
        if edits is not None:
            kept = kept[kept["edits"] <= edits]
        if questions is not None:
            kept = kept[kept["asked"] <= questions]
        last = kept.groupby("row", sort=False).last()
        return last[self._columns].to_numpy(np.float64)

    def score(self, *, edits: int | None = None, questions: int | None = None) -> Interval:
        """Return the headline score within so many edits and questions, in percent, with its 95% interval."""
        return interval(self.counts(edits=edits, questions=questions), self._metric.score)

    def broken(self, edits: int | None = None) -> Interval:
        """Return which share of the examples that were entirely right is not so any more, in percent."""
        before, after = self._wrong(self.counts(edits=0)), self._wrong(self.counts(edits=edits))
        return _mean(100.0 * after[~before])

    def edits_to_break(self) -> Interval:
        """Return the mean number of edits that it took, over the examples that were right and are not so any more."""
        least = [self._wrong(self.counts(edits=number)) for number in range(self.record.search.edits + 1)]
        table = np.stack(least)
        broken = table[-1] & ~table[0]
        return _mean(table[:, broken].argmax(axis=0).astype(np.float64))

    def certified(self, words: int = 1) -> Interval:
        """Return which share of all examples is entirely right under any attack of one edit in each of so many words.

        In percent, over all examples: one that could not be certified counts as not.
        """
        lists = self.steps.drop_duplicates("row")["certified"]
        right = [len(one) >= words and one[words - 1] == 0 for one in lists]
        return _mean(100.0 * np.array(right, np.float64))

    def least(self) -> pd.DataFrame:
        """Return by row how many edits break an example, and how many its worst case has.

        `least`: 0 where it is not entirely right on the clean text, missing where nothing that was tried breaks it.
        """
        wrong = self.steps[self._wrong(self.steps[self._columns].to_numpy(np.float64))]
        rows = self.steps.groupby("row", sort=False)["edits"].last().to_frame("worst")
        return rows.assign(least=wrong.groupby("row")["edits"].min().astype("Int64"))

    def already_wrong(self) -> int:
        """Return how many examples are not entirely right on the clean text."""
        return int(self._wrong(self.counts(edits=0)).sum())

    @property
    def _metric(self) -> Any:
        return METRICS.get(self.record.metric)

    @property
    def _columns(self) -> list[str]:
        return list(self._metric.columns(self.record.classes))

    def _wrong(self, counts: Floats) -> Any:
        return np.array([self._metric.errors(row)[0] > 1e-9 for row in counts], np.bool_)

    def __repr__(self) -> str:
        record, search = self.record, self.record.search
        queries, most, took = record.queries, search.edits, self.edits_to_break()
        return lines_of(
            f"Worst case of {record.system.shown} on {record.task}, {record.suite}, at most {most}"
            f" edit{'s' if most > 1 else ''}",
            search=f"{search.search}{' (exact)' if record.exact else ''}, guided by {search.guided_by}",
            score=f"{_shown(self.score())} {record.headline}, clean {_shown(self.score(edits=0))}",
            broken=f"{_shown(self.broken())}% of {len(self.rows) - self.already_wrong():,} examples that were right"
            + ("" if took.value is None else f", by {_shown(took)} edits (mean)"),
            certified=self._certified(),
            queries=f"{queries.total:,}, {queries.distinct:,} different ones, {queries.cached:,} answered before,"
            f" {queries.read:,} windows read in {record.wall_seconds:.0f} s",
        )

    def _certified(self) -> str:
        """Return how many examples stay right for certain, by number of words; nothing without certificates."""
        longest = max(map(len, self.steps["certified"]), default=0)
        shares = (f"{_shown(self.certified(words))}% of {len(self.rows):,} under any edit of {words}"
                  for words in range(1, longest + 1))  # fmt: skip
        return ", ".join(shares)


def _mean(values: Floats) -> Interval:
    """Return the mean of values and its 95% interval over examples."""
    if not len(values):
        return Interval(None, note="no examples")
    statistic: Callable[[Floats], Floats] = lambda sums: sums[..., 0] / sums[..., 1]  # noqa: E731
    return interval(np.stack([values, np.ones_like(values)], axis=1), statistic)


def _shown(value: Interval) -> str:
    if value.value is None:
        return "none"
    return f"{value.value:.1f}" + (f" [{value.low:.1f}, {value.high:.1f}]" if value.low is not None else "")


def write_worst_cases(folder: Path, record: dict[str, Any], steps: pd.DataFrame) -> WorstCases:
    """Write record and steps into a folder; the fields of the record come without the hash of the steps."""
    steps.to_parquet(folder / STEPS, index=False, compression="zstd")
    whole = WorstCaseRecord(**record, steps_sha256=sha256_file(folder / STEPS))
    write_json(folder / WORST_CASE, whole.model_dump(mode="json", by_alias=True))
    return WorstCases(whole, steps)


def find_worst_cases(folders: Sequence[Path]) -> list[tuple[Path, WorstCases]]:
    """Return every search below the folders with the folder it stands in, in sorted order; there may be none.

    A folder is one that searches wrote, or a published set (see `published`). Raises InputError that names the file of
    what is missing, damaged or altered.
    """
    found = find_results(folders, WORST_CASE, WorstCaseRecord, expected=_EXPECTED, fix=_FIX)
    return [(folder, WorstCases(record, find_steps(folder, record.steps_sha256))) for folder, record in found]


def read_worst_cases(folder: Path) -> WorstCases:
    """Read what a search wrote into a folder. Raises InputError as `find_worst_cases` does."""
    record = read_json_model(folder / WORST_CASE, WorstCaseRecord, expected=_EXPECTED, fix=_FIX)
    return WorstCases(record, find_steps(folder, record.steps_sha256))
