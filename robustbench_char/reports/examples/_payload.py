"""The examples of the explorer as plain data: texts once for each attack, results of each system beside them.

    tasks, suites, systems, operators, outcomes: lists of names, which the rest points into
    examples: [task, suite, id, fields, operators, gold, gold of the attacked text or 0]
    fields:   [name, [text, removed, inserted, text, removed, inserted, ..., text]] for each field
    results:  [example, system, outcome, prediction before, after, distances of words for each field, or 0]
    marks:    {example: what its edits are to the model that was searched}, of worst cases alone

Labels of words are joined by spaces, `∅` where a word was cut off; the prediction of an example that the system failed
on is `(failed)`. Distances are those of the field's words between white space, or null.
"""

from __future__ import annotations

import base64
import json
import math
import re
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from robustbench_char.analysis.pairs import Pair, grouped
from robustbench_char.records.evaluation import Record
from robustbench_char.records.sensitivity import SensitivityRecord, read_words
from robustbench_char.records.worst_case import WorstCases
from robustbench_char.reports._formatting import plural
from robustbench_char.reports.examples._cards import FAILED, edits_that_do_not_fit, marks_of, segments, shown_tag
from robustbench_char.reports.examples._choice import OUTCOMES, Changed, Row, Rows, answers_of, read_rows

MOST_RESULTS = 20_000
"""Results (an example by a system) that a page holds at most."""
MOST_BYTES = 14_000_000
"""Characters that they take, packed."""
CUT_OFF = "∅"

_WORD = re.compile(r"\S+")
_Tables: TypeAlias = Mapping[tuple[str | None, ...], pd.DataFrame]
_Distances: TypeAlias = Callable[[int, str, str], list[float | None] | int]
"""From row, field and clean text to the distance of each word between white space (None: not measured); 0 for none."""


class Sample(NamedTuple):
    """What the explorer shows: the data, how many results it holds, and of how many."""

    data: dict[str, Any]
    shown: int
    total: int


def _pack(data: Mapping[str, Any]) -> str:
    """Return data as JSON, deflated (zlib), in base64."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 9)).decode("ascii")


def sample(
    changed: Sequence[Changed],
    sensitivities: Sequence[tuple[Path, SensitivityRecord]] = (),
    searches: Sequence[WorstCases] = (),
    *,
    most: int = MOST_RESULTS,
    most_bytes: int = MOST_BYTES,
) -> tuple[Sample, str]:
    """Return the examples that the attacks changed, as data and packed.

    Where they are more than `most` results, or than fit into `most_bytes`, each attack of each task gives equally many
    examples, all systems of the same ones, in the order of choice. Raises InputError for edits that do not fit the
    texts.
    """
    number = max(1, most // max(1, len(changed)))
    rows = read_rows((pair, table["row"].head(number)) for pair, table in changed)
    words, marks = _words_of(sensitivities), {one.record.suite_sha256: least_edits(one) for one in searches}
    while True:
        chosen = _Builder(rows, words, changed, marks).build(number)
        packed = _pack(chosen.data)
        if len(packed) <= most_bytes or number == 1:
            return chosen, packed
        number = max(1, int(number * 0.9 * most_bytes / len(packed)))


class _Side(NamedTuple):
    """What one result is made of: one system on one attacked set."""

    record: Record
    folder: Path
    clean: Mapping[int, Row]
    attacked: Mapping[int, Row]
    system: str
    suite: str
    distances: _Distances


class _Builder:
    """Collects names, examples and results."""

    def __init__(
        self, rows: Rows, words: _Tables, changed: Sequence[Changed], least: Mapping[str, Mapping[int, str]]
    ) -> None:
        self.rows, self.words, self.changed, self.least = rows, words, changed, least
        self.marks: dict[str, str] = {}
        records = [pair.attacked for pair, _ in changed]
        self.systems, self.suites = _system_names(records), _suite_names(records)
        self.names: dict[str, dict[str, int]] = {name: {} for name in ("tasks", "suites", "systems", "operators")}
        self.examples: list[list[Any]] = []
        self.results: list[list[Any]] = []

    def build(self, number: int) -> Sample:
        indices: dict[tuple[str, ...], dict[int, int]] = {}  # of the examples, by attacked set and row
        for system, suite, (pair, table) in zip(self.systems, self.suites, self.changed, strict=True):
            record, chosen = pair.attacked, table.head(number)
            known = indices.setdefault((record.task, record.condition, record.data.sha256), {})
            side, attack = self._side(pair, system, suite, chosen["row"]), record.data.attack
            marks = self.least.get(attack.suite_sha256, {}) if attack else {}
            for row, outcome in zip(chosen["row"], chosen["outcome"], strict=True):
                if row not in known:
                    known[row] = len(self.examples)
                    self.marks |= {str(known[row]): marks[row]} if row in marks else {}
                    self.examples.append(self._example(side, row))
                self.results.append(self._result(side, row, known[row], outcome))
        names = {name: list(known) for name, known in self.names.items()}
        data = {**names, "outcomes": list(OUTCOMES), "examples": self.examples, "results": self.results}
        data["marks"] = self.marks
        return Sample(data, len(self.results), sum(len(table) for _, table in self.changed))

    def _side(self, pair: Pair, system: str, suite: str, rows: Iterable[int]) -> _Side:
        record = pair.attacked
        words = self.words.get((record.task, *record.system.all_weights, record.data.sha256))
        distances = word_distances(None if words is None else words[words["row"].isin(rows)])
        clean, attacked = self.rows[pair.clean_folder], self.rows[pair.attacked_folder]
        return _Side(record, pair.attacked_folder, clean, attacked, system, suite, distances)

    def _example(self, side: _Side, row: int) -> list[Any]:
        after, before = side.attacked[row], side.clean[row]
        fields = [
            [name, _segments(value if isinstance(value, str) else " ".join(value), name, after, side.folder)]
            for name, value in after.fields.items()
        ]
        operators = sorted({self._index("operators", edit["operator"]) for edit in after.edits})
        gold, gold_after = (_shown(example.gold, side.record.family) for example in (before, after))
        names = self._index("tasks", side.record.task), self._index("suites", side.suite)
        return [*names, after.id, fields, operators, gold, 0 if gold == gold_after else gold_after]

    def _result(self, side: _Side, row: int, example: int, outcome: str) -> list[Any]:
        predictions = [_shown(rows[row].prediction, side.record.family) for rows in (side.clean, side.attacked)]
        moved = [side.distances(row, name, _clean_text(parts)) for name, parts in self.examples[example][3]]
        system = self._index("systems", side.system)
        return [example, system, list(OUTCOMES).index(outcome), *predictions, moved if any(moved) else 0]

    def _index(self, kind: str, name: str) -> int:
        return self.names[kind].setdefault(name, len(self.names[kind]))


def least_edits(found: WorstCases) -> dict[int, str]:
    """Return by row what the edits of the attack set of a search are to the model that was searched."""
    name, exact = found.record.system.shown, found.record.exact
    how, missing = ("exact", "Nothing breaks") if exact else (found.record.search.search, "Nothing found that breaks")

    def mark(least: int | None, most: int) -> str:
        if not least:
            return f"{missing} {name} ({how})" if least is None else f"{name} is not entirely right on the clean text"
        if least < most:
            return f"Worst case of {name}: {plural(most, 'edit')}, of {least} that break it at the least ({how})"
        return f"Least edit{'' if least == 1 else 's'} that break{'s' if least == 1 else ''} {name} ({how})"

    table = found.least()
    least = [None if pd.isna(number) else int(number) for number in table["least"]]
    return dict(zip(table.index.tolist(), map(mark, least, table["worst"].tolist()), strict=True))


def _system_names(records: Sequence[Record]) -> list[str]:
    """Return what each record's system is called; with base and seed where a name stands for several runs."""
    systems, names = [record.system for record in records], []
    runs = grouped(systems, lambda system: system.shown)
    for system in systems:
        same = runs[system.shown]
        more = [system.base] if len({other.base for other in same}) > 1 else []
        more += [f"seed {system.training_seed}"] if len({other.training_seed for other in same}) > 1 else []
        names.append(f"{system.shown} ({', '.join(more)})" if more else system.shown)
    return names


