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
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from robustbench_char.common import InputError
from robustbench_char.evaluation.comparison import Pair
from robustbench_char.evaluation.records import Record, read_predictions
from robustbench_char.evaluation.sensitivity_records import SensitivityRecord, read_words
from robustbench_char.reports.choice import OUTCOMES, outcome_of
from robustbench_char.reports.explorer.distances import Distances, word_distances

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MOST_BYTES", "MOST_RESULTS", "Sample", "pack", "sample"]

MOST_RESULTS = 20_000
"""Results (an example by a system) that a page holds at most."""
MOST_BYTES = 14_000_000
"""Characters that they take, packed."""
CUT_OFF = "∅"

_Group = tuple[str, str, int]


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
    pairs: Sequence[Pair],
    sensitivities: Sequence[tuple[Path, SensitivityRecord]] = (),
    *,
    most: int = MOST_RESULTS,
    most_bytes: int = MOST_BYTES,
) -> tuple[Sample, str] | None:
    """Return the examples that the attacks changed, as data and packed; None where no pair has predictions.

    Where they are more than `most` results, or than fit into `most_bytes`, each attack of each task gives equally many
    examples, all systems of the same ones, in the order of the SHA-256 of suite and id. Raises InputError for
    predictions that are not their record's, or hold other rows than the clean ones.
    """
    groups: dict[_Group, list[_Side]] = {}
    for pair in pairs:
        if (side := _Side.of(pair)) is not None:
            groups.setdefault(side.group, []).append(side)
    if not groups:
        return None
    number = max(1, most // sum(map(len, groups.values())))
    words = _words_of(sensitivities)
    while True:
        found = _Builder(words).build(groups, number)
        packed = pack(found.data)
        if len(packed) <= most_bytes or number == 1:
            return found, packed
        number = max(1, int(number * 0.9 * most_bytes / len(packed)))


class _Side(NamedTuple):
    """One pair's predictions, by row, and its rows in the order of choice."""

    pair: Pair
    clean: dict[int, dict[str, Any]]
    attacked: dict[int, dict[str, Any]]
    rows: list[int]

    @property
    def group(self) -> _Group:
        attack = self.pair.attacked.data.attack
        return self.pair.attacked.task, self.pair.attacked.condition, attack.seed if attack else 0

    @classmethod
    def of(cls, pair: Pair) -> _Side | None:
        if pair.clean is None or pair.clean_folder is None:
            return None
        clean = read_predictions(pair.clean_folder, pair.clean)
        attacked = read_predictions(pair.attacked_folder, pair.attacked)
        if clean is None or attacked is None:
            return None
        if set(clean["row"]) != set(attacked["row"]):
            raise InputError(
                pair.attacked_folder,
                found=f"{len(attacked)} predictions with other rows than the {len(clean)} on clean data",
                expected="the same rows",
                fix="Evaluate both files whole.",
            )
        changed = attacked[attacked["edits"] != "[]"]
        suite = pair.attacked.condition
        ranks = {
            int(row): hashlib.sha256(f"{suite}\0{name}".encode()).hexdigest()
            for row, name in zip(changed["row"], changed["id"], strict=True)
        }
        rows = sorted(ranks, key=lambda row: (ranks[row], row))
        return cls(pair, _by_row(clean), _by_row(attacked), rows)


def _by_row(frame: pd.DataFrame) -> dict[int, dict[str, Any]]:
    return {int(row["row"]): {str(key): value for key, value in row.items()} for row in frame.to_dict("records")}


class _Builder:
    """Collects names, examples and results."""

    def __init__(self, words: Mapping[tuple[str, ...], pd.DataFrame]) -> None:
        self.words = words
        self.names: dict[str, dict[str, int]] = {name: {} for name in ("tasks", "suites", "systems", "operators")}
        self.examples: list[list[Any]] = []
        self.results: list[list[Any]] = []

    def build(self, groups: Mapping[_Group, Sequence[_Side]], number: int) -> Sample:
        total = sum(len(side.rows) for sides in groups.values() for side in sides)
        labels = _labels([side.pair.attacked for sides in groups.values() for side in sides])
        for sides in groups.values():
            places: dict[int, int] = {}
            for side in sides:
                distances = word_distances(self.words.get(_key(side.pair.attacked)))
                for row in side.rows[:number]:
                    if row not in places:
                        places[row] = len(self.examples)
                        self.examples.append(self._example(side, row))
                    label = labels[id(side.pair.attacked)]
                    self.results.append(self._result(side, row, places[row], label, distances))
        names = {name: list(known) for name, known in self.names.items()}
        data = {**names, "outcomes": list(OUTCOMES), "examples": self.examples, "results": self.results}
        return Sample(data, len(self.results), total)

    def _example(self, side: _Side, row: int) -> list[Any]:
        record, after, before = side.pair.attacked, side.attacked[row], side.clean[row]
        edits = json.loads(after["edits"])
        fields = [
            [name, _segments(value if isinstance(value, str) else " ".join(value), name, edits, side)]
            for name, value in json.loads(after["fields"]).items()
        ]
        operators = sorted({self._index("operators", edit["operator"]) for edit in edits})
        gold, gold_after = (_shown(json.loads(one["gold"]), record.family) for one in (before, after))
        place = self._index("tasks", record.task), self._index("suites", record.condition)
        return [*place, str(after["id"]), fields, operators, gold, 0 if gold == gold_after else gold_after]

    def _result(self, side: _Side, row: int, example: int, label: str, distances: Distances) -> list[Any]:
        family = side.pair.attacked.family
        before, after = side.clean[row], side.attacked[row]
        outcome = list(OUTCOMES).index(outcome_of(float(before["score"]), float(after["score"])))
        said = [_shown(json.loads(one["prediction"]), family) for one in (before, after)]
        fields = self.examples[example][3]
        moved = [distances(row, name, _clean_text(parts)) for name, parts in fields]
        return [example, self._index("systems", label), outcome, *said, moved if any(moved) else 0]

    def _index(self, kind: str, name: str) -> int:
        return self.names[kind].setdefault(name, len(self.names[kind]))


def _labels(records: Sequence[Record]) -> dict[int, str]:
    """Return what each record's system is called; with base and seed where a label stands for several runs."""
    bases: dict[str, set[str]] = {}
    seeds: dict[str, set[int | None]] = {}
    for record in records:
        bases.setdefault(record.system.shown, set()).add(record.system.base)
        seeds.setdefault(record.system.shown, set()).add(record.system.training_seed)
    names = {}
    for record in records:
        shown = record.system.shown
        more = [record.system.base] if len(bases[shown]) > 1 else []
        more += [f"seed {record.system.training_seed}"] if len(seeds[shown]) > 1 else []
        names[id(record)] = f"{shown} ({', '.join(more)})" if more else shown
    return names


def _segments(text: str, field: str, edits: Sequence[Mapping[str, Any]], side: _Side) -> list[str]:
    """Return an attacked text parted at its edits: text, removed, inserted, text, and so on."""
    parts, done = [], 0
    for edit in sorted((one for one in edits if one["field"] == field), key=lambda one: one["start_attacked"]):
        start, inserted = edit["start_attacked"], edit["inserted"]
        if start < done or text[start : start + len(inserted)] != inserted:
            raise InputError(
                side.pair.attacked_folder,
                found=f"an edit that is not in the text (no {inserted!r} at character {start})",
                expected="edits that fit the texts",
                fix="Evaluate the attacked file again.",
            )
        parts += [text[done:start], edit["removed"], inserted]
        done = start + len(inserted)
    return [*parts, text[done:]]


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


def _words_of(sensitivities: Sequence[tuple[Path, SensitivityRecord]]) -> dict[tuple[str, ...], pd.DataFrame]:
    """Return the tables of words that were kept, by what identifies the result they belong to."""
    found: dict[tuple[str, ...], pd.DataFrame] = {}
    for folder, record in sensitivities:
        table = read_words(folder, record) if record.system else None
        if record.system and table is not None:
            recogniser = record.system.recogniser.weights_sha256 if record.system.recogniser else ""
            found[record.task, record.system.weights_sha256, recogniser, record.attacked_sha256] = table
    return found


def _key(record: Record) -> tuple[str, ...]:
    recogniser = record.system.recogniser.weights_sha256 if record.system.recogniser else ""
    return record.task, record.system.weights_sha256, recogniser, record.data.sha256
