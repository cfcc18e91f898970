"""Fixtures of the property tests: the plain oracle."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ORACLE = Path(__file__).resolve().parent.parent / "oracles" / "attack_plain.py"


@pytest.fixture(scope="session")
def plain() -> ModuleType:
    """Return the attack as written a second time, word by word."""
    spec = importlib.util.spec_from_file_location("oracle_attack_plain", ORACLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
