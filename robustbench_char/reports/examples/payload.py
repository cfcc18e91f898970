"""The examples of the explorer as plain data: texts once for each attack, results of each system beside them.

    tasks, suites, systems, operators, outcomes: lists of names, which the rest points into
    examples: [task, suite, id, fields, operators, gold, gold of the attacked text or 0]
    fields:   [name, [text, removed, inserted, text, removed, inserted, ..., text]] for each field
    results:  [example, system, outcome, prediction before, after, distances of words for each field, or 0]

Labels of words are joined by spaces, `∅` where a word was cut off; distances are those of the field's words between
white space, or null.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from robustbench_char.common import InputError
from robustbench_char.records.evaluation import Record, read_predictions
from robustbench_char.records.sensitivity import SensitivityRecord, read_words
from robustbench_char.reports.examples.choice import OUTCOMES, Changed
from robustbench_char.reports.examples.distances import Distances, word_distances
from robustbench_char.text.edits import Edit, unchanged

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MOST_BYTES", "MOST_RESULTS", "Sample", "pack", "sample"]

MOST_RESULTS = 20_000
"""Results (an example by a system) that a page holds at most."""
MOST_BYTES = 14_000_000
"""Characters that they take, packed."""
CUT_OFF = "∅"

_Rows: TypeAlias = Mapping[int, Mapping[str, Any]]
_Tables: TypeAlias = "Mapping[tuple[str | None, ...], pd.DataFrame]"


class Sample(NamedTuple):
    """What the explorer shows: the data, how many results it holds, and of how many."""

    data: dict[str, Any]
    shown: int
    total: int


def pack(data: Mapping[str, Any]) -> str:
    """Return data as JSON, deflated (zlib), in base64."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 9)).decode("ascii")