def _suite_names(records: Sequence[Record]) -> list[str]:
    """Return what each record's attack is called; with its seed where a suite was drawn with several."""
    drawn = [(record.condition, record.data.attack.seed if record.data.attack else None) for record in records]
    seeds = grouped(set(drawn), lambda attack: attack[0])
    return [f"{suite} (seed {seed})" if len(seeds[suite]) > 1 else suite for suite, seed in drawn]


def _segments(text: str, field: str, row: Row, folder: Path) -> list[str]:
    try:
        return segments(text, marks_of(row.edits, field))
    except ValueError as error:
        raise edits_that_do_not_fit(folder, error) from None


def _clean_text(parts: Sequence[str]) -> str:
    return "".join(part for number, part in enumerate(parts) if number % 3 != 2)


def _shown(value: Any, family: str) -> str:
    if value is None:
        return FAILED
    if family == "tagging":
        return " ".join(shown_tag(tag) or CUT_OFF for tag in value)
    if family == "question_answering":
        return " | ".join(answers_of(value)) if isinstance(value, list) else str(value["text"])
    return str(value)


def _words_of(sensitivities: Sequence[tuple[Path, SensitivityRecord]]) -> _Tables:
    """Return the tables of words that were kept, by what identifies the result they belong to."""
    tables: dict[tuple[str | None, ...], pd.DataFrame] = {}
    for folder, record in sensitivities:
        table = read_words(folder, record) if record.system else None
        if record.system and table is not None:
            tables[record.task, *record.system.all_weights, record.attacked_sha256] = table
    return tables


def word_distances(table: pd.DataFrame | None) -> _Distances:
    """Return a function that looks up distances (see `metrics.sensitivity`) of the words between white space.

    Of several words between two spaces the largest distance counts.
    """
    if table is None:
        return lambda row, field, text: 0
    known: dict[tuple[int, str], list[tuple[int, float]]] = {}
    columns = (table[name] for name in ("row", "field", "start", "distance"))
    for row, field, start, distance in zip(*columns, strict=True):
        if not math.isnan(distance):
            known.setdefault((int(row), str(field)), []).append((int(start), float(distance)))

    def look_up(row: int, field: str, text: str) -> list[float | None] | int:
        starts = [match.start() for match in _WORD.finditer(text)]
        distances: list[float | None] = [None] * len(starts)
        for start, distance in known.get((row, field), []):
            index = bisect_right(starts, start) - 1
            if index >= 0:
                distances[index] = max(distances[index] or 0.0, round(distance, 2))
        return distances if any(value is not None for value in distances) else 0

    return look_up
