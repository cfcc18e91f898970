"""Fixtures of the model tests: tiny base checkpoints."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

if importlib.util.find_spec("torch") is None:  # the extra `models` is not installed
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def tiny(load_module: Callable[[Path], ModuleType]) -> ModuleType:
    return load_module(Path(__file__).with_name("tiny_models.py"))


@pytest.fixture(scope="session")
def shared_bert(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny BERT folder that no test may change."""
    return tiny.bert_base(tmp_path_factory.mktemp("bases") / "tiny-bert")


@pytest.fixture(scope="session")
def shared_roberta(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny RoBERTa folder that no test may change."""
    return tiny.roberta_base(tmp_path_factory.mktemp("bases") / "tiny-roberta")
