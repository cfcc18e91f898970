"""Systems of one name that differ in more than seeds: each gets a name that says what sets it apart.

Tables group results by task, name, base and attack. So that unlike is never averaged, results are named here before
anything is grouped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel

from robustbench_char.common.files import sha256_bytes
from robustbench_char.records.evaluation import SystemInfo
from robustbench_char.records.sensitivity import SensitivityRecord

__all__ = ["Naming", "OfSystem", "measured_apart", "told_apart", "trained_with"]

_MOST_NAMED = 4
"""Of more differences than these a name holds the first ones, and a hash of all."""
_LONGEST = 24
"""A longer value is named by its hash."""
_DIGITS = 8

_PARTS: Mapping[str, tuple[str, set[str]]] = {
    "pre-training": ("pretraining", {"wall_seconds", "tokens_per_second", "text"}),
    "copies": ("augment", {"seeds"}),
    "attacked training data": ("trained_attack", {"clean_sha256"}),
    "defence": ("defence", {"parameters"}),
    "predictor": ("predictor", set()),
    "model": ("model", set()),
    "chat": ("chat", {"messages"}),
}
"""By how a name calls it, a part of a system, and what of it decides nothing that another key does not tell."""
_MAY_BE_UNKNOWN = {"base hash", "training data hash", "pre-training text hash"}
"""What older records do not tell: one that does not is not another system for that."""

_Facts: TypeAlias = dict[str, Any]


class OfSystem(Protocol):
    """A record of any kind that names its system."""

    @property
    def task(self) -> str: ...

    @property
    def system(self) -> SystemInfo | None: ...


R = TypeVar("R", bound=BaseModel)


class Naming(Protocol):
    """Gives a record whose system has the name that sets it apart."""

    def __call__(self, record: R, /) -> R:
        """Return the record under that name."""
        ...


def trained_with(system: SystemInfo) -> _Facts:
    """Return what decides the weights of a system by the names that reports use, without its seed."""
    settings = {key: value for key, value in system.settings.items() if key not in ("seed", "limit")}
    examples = {"training examples": settings.pop("training_examples", None)}  # so many are left of a limit
    return examples | settings | {"training data hash": system.training_sha256, "base hash": system.base_sha256}


def told_apart(records: Iterable[OfSystem], *, by_weights: bool = True) -> Naming:
    """Return a function that names the system of a record so that one name stands for runs of one system alone.

    Those are results on one task that differ in nothing but the training seed, of one model where an endpoint told
    which it served. It is right for all `records`, of whichever kind. With `by_weights`, systems of one seed and other
    weights are two as well.
    """
    systems: dict[tuple[str, ...], dict[str, SystemInfo]] = {}
    served: dict[str, _Facts] = {}
    for record in records:
        if record.system:
            key = _key(record)
            systems.setdefault((record.task, record.system.called, record.system.base), {})[key] = record.system
            served[key] = {"served": _served(record)} if _served(record) else {}
    names: dict[tuple[str, str], str] = {}
    for (task, *_), group in systems.items():
        variants = _variants({key: facts | served[key] for key, facts in _known(group).items()})
        variants = _by_weights(group, variants) if by_weights else variants
        names |= {(task, key): variant for key, variant in variants.items() if variant}

    def named(record: R, /) -> R:
        system: SystemInfo | None = getattr(record, "system", None)
        variant = system and names.get((getattr(record, "task", ""), _key(record)))
        return record.model_copy(update={"system": system.varied(variant)}) if system and variant else record

    return named


def _served(record: Any) -> list[str]:
    return list(getattr(record, "served", ()))


def _key(record: Any) -> str:
    return f"{record.system.model_dump_json()}{_served(record)}"


def measured_apart(records: Iterable[SensitivityRecord]) -> Callable[[SensitivityRecord], SensitivityRecord]:
    """Return a function that names a measurement of S so that one name stands for one way of measuring one system."""
    groups: dict[tuple[str, str], dict[str, _Facts]] = {}
    for record in records:
        facts = record.model_dump(include={"layer", "pooling", "stream", "max_length", "examples"})
        facts |= {"attack hash " + record.attack.suite: record.attack.suite_sha256, "data hash": record.clean_sha256}
        facts |= {"base": record.system.base} if record.system else {}
        facts |= {"weights hash": record.model.weights_sha256} if record.model else {}
        groups.setdefault((record.task, record.shown), {})[record.model_dump_json()] = _readable(facts)
    names = {key: variant for group in groups.values() for key, variant in _variants(group).items()}
    return lambda record: record.varied(names.get(record.model_dump_json(), ""))


def _known(group: Mapping[str, SystemInfo]) -> dict[str, _Facts]:
    """Return the facts of each system; what an older record does not tell, a newer one of the same weights may."""
    told: dict[tuple[str, str | None], _Facts] = {}
    for system in group.values():
        told[system.all_weights] = told.get(system.all_weights, {}) | _facts(system)
    return {key: told[system.all_weights] | _facts(system) for key, system in group.items()}


def _facts(system: SystemInfo) -> _Facts:
    """Return all that decides what a system predicts, but for its seed and its weights."""
    facts = {"system": system.name, **trained_with(system), "dropped head": system.dropped_head}
    for title, (name, without) in _PARTS.items():
        part: BaseModel | None = getattr(system, name)
        facts[title] = "none" if part is None else getattr(part, "name", getattr(part, "suite", "yes"))
        values = {} if part is None else part.model_dump(mode="json", exclude=without)
        facts |= {f"{title} {key}": value for key, value in _flat(values).items() if key not in ("name", "suite")}
    return _readable(facts)


def _flat(values: Mapping[str, Any]) -> _Facts:
    inner = {key: value for key, value in values.items() if isinstance(value, dict)}
    return {key: value for key, value in values.items() if key not in inner} | {
        key: value for part in inner.values() for key, value in part.items()
    }


def _readable(facts: _Facts) -> _Facts:
    known = {key.replace("sha256", "hash").replace("_", " "): value for key, value in facts.items()}
    return {key: value for key, value in known.items() if value is not None or key not in _MAY_BE_UNKNOWN}


def _variants(facts: Mapping[str, _Facts]) -> dict[str, str]:
    """Return what sets each of some systems apart, hashes last; nothing where they are alike."""
    values: dict[str, dict[str, Any]] = {}
    for own in facts.values():
        for key, value in own.items():
            values.setdefault(key, {})[json.dumps(value)] = value
    differing = sorted((key for key, known in values.items() if len(known) > 1), key=lambda key: "hash" in key)
    shown = {key: _shown(key, values[key]) for key in differing}
    return {
        of: _variant([shown[key][json.dumps(own[key])] for key in differing if key in own]) for of, own in facts.items()
    }


def _variant(said: list[str]) -> str:
    if len(said) > _MOST_NAMED:
        rest = sha256_bytes(json.dumps(said).encode())[:_DIGITS]
        said = [*said[: _MOST_NAMED - 1], f"{len(said) - _MOST_NAMED + 1} more differences {rest}"]
    return ", ".join(said)


def _shown(key: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Return how each value of a fact is said, by its JSON."""
    texts = {of: _text(value) for of, value in values.items()}
    if "hash" in key:
        texts = dict(zip(texts, _shortened(list(texts.values())), strict=True))
    return {of: text if key == "base" else f"{key} {text}" for of, text in texts.items()}


def _text(value: Any) -> str:
    listed = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
    text = "none" if listed in (None, "") else str(listed).removesuffix(".0")
    return text if len(text) <= _LONGEST or isinstance(value, str) else sha256_bytes(text.encode())[:_DIGITS]


def _shortened(hashes: Sequence[str]) -> list[str]:
    """Return the first digits of some hashes; whole ones where those do not tell them apart."""
    short = [text[:_DIGITS] for text in hashes]
    return short if len(set(short)) == len(set(hashes)) else list(hashes)


def _by_weights(group: Mapping[str, SystemInfo], variants: Mapping[str, str]) -> dict[str, str]:
    """Return variants with the hash of the weights, where systems of one variant and seed have several."""
    named = dict(variants)
    for variant in set(variants.values()):
        alike = {key: system for key, system in group.items() if variants[key] == variant}
        seeds = {(system.training_seed, system.weights_sha256) for system in alike.values()}
        if len(seeds) > len({seed for seed, _ in seeds}):
            short = _shortened([system.weights_sha256 for system in alike.values()])
            for key, digits in zip(alike, short, strict=True):
                named[key] = f"{variant}{', ' if variant else ''}weights {digits}"
    return named
