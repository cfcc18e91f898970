"""Fixtures of the benchmark tests: a tiny base, and specs that run in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

SMALL: dict[str, Any] = {
    "schema": 1,
    "data": "mini",
    "systems": {"bert": {}},
    "finetune": {"limit": 24, "epochs": 1.0, "max_length": 48},
    "suites": ["drop"],
    "tasks": {"qnli": {"test_limit": 12}},
}
"""One system, one task, one attack: seven jobs."""


@pytest.fixture(scope="session")
def tiny_base(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of a tiny BERT of the name `tiny`, which stands in the names of jobs."""
    return str(tiny.bert_base(tmp_path_factory.mktemp("base") / "tiny"))


@pytest.fixture
def write_spec(tiny_base: str, tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes the small spec with changes and returns its path."""

    def write(name: str = "small", **changes: Any) -> str:
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**SMALL, "bases": [tiny_base], **changes}))
        return str(path)

    return write
