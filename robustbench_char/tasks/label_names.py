"""What the labels of somebody's model mean in a task: by their names, or as its user says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from robustbench_char.common.errors import InputError
from robustbench_char.common.files import whole_file
from robustbench_char.tasks.base import Task

__all__ = ["MARKS", "LabelMap", "given_labels", "map_labels"]

_NOTHING = "-"
"""What stands in `--labels` for a label that the task does not have."""
_SAME = (
    {"equivalent", "paraphrase", "paraphrased", "is_paraphrase"},
    {"not_equivalent", "not_paraphrase", "non_paraphrase", "no_paraphrase", "inequivalent"},
    {"duplicate", "is_duplicate", "paraphrase"},
    {"not_duplicate", "non_duplicate", "no_duplicate", "not_paraphrase"},
    {"acceptable", "grammatical"},
    {"unacceptable", "not_acceptable", "ungrammatical"},
    {"entailment", "entailed", "entails"},
    {"not_entailment", "non_entailment", "no_entailment", "not_entailed"},
    {"per", "person", "pers"},
    {"org", "organization", "organisation"},
    {"loc", "location"},
    {"misc", "miscellaneous"},
)
"""Names that mean the same; other pairs are for `--labels`."""
_UNNAMED = re.compile(r"LABEL_\d+", re.IGNORECASE)
_NO_TAGS = {"[pad]", "<pad>", "[cls]", "[sep]"}
"""What some models have beside tags, for pieces that are not the first of a word."""
MARKS = {"B": "B", "I": "I", "L": "I", "E": "I", "M": "I", "U": "B", "W": "B", "S": "B"}
"""Marks of all schemes, and what they are in one where B begins an entity and I goes on with it."""


class LabelMap(NamedTuple):
    """The labels of a model in the order of its ids, and what each means in the task (None: nothing).

    `missing` are labels of the task that it does not have, `scheme` is that of its tags.
    """

    names: tuple[str, ...] = ()
    meant: tuple[str | None, ...] = ()
    missing: tuple[str, ...] = ()
    scheme: str | None = None


def given_labels(given: Sequence[str]) -> tuple[str, ...]:
    """Return the names in `--labels`: a list, one text parted by commas, or a file with one per line.

    Raises InputError for a file that cannot be read.
    """
    if len(given) != 1:
        return tuple(given)
    path = Path(given[0]).expanduser()
    if "," in given[0] or not path.is_file():
        return tuple(name.strip() for name in given[0].split(","))
    try:
        lines = whole_file(path).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        found, fix = f"a file that cannot be read ({error})", "Give names, parted by commas."
        raise InputError("--labels", found=found, expected="one name per line", fix=fix) from None
    return tuple(line.strip() for line in lines if line.strip())


def map_labels(task: Task, names: Sequence[str], given: Sequence[str] = (), *, place: object = "the model") -> LabelMap:
    """Return what each label of a model means in a task; `given` says it where names do not.

    Raises InputError with both lists where they do not match, and for `given` labels that are not the task's.
    """
    if task.family == "question_answering":
        return LabelMap()
    entities = task.metric == "entity_f1"
    known = tuple(task.format_options.get("tag_names", ())) if task.family == "tagging" else task.labels or ()
    if given:
        _check_given(task, names, given, known, entities)
        meant: Sequence[str | None] = [None if label == _NOTHING else label for label in given]
    else:
        meant = _by_kind(names, known) if entities else [_meant(task, name, known) for name in names]
        if not _complete(names, meant, known, entities):
            raise _mismatch(task, names, known, meant, place)
    missing = _missing(meant, known, entities)
    if not entities:
        return LabelMap(tuple(names), tuple(meant), missing)
    return LabelMap(tuple(names), _in_bio(meant), missing, _scheme([tag or "O" for tag in meant]))


def _complete(names: Sequence[str], meant: Sequence[str | None], known: Sequence[str], entities: bool) -> bool:
    """Return whether every label means one of the task's, and each of those is meant."""
    unknown = [name for name, one in zip(names, meant, strict=True) if one is None and name.lower() not in _NO_TAGS]
    return not unknown and not _missing(meant, known, entities)


def _missing(meant: Sequence[str | None], known: Sequence[str], entities: bool) -> tuple[str, ...]:
    """Return the labels of the task that none of the model means; of entities their types, whatever their marks."""
    if entities:
        known, meant = [tag[2:] for tag in known], [tag and tag[2:] for tag in meant]
    return tuple(dict.fromkeys(label for label in known if label and label not in meant))


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().lower())


