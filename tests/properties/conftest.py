"""Fixtures of the property tests: the plain oracle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ORACLE = Path(__file__).resolve().parent.parent / "oracles" / "attack_plain.py"


@pytest.fixture(scope="session")
def plain(load_module: Callable[[Path], ModuleType]) -> ModuleType:
    """Return the attack as written a second time, word by word."""
    return load_module(ORACLE)
