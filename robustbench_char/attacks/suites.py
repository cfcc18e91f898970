"""Attack suites: what a YAML file of the folder `attacks/` says, and the suite that is resolved from it for one task.

A name is `NAME`, a path ending in .yaml, or either with `@STRENGTH`: `drop@0.3` edits 30% of the eligible words, and
with a suite that counts words, `pruthi_2019_random@2` edits two words per text. A suite with a `sweep:` stands for one
suite per strength.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from robustbench_char.attacks.lists import ListFile, ListInfo, resolve_list
from robustbench_char.attacks.operators import OPERATORS, WHITE_SPACE, Positions
from robustbench_char.attacks.search_info import SearchFile, SearchInfo
from robustbench_char.common import InputError, Registry
from robustbench_char.common.errors import nearest
from robustbench_char.common.files import find_declaration, sha256_bytes, shipped
from robustbench_char.common.frozen import Frozen
from robustbench_char.common.yaml_model import load_yaml_model
from robustbench_char.text.letters import ALPHABETS, LAYOUTS
from robustbench_char.text.words import SPLITTERS

__all__ = [
    "OPERATIONS",
    "OperationsFile",
    "OperationsInfo",
    "OperatorRule",
    "Strength",
    "Suite",
    "SuiteFile",
    "WordRule",
    "check_keeps_words",
    "load_suite_file",
    "load_suites",
    "only_suite",
    "suite_names",
    "without_operations",
]

FOLDER = "attacks"
OPERATIONS = "attacks/operations"
"""Where suites of published operations are declared, which draw nothing."""
MOST_WORDS = 1_000_000


def _registered(registry: Registry[Any], name: str) -> str:
    if name not in registry:
        hint = nearest(name, registry).removesuffix("?")
        raise ValueError(f"one of the {registry.kind}s {', '.join(registry)}.{hint}")
    return name


Alphabet = Annotated[str, AfterValidator(partial(_registered, ALPHABETS))]
Layout = Annotated[str, AfterValidator(partial(_registered, LAYOUTS))]
OperatorName = Annotated[str, AfterValidator(partial(_registered, OPERATORS))]
Splitter = Annotated[str, AfterValidator(partial(_registered, SPLITTERS))]


def _without(dumped: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """Leave out keys at their default that were added after suites were published: hashes stay as they were."""
    return {key: value for key, value in dumped.items() if key not in defaults or value != defaults[key]}


class WordRule(Frozen):
    """Which words are eligible; those of nothing but punctuation never are.

    Lengths are in code points. `digits`: `no_number` leaves words of nothing but digits alone, `no_digit` those with
    any. `match` is a regular expression that the whole word must match.
    """

    split: Splitter = "unicode"
    min_length: int = Field(1, ge=1)
    max_length: int | None = Field(None, ge=1)
    digits: Literal["allow", "no_number", "no_digit"] = "allow"
    letters_only: bool = False
    stop_words: Literal["attack", "skip"] = "attack"
    match: str | None = None
    protect: tuple[Literal["entities", "answers"], ...] = ()

    @field_validator("match")
    @classmethod
    def _regex(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"a regular expression ({error})") from None
        return value


class OperatorRule(Frozen):
    """How one operator takes part: its weight in the draw, and limits of its own on top of those of the words.

    `positions` takes the place of the suite's: besides `interior`, `all` and `ends`, `before` strikes or adds before a
    character of the word, never after its last, and `after_first` leaves only the first character alone. `characters`
    is what it may strike: `letters` draws among letters; `drawn_letters` (with `no_op: as_drawn`) among all characters,
    and leaves the word alone where it drew no letter. `tries` is how often it draws a position while what it drew,
    such as two equal letters, changes nothing (with `no_op: as_drawn`).
    """

    weight: float = Field(1.0, gt=0, le=1e6, allow_inf_nan=False)
    min_length: int = Field(1, ge=1)
    max_length: int | None = Field(None, ge=1)
    positions: Positions | None = None
    characters: Literal["any", "letters", "drawn_letters"] = "any"
    stop_words: Literal["attack", "skip"] = "attack"
    tries: int = Field(1, ge=1, le=16)

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without(dump(self), max_length=None, positions=None)


def _some(operators: dict[str, OperatorRule]) -> dict[str, OperatorRule]:
    if not operators:
        raise ValueError("at least one operator")
    return operators


Operators = Annotated[dict[OperatorName, OperatorRule], AfterValidator(_some)]


class Strength(Frozen):
    """Either `rate`, the share of the eligible words of a text, or `words`, a number of words per text."""

    rate: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    words: int | None = Field(None, ge=0, le=MOST_WORDS)

    @model_validator(mode="after")
    def _one(self) -> Strength:
        if (self.rate is None) == (self.words is None):
            raise ValueError("exactly one of rate, words")
        return self


class Sweep(Frozen):
    """Several strengths: either rates, or numbers of words."""

    rate: tuple[float, ...] = ()
    words: tuple[int, ...] = ()

    def strengths(self) -> list[Strength]:
        """Return the strengths in the order of the file. Raises ValidationError for one that is out of range."""
        return [Strength(rate=rate) for rate in self.rate] + [Strength(words=words) for words in self.words]

    @model_validator(mode="after")
    def _some(self) -> Sweep:
        if bool(self.rate) == bool(self.words):
            raise ValueError("a list of strengths under one of rate, words")
        if any(not 0 <= rate <= 1 for rate in self.rate) or any(not 0 <= words <= MOST_WORDS for words in self.words):
            raise ValueError(f"rates in [0, 1] or numbers of words from 0 to {MOST_WORDS}")
        if len({*self.rate, *self.words}) < len(self.rate) + len(self.words):
            raise ValueError("strengths that differ from one another")
        return self


class Settings(Frozen):
    """How words are edited.

    `positions`: `interior` leaves first and last character of a word alone, `ends` strikes only those. `alphabet`: what
    is added is drawn from it. `layout`: which keys lie beside one another. `case`: `keep` leaves the pattern of
    capitals as it is; `lower` writes what alphabet, layout and list hold, and swaps letters of any case. `no_op`:
    `never` draws among edits that change the word; `as_drawn` draws first, and leaves the word as it was where that
    changes nothing. With `as_drawn`, `draw_among` says which operators are drawn from: `all`, or the `applicable` ones,
    whose own limits of length and stop words let the word through. `fields`: default fields of the task (all, if not
    given). `misspellings`: the list that the operator `misspelling` draws from.
    """

    words: WordRule = WordRule()
    operators: Operators = Field(default_factory=dict)
    positions: Literal["interior", "all", "ends"] = "interior"
    alphabet: Alphabet = "english"
    layout: Layout = "qwerty"
    case: Literal["keep", "lower"] = "keep"
    no_op: Literal["never", "as_drawn"] = "never"
    draw_among: Literal["all", "applicable"] = "all"
    fields: tuple[str, ...] | None = None
    misspellings: ListFile | None = None


class SuiteFile(Settings):
    """What a suite's YAML file says.

    `tasks` holds, by task name, what differs for that task: of `words` single keys, of `operators` all of them.
    Strengths hold for all tasks. `edits_per_word` is how many edits an attacked word gets, fewer where the word has no
    room for them. `version` counts what a suite of this name has been. Suites of one `family` (default: the suite's
    name) share their draws, so that they differ only where their settings do.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    version: int = Field(1, ge=1, le=1_000_000)
    description: str
    source: str | None = None
    family: str | None = None
    operators: Operators
    strength: Strength = Strength(rate=1.0)
    sweep: Sweep | None = None
    edits_per_word: int = Field(1, ge=1, le=8)
    worst_case: SearchFile | None = None
    tasks: dict[str, Settings] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_strength(self) -> SuiteFile:
        if self.sweep is not None and "strength" in self.model_fields_set:
            raise ValueError("one of strength, sweep")
        return self

    @model_validator(mode="after")
    def _fit_together(self) -> SuiteFile:
        for chosen in (self, *map(self.settings, self.tasks)):
            if (chosen.misspellings is None) == ("misspelling" in chosen.operators):
                raise ValueError("the operator misspelling and the key misspellings together")
            alone = [name for name in chosen.operators if name in WHITE_SPACE]
            if alone and len(chosen.operators) + self.edits_per_word > 2:
                raise ValueError(
                    f"{alone[0]} as the one operator, with one edit per word: it changes the number of words"
                )
        return self

    def settings(self, task: str) -> Settings:
        """Return the settings for one task."""
        own = self.tasks.get(task)
        if own is None:
            return self
        changed: dict[str, Any] = {key: getattr(own, key) for key in own.model_fields_set}
        if "words" in changed:
            single = {key: getattr(own.words, key) for key in own.words.model_fields_set}
            changed["words"] = self.words.model_copy(update=single)
        return self.model_copy(update=changed)


