"""What two records of one thing were made with that differs: code, libraries, machine, settings, weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from robustbench_char.common.differences import differences
from robustbench_char.common.frozen import Frozen
from robustbench_char.records.evaluation import Record, result_part

__all__ = ["Change", "changes"]

_MATCHED = {"name", "label", "base", "training_seed"}  # what the two share: a label that is left out is the name


class Change(Frozen):
    """One thing that differs, from `a` to `b`, in so many results; None where one of the two does not have it."""

    name: str
    a: Any
    b: Any
    results: int


def changes(pairs: Sequence[tuple[Record, Record]]) -> list[Change]:
    """Return what differs in how the two of each pair were made, in order of first appearance. Times are left out."""
    found: dict[tuple[str, str], tuple[Any, Any, int]] = {}
    for a, b in pairs:
        for name, old, new in differences(_made_with(a), _made_with(b)):
            key = name, json.dumps([old, new], sort_keys=True)
            found[key] = old, new, found.get(key, (old, new, 0))[2] + 1
    return [Change(name=name, a=old, b=new, results=number) for (name, _), (old, new, number) in found.items()]


def _made_with(record: Record) -> dict[str, Any]:
    system = {key: value for key, value in result_part(record)["system"].items() if key not in _MATCHED}
    pretraining, attack = system.pop("pretraining"), record.data.attack
    return {
        **record.provenance.model_dump(mode="json"),
        "device": record.device,
        **system,
        "pretraining": pretraining,
        "suite_sha256": attack.suite_sha256 if attack else None,
    }
