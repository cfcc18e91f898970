"""Fixtures of the evaluation tests: the oracles, and records made from a formula."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from robustbench_char.common.provenance import Provenance
from robustbench_char.records.evaluation import AttackInfo, DataInfo, Record, SystemInfo

ORACLES = Path(__file__).resolve().parent.parent / "oracles"


@pytest.fixture(scope="session")
def squad_official(load_module: Callable[[Path], ModuleType]) -> ModuleType:
    return load_module(ORACLES / "squad_official.py")


@pytest.fixture(scope="session")
def conll_entities(load_module: Callable[[Path], ModuleType]) -> ModuleType:
    return load_module(ORACLES / "conll_entities.py")


def _record(score: float = 80.0, *, suite: str | None = None, **changes: Any) -> Record:
    attack = AttackInfo(
        suite=suite,
        suite_sha256=f"sha of {suite}",
        seed=changes.pop("seed", 7),
        clean_sha256="clean data",
        requested_strength=0.5,
        effective_strength=0.4,
        eligible_words=100,
        edits=40,
        words=160,
        no_op_share=0.1,
        counts_by_operator=changes.pop("operators", {"drop": 40}),
    ) if suite else None  # fmt: skip
    data = DataInfo(source="test.txt", sha256=f"{suite} data" if suite else "clean data", examples=20, attack=attack)
    system = SystemInfo(
        name=changes.pop("name", "bert"),
        base=changes.pop("base", "minilm"),
        parameters=1000,
        training_seed=changes.pop("training_seed", 1),
        training_sha256=None,
        settings={"lr": 1e-4},
        weights_sha256=changes.pop("weights", "weights"),
        **changes.pop("parts", {}),
    )
    provenance = Provenance(
        package_version="0.1",
        git_commit=None,
        git_dirty=None,
        python="3.11",
        unicode="14",
        platform="x",
        libraries={},
    )
    values: dict[str, Any] = {
        "task": "conll2003",
        "family": "tagging",
        "metric": "entity_f1",
        "headline": "f1",
        "system": system,
        "data": data,
        "scores": {"f1": score, "precision": 1 / 3},
        "counts": {"examples": 20, "truncated_words": 3 if suite else 1},
        "predictions_sha256": "0" * 64,
        "wall_seconds": 1.5,
        "device": "cpu",
        "created": "2030-01-01T00:00:00Z",
        "provenance": provenance,
    }
    return Record(**(values | changes))


@pytest.fixture(scope="session")
def make_record() -> Callable[..., Record]:
    """Return a maker of records: a clean one, or an attacked one where a suite is named; `parts` are of the system."""
    return _record
