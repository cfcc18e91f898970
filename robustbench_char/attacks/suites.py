"""Attack suites: what a YAML file of the folder `attacks/` says, and the suite that is resolved from it for one task.

A name is `NAME`, a path ending in .yaml, or either with `@STRENGTH`: `drop@0.3` edits 30% of the eligible words, and with a suite that
counts words, `pruthi_2019_random@2` edits two words a text. A suite with a `sweep:` stands for one suite a strength.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from robustbench_char.attacks.registry import OPERATORS
from robustbench_char.common import InputError, Registry
from robustbench_char.common.errors import nearest
from robustbench_char.common.files import sha256_bytes
from robustbench_char.common.resources import find, shipped
from robustbench_char.common.yaml_model import load_yaml_model
from robustbench_char.text.alphabets import ALPHABETS
from robustbench_char.text.layouts import LAYOUTS
from robustbench_char.text.words import SPLITTERS

__all__ = ["OperatorRule", "Strength", "Suite", "SuiteFile", "WordRule", "load_suite_file", "load_suites", "suite_names"]

FOLDER = "attacks"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class WordRule(_Strict):
    """Which words are eligible. Lengths are in code points; `match` is a regular expression that the whole word must match."""

    split: str = "unicode"
    min_length: int = Field(1, ge=1)
    max_length: int | None = Field(None, ge=1)
    digits: Literal["allow", "no_number", "no_digit"] = "allow"
    letters_only: bool = False
    stop_words: Literal["attack", "skip"] = "attack"
    match: str | None = None
    protect: tuple[Literal["entities", "answers"], ...] = ()

    @field_validator("split")
    @classmethod
    def _splitter(cls, value: str) -> str:
        return _registered(value, SPLITTERS)

    @field_validator("match")
    @classmethod
    def _regex(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"a regular expression ({error})") from None
        return value


class OperatorRule(_Strict):
    """How one operator takes part: its weight in the draw, and limits of its own on top of those of the words.

    `characters` is what it may strike; `tries` is how often it draws a place when a draw changes nothing (`no_op: as_drawn` only).
    """

    weight: float = Field(1.0, gt=0, le=1e6, allow_inf_nan=False)
    min_length: int = Field(1, ge=1)
    characters: Literal["any", "letters"] = "any"
    stop_words: Literal["attack", "skip"] = "attack"
    tries: int = Field(1, ge=1, le=16)


class Strength(_Strict):
    """Either `rate`, the share of the eligible words of a text, or `words`, a number of words a text."""

    rate: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    words: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _one(self) -> Strength:
        if (self.rate is None) == (self.words is None):
            raise ValueError("exactly one of rate, words")
        return self


class Sweep(_Strict):
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
        if any(not 0 <= rate <= 1 for rate in self.rate) or any(words < 0 for words in self.words):
            raise ValueError("rates in [0, 1] or numbers of words from 0")
        return self


class SuiteFile(_Strict):
    """What a suite's YAML file says. `tasks` holds, by task name, keys of this file that differ for that task.

    Suites of one `family` (default: the suite's name) share their draws, so that they differ only where their settings do.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    description: str
    source: str | None = None
    family: str | None = None
    words: WordRule = WordRule()
    operators: dict[str, OperatorRule]
    strength: Strength = Strength(rate=1.0)
    sweep: Sweep | None = None
    positions: Literal["interior", "all"] = "interior"
    alphabet: str = "english"
    layout: str = "qwerty"
    case: Literal["keep", "lower"] = "keep"
    no_op: Literal["never", "as_drawn"] = "never"
    fields: tuple[str, ...] | None = None
    tasks: dict[str, dict[str, Any]] = {}

    @field_validator("operators")
    @classmethod
    def _operators(cls, value: dict[str, OperatorRule]) -> dict[str, OperatorRule]:
        if not value:
            raise ValueError("at least one operator")
        return {_registered(name, OPERATORS): rule for name, rule in value.items()}

    @field_validator("alphabet")
    @classmethod
    def _alphabet(cls, value: str) -> str:
        return _registered(value, ALPHABETS)

    @field_validator("layout")
    @classmethod
    def _layout(cls, value: str) -> str:
        return _registered(value, LAYOUTS)

    @model_validator(mode="after")
    def _overrides(self) -> SuiteFile:
        for task in self.tasks:
            self.settings(task)
        return self

    def settings(self, task: str) -> SuiteFile:
        """Return the settings for one task. Raises ValueError when its part of `tasks` is wrong."""
        override = self.tasks.get(task, {})
        fixed = {"schema", "description", "source", "family", "sweep", "tasks", "strength"} & set(override)
        if fixed:
            raise ValueError(f"tasks.{task} without {', '.join(sorted(fixed))}, which hold for all tasks")
        whole = _merge(self.model_dump(mode="json", by_alias=True, exclude={"tasks"}), override)
        try:
            return SuiteFile.model_validate_json(_json(whole))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(["tasks", task, *map(str, first["loc"])])
            raise ValueError(f"a valid {key} ({first['msg']})") from None


class Suite(_Strict):
    """A suite resolved for one task: all that determines its edits, besides seed and text. `name` says the strength where it was asked for."""

    name: str
    family: str
    words: WordRule
    operators: dict[str, OperatorRule]
    strength: Strength
    positions: Literal["interior", "all"]
    alphabet: str
    layout: str
    case: Literal["keep", "lower"]
    no_op: Literal["never", "as_drawn"]
    fields: tuple[str, ...] | None

    @property
    def sha256(self) -> str:
        """The hash of the resolved settings."""
        return sha256_bytes(self.model_dump_json().encode())


def suite_names() -> list[str]:
    """Return the names of the shipped suites."""
    return list(shipped(FOLDER))


def load_suite_file(name: str, *, place: str = "--suite") -> SuiteFile:
    """Read a shipped suite by name, or a file by path."""
    return load_yaml_model(find(FOLDER, name, place=place), SuiteFile)


def load_suites(name: str, *, task: str, place: str = "--suite") -> list[Suite]:
    """Return the suites that a name stands for: one, or one a strength of a sweep.

    Raises InputError for an unknown name, a mistake in the file, or a strength out of range.
    """
    base, _, asked = name.partition("@")
    file = load_suite_file(base, place=place)
    stem = Path(base).stem if base.endswith((".yaml", ".yml")) else base
    if asked:
        return [_resolve(file, f"{stem}@{asked}", task, _asked(asked, file, place))]
    if file.sweep is None:
        return [_resolve(file, stem, task, file.strength)]
    return [_resolve(file, f"{stem}@{_number(one)}", task, one) for one in file.sweep.strengths()]


def _resolve(file: SuiteFile, name: str, task: str, strength: Strength) -> Suite:
    chosen = file.settings(task)
    shared = {key: getattr(chosen, key) for key in Suite.model_fields if key in SuiteFile.model_fields}
    return Suite(name=name, **(shared | {"family": file.family or name.partition("@")[0], "strength": strength}))


def _asked(text: str, file: SuiteFile, place: str) -> Strength:
    counts = file.strength.words is not None or bool(file.sweep and file.sweep.words)
    try:
        return Strength(words=int(text)) if counts else Strength(rate=float(text))
    except ValueError:  # pydantic's ValidationError is one too
        expected = "a number of words from 0" if counts else "a rate in [0, 1]"
        raise InputError(place, found=f"strength {text!r}", expected=expected,
                         fix="Write the suite as NAME@STRENGTH, for example drop@0.3.") from None  # fmt: skip


def _number(strength: Strength) -> str:
    return str(strength.words) if strength.rate is None else repr(strength.rate)


def _registered(name: str, registry: Registry[Any]) -> str:
    if name not in registry:
        raise ValueError(f"a known {registry.kind}: {', '.join(registry)}.{nearest(name, registry)}")
    return name


def _merge(base: dict[str, Any], override: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in override.items():
        both = key != "operators" and isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _json(value: object) -> str:
    import json

    return json.dumps(value, default=str)