def sample(
    changed: Sequence[Changed],
    sensitivities: Sequence[tuple[Path, SensitivityRecord]] = (),
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
    rows, words = _read_rows(changed, number), _words_of(sensitivities)
    while True:
        found = _Builder(rows, words, changed).build(number)
        packed = pack(found.data)
        if len(packed) <= most_bytes or number == 1:
            return found, packed
        number = max(1, int(number * 0.9 * most_bytes / len(packed)))


def _read_rows(changed: Sequence[Changed], number: int) -> dict[Path | None, _Rows]:
    """Read the first `number` examples of each pair from its two folders, each folder once."""
    wanted: dict[Path, set[int]] = {}
    for pair, table in changed:
        for folder in (pair.clean_folder, pair.attacked_folder):
            if folder is not None:
                wanted.setdefault(folder, set()).update(table["row"].head(number))
    return {folder: _rows_of(folder, rows) for folder, rows in wanted.items()}


def _rows_of(folder: Path, rows: set[int]) -> _Rows:
    frame = read_predictions(folder)
    if frame is None:
        raise ValueError(f"no predictions in {folder}")
    kept = frame[frame["row"].isin(sorted(rows))]
    return {int(row["row"]): {str(key): value for key, value in row.items()} for row in kept.to_dict("records")}


class _Side(NamedTuple):
    """What one result is made of: one system on one attacked set."""

    record: Record
    folder: Path
    clean: _Rows
    attacked: _Rows
    system: str
    suite: str
    distances: Distances


class _Builder:
    """Collects names, examples and results."""

    def __init__(self, rows: Mapping[Path | None, _Rows], words: _Tables, changed: Sequence[Changed]) -> None:
        self.rows, self.words, self.changed = rows, words, changed
        records = [pair.attacked for pair, _ in changed]
        self.systems, self.suites = _system_names(records), _suite_names(records)
        self.names: dict[str, dict[str, int]] = {name: {} for name in ("tasks", "suites", "systems", "operators")}
        self.examples: list[list[Any]] = []
        self.results: list[list[Any]] = []

    def build(self, number: int) -> Sample:
        places: dict[tuple[str, ...], dict[int, int]] = {}  # of the examples, by attacked set and row
        for place, one in enumerate(self.changed):
            record = one.pair.attacked
            chosen = one.table.head(number)
            known = places.setdefault((record.task, record.condition, record.data.sha256), {})
            side = self._side(place, one, chosen["row"])
            for row, outcome in zip(chosen["row"], chosen["outcome"], strict=True):
                if row not in known:
                    known[row] = len(self.examples)
                    self.examples.append(self._example(side, row))
                self.results.append(self._result(side, row, known[row], outcome))
        names = {name: list(known) for name, known in self.names.items()}
        data = {**names, "outcomes": list(OUTCOMES), "examples": self.examples, "results": self.results}
        return Sample(data, len(self.results), sum(len(table) for _, table in self.changed))

    def _side(self, place: int, one: Changed, rows: Iterable[int]) -> _Side:
        pair = one.pair
        words = self.words.get(_key(pair.attacked))
        return _Side(
            pair.attacked,
            pair.attacked_folder,
            self.rows[pair.clean_folder],
            self.rows[pair.attacked_folder],
            self.systems[place],
            self.suites[place],
            word_distances(None if words is None else words[words["row"].isin(rows)]),
        )

    def _example(self, side: _Side, row: int) -> list[Any]:
        after, before = side.attacked[row], side.clean[row]
        edits = json.loads(after["edits"])
        fields = [
            [name, _segments(value if isinstance(value, str) else " ".join(value), name, edits, side.folder)]
            for name, value in json.loads(after["fields"]).items()
        ]
        operators = sorted({self._index("operators", edit["operator"]) for edit in edits})
        gold, gold_after = (_shown(json.loads(one["gold"]), side.record.family) for one in (before, after))
        place = self._index("tasks", side.record.task), self._index("suites", side.suite)
        return [*place, str(after["id"]), fields, operators, gold, 0 if gold == gold_after else gold_after]

    def _result(self, side: _Side, row: int, example: int, outcome: str) -> list[Any]:
        said = [
            _shown(json.loads(one["prediction"]), side.record.family) for one in (side.clean[row], side.attacked[row])
        ]
        moved = [side.distances(row, name, _clean_text(parts)) for name, parts in self.examples[example][3]]
        system = self._index("systems", side.system)
        return [example, system, list(OUTCOMES).index(outcome), *said, moved if any(moved) else 0]

    def _index(self, kind: str, name: str) -> int:
        return self.names[kind].setdefault(name, len(self.names[kind]))


def _system_names(records: Sequence[Record]) -> list[str]:
    """Return what each record's system is called; with base and seed where a name stands for several runs."""
    bases: dict[str, set[str]] = {}
    seeds: dict[str, set[int | None]] = {}
    for record in records:
        bases.setdefault(record.system.shown, set()).add(record.system.base)
        seeds.setdefault(record.system.shown, set()).add(record.system.training_seed)
    names = []
    for system in (record.system for record in records):
        more = [system.base] if len(bases[system.shown]) > 1 else []
        more += [f"seed {system.training_seed}"] if len(seeds[system.shown]) > 1 else []
        names.append(f"{system.shown} ({', '.join(more)})" if more else system.shown)
    return names


def _suite_names(records: Sequence[Record]) -> list[str]:
    """Return what each record's attack is called; with its seed where a suite was drawn with several."""
    drawn = [(record.condition, record.data.attack.seed if record.data.attack else None) for record in records]
    seeds: dict[str, set[int | None]] = {}
    for suite, seed in drawn:
        seeds.setdefault(suite, set()).add(seed)
    return [f"{suite} (seed {seed})" if len(seeds[suite]) > 1 else suite for suite, seed in drawn]


def _segments(text: str, field: str, edits: Sequence[Mapping[str, Any]], folder: Path) -> list[str]:
    """Return an attacked text parted at its edits: text, removed, inserted, text, and so on."""
    own = sorted((edit for edit in edits if edit["field"] == field), key=lambda edit: edit["start_attacked"])
    undoing = [Edit(edit["start_attacked"], edit["inserted"], edit["removed"]) for edit in own]
    try:
        first, *rest = unchanged(text, undoing)
    except ValueError as error:
        raise InputError(
            folder,
            found=f"an edit that is not in the text ({error})",
            expected="edits that fit the texts",
            fix="Evaluate the attacked file again.",
        ) from None
    parts = ((edit.inserted, edit.removed, stretch) for edit, stretch in zip(undoing, rest, strict=True))
    return [first, *chain.from_iterable(parts)]


def _clean_text(parts: Sequence[str]) -> str:
    return "".join(part for place, part in enumerate(parts) if place % 3 != 2)


def _shown(value: Any, family: str) -> str:
    if family == "tagging":
        return " ".join(CUT_OFF if tag is None else str(tag) for tag in value)
    if family == "question_answering":
        if isinstance(value, list):
            return " | ".join(dict.fromkeys(one if isinstance(one, str) else str(one["text"]) for one in value))
        return str(value["text"])
    return str(value)


def _words_of(sensitivities: Sequence[tuple[Path, SensitivityRecord]]) -> _Tables:
    """Return the tables of words that were kept, by what identifies the result they belong to."""
    found: dict[tuple[str | None, ...], pd.DataFrame] = {}
    for folder, record in sensitivities:
        table = read_words(folder, record) if record.system else None
        if record.system and table is not None:
            found[record.task, *record.system.all_weights, record.attacked_sha256] = table
    return found


def _key(record: Record) -> tuple[str | None, ...]:
    return record.task, *record.system.all_weights, record.data.sha256
