"""Fixtures of the benchmark tests: a tiny base, and specs that run in seconds."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

if importlib.util.find_spec("torch") is None:  # the extra `models` is not installed
    collect_ignore_glob = ["test_*.py"]

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
def tiny_base(load_module: Callable[[Path], ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Path:
    tiny = load_module(Path(__file__).parent.parent / "models" / "tiny_models.py")
    folder: Path = tiny.bert_base(tmp_path_factory.mktemp("base") / "tiny")
    return folder


@pytest.fixture
def write_spec(tiny_base: Path, tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes the small spec with changes and returns its path."""

    def write(name: str = "small", **changes: Any) -> str:
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**SMALL, "bases": [str(tiny_base)], **changes}))
        return str(path)

    return write