def _meant(task: Task, name: str, known: Sequence[str]) -> str | None:
    """Return the label of the task that a name means; a name is known by itself where the task lists none."""
    if not known:
        return None if name.lower() in _NO_TAGS or _UNNAMED.fullmatch(name) else name
    if name in known or task.family != "classification":
        return name if name in known else None
    spelled = {str(number): label for number, label in enumerate(known)} | task.format_options.get("labels", {})
    return str(spelled[name]) if name in spelled else _alike(name, known)


def _alike(name: str, known: Sequence[str]) -> str | None:
    plain = _plain(name)
    alike = {plain}.union(*(group for group in _SAME if plain in group))
    exact = [label for label in known if _plain(label) == plain]
    return next(iter(exact or [label for label in known if _plain(label) in alike]), None)


def _parts(tag: str) -> tuple[str, str]:
    """Return mark and type of a tag; a bare type is marked I, and O has no type."""
    mark, kind = tag[:1].upper(), tag[2:]
    if tag[1:2] in ("-", "_") and kind and mark in MARKS:
        return mark, kind
    return ("O", "") if tag.upper() == "O" else ("I", tag)


def _by_kind(names: Sequence[str], known: Sequence[str]) -> list[str | None]:
    """Return tags with the types of the task and marks as they are; None for types that it does not have."""
    kinds = list(dict.fromkeys(tag[2:] for tag in known if tag != "O"))
    meant: list[str | None] = []
    for name in names:
        mark, kind = _parts(name)
        alike = _alike(kind, kinds) if kinds else kind
        none = alike is None or name.lower() in _NO_TAGS or _UNNAMED.fullmatch(name)
        meant.append("O" if mark == "O" else None if none else f"{mark}-{alike}")
    return meant


def _in_bio(tags: Sequence[str | None]) -> tuple[str | None, ...]:
    parts = [("O", "") if tag is None else _parts(tag) for tag in tags]
    return tuple("O" if mark == "O" else f"{MARKS[mark]}-{kind}" for mark, kind in parts)


def _scheme(tags: Sequence[str]) -> str:
    parts = [_parts(tag) for tag in tags]
    marks = {mark for mark, _ in parts}
    if marks & set("LU"):
        return "BILOU"
    if marks & set("ESMW"):
        return "IOBES"
    begun = {kind for mark, kind in parts if mark == "B"}
    if not begun:
        return "IO"
    return "BIO2" if begun == {kind for _, kind in parts if kind} else "IOB1"


def _check_given(task: Task, names: Sequence[str], given: Sequence[str], known: Sequence[str], entities: bool) -> None:
    def wrong(found: str, expected: str) -> InputError:
        own = f"The model's labels, in order: {', '.join(names)}."
        return InputError("--labels", found=found, expected=expected, fix=own)

    if len(given) != len(names):
        number = f"{len(given)} label" + ("" if len(given) == 1 else "s")
        raise wrong(number, f"{len(names)}, one per label of the model (- for none of the task's)")
    wanted = {tag[2:] for tag in known if tag != "O"} if entities else set(known)
    for label in given:
        mark, kind = _parts(label) if entities else ("", label)
        if label != _NOTHING and mark != "O" and known and kind not in wanted:
            raise wrong(repr(label), f"a label of {task.name}: {', '.join(known)} (or - for none of them)")
    if all(label in (_NOTHING, "O") for label in given):
        raise wrong("no label of the task", f"at least one of {', '.join(known) or 'the tags of the data'}")


def _mismatch(
    task: Task, names: Sequence[str], known: Sequence[str], guess: Sequence[str | None], place: object
) -> InputError:
    if not any(guess):
        same = len(known) == len(names)
        guess = known if same else [*known[: len(names)], *[None] * (len(names) - len(known))]
    left = _missing(guess, known, entities=False) if any(guess) else ()
    rest = left[0] if len(left) == 1 and "O" not in known else _NOTHING  # such as all that does not entail
    line = ",".join(label or rest for label in guess)
    return InputError(
        str(place),
        found=f"a model with the labels {', '.join(names)}",
        expected=f"those of {task.name}: {', '.join(known) or 'the tags of the data'}",
        fix="Say what each label of the model means, in the model's order, - for what the task does not have; for"
        f" example, if the order is right: --labels {line}",
    )