Md5 = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class OperationsFile(Frozen):
    """What the YAML file of a suite of published edit operations says; the operations themselves are not shipped.

    `md5`: of the restored sets; the set that is restored must be one of them, if there are any.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    description: str
    source: str | None = None
    licence: str | None = None
    md5: tuple[Md5, ...]


class OperationsInfo(Frozen):
    """The file of operations of a suite that draws nothing. `md5`: as in `OperationsFile`."""

    name: str
    sha256: str
    source: str | None = None
    licence: str | None = None
    md5: tuple[Md5, ...] = ()


class Suite(Frozen):
    """A suite resolved for one task: all that determines its edits, besides seed and text.

    `name` says the strength where it was asked for; `version` is that of the file, and no part of the hash. With
    `operations` nothing is drawn: strength is the share of tokens that have an operation, `edits_per_word` the most
    that one has. Nor is with `search`, which chooses among all edits that the suite allows; strength is the most edits
    of a text.
    """

    name: str
    version: int = 1
    family: str
    words: WordRule
    operators: dict[str, OperatorRule]
    strength: Strength
    edits_per_word: int = 1
    positions: Literal["interior", "all", "ends"]
    alphabet: str
    layout: str
    case: Literal["keep", "lower"]
    no_op: Literal["never", "as_drawn"]
    draw_among: Literal["all", "applicable"] = "all"
    fields: tuple[str, ...] | None
    operations: OperationsInfo | None = None
    misspellings: ListInfo | None = None
    search: SearchInfo | None = None

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without(dump(self), version=1, draw_among="all", operations=None, misspellings=None, search=None)

    @property
    def keeps_words(self) -> bool:
        """Whether attacked texts have as many words as clean ones."""
        return not WHITE_SPACE.keys() & self.operators.keys()

    @property
    def sha256(self) -> str:
        """The hash of the resolved settings; of operations and misspellings, that of the content."""
        said = {"name", "source", "licence", "version"}
        words: dict[str, Any] = {key: said for key in ("operations", "misspellings", "search") if getattr(self, key)}
        return sha256_bytes(self.model_dump_json(exclude=words | {"version": True}).encode())


def suite_names() -> list[str]:
    """Return the names of the shipped suites."""
    return list(shipped(FOLDER))


def load_suite_file(name: str, *, place: str = "--suite") -> SuiteFile:
    """Read a shipped suite by name, or a file by path."""
    return load_yaml_model(find_declaration(FOLDER, name, place=place), SuiteFile)


def load_suites(name: str, *, task: str, place: str = "--suite") -> list[Suite]:
    """Return the suites that a name stands for: one, or one per strength of a sweep.

    Raises InputError for an unknown name, a mistake in the file, or a strength out of range.
    """
    base, at, asked = name.rpartition("@")
    if not at or name.endswith((".yaml", ".yml")):  # the name of a folder may hold an @
        base, at = name, ""
    if base in shipped(OPERATIONS):
        raise without_operations(base, place)
    path = find_declaration(FOLDER, base, place=place)
    file = load_yaml_model(path, SuiteFile)
    stem = Path(base).stem if base.endswith((".yaml", ".yml")) else base
    if at:
        strengths = [_asked(base, asked, file, place)]
    elif file.sweep is not None:
        strengths = file.sweep.strengths()
    else:
        return [_resolve(file, path, stem, stem, task, file.strength)]
    return [_resolve(file, path, f"{stem}@{_number(strength)}", stem, task, strength) for strength in strengths]


def without_operations(name: str, place: str) -> InputError:
    """Return the error for published operations that are to be drawn, or whose file is not named."""
    fix = f"Make the set with `attack TASK --suite {name} --operations FILE`; other commands read it as attacked."
    expected = "the file that its authors published"
    return InputError(place, found=f"{name} without operations", expected=expected, fix=fix)


def only_suite(suites: Sequence[Suite], *, place: str = "--suite") -> Suite:
    """Return the one suite that a name stood for. Raises InputError for the strengths of a sweep."""
    if len(suites) > 1:
        fix = f"Name one, for example {suites[0].name!r}."
        raise InputError(place, found=f"a suite that has {len(suites)} strengths", expected="one of them", fix=fix)
    return suites[0]


def check_keeps_words(suite: Suite, because: str, *, place: object | None = None) -> None:
    """Raise InputError for a suite that inserts or removes white space; `because` is why the words must stay."""
    if not suite.keeps_words:
        found, expected = f"{', '.join(suite.operators)}, which changes the number of words", "edits inside words"
        fix = f"Choose another suite: {because}."
        raise InputError(place or f"suite {suite.name}", found=found, expected=expected, fix=fix)


def _resolve(file: SuiteFile, path: Path, name: str, stem: str, task: str, strength: Strength) -> Suite:
    chosen = file.settings(task)
    shared = {key: getattr(chosen, key) for key in Settings.model_fields}
    if chosen.misspellings:
        shared["misspellings"] = resolve_list(chosen.misspellings, path.parent, place=f"{path}: misspellings")
    own: dict[str, Any] = {"version": file.version, "strength": strength, "edits_per_word": file.edits_per_word}
    return Suite(name=name, family=file.family or stem, **own, **shared)


def _asked(base: str, text: str, file: SuiteFile, place: str) -> Strength:
    counts = file.strength.words is not None or bool(file.sweep and file.sweep.words)
    try:
        return Strength(words=int(text)) if counts else Strength(rate=float(text))
    except ValueError:  # pydantic's ValidationError is one too
        expected, example = (f"a number of words from 0 to {MOST_WORDS}", 2) if counts else ("a rate in [0, 1]", 0.3)
        raise InputError(place, found=f"strength {text!r}", expected=expected,
                         fix=f"Write the suite as NAME@STRENGTH, for example {base}@{example}.") from None  # fmt: skip


def _number(strength: Strength) -> str:
    return str(strength.words) if strength.rate is None else repr(strength.rate)
