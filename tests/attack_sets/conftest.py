"""Fixtures of the tests of attacked sets: clean files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from robustbench_char.tasks.registry import TASKS
from robustbench_char.tasks.sources import mini_path


@pytest.fixture(scope="session")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the mini test split of every task."""
    folder = tmp_path_factory.mktemp("mini")
    for task in TASKS:
        (folder / task).mkdir()
        shutil.copy(mini_path(task, "test"), folder / task)
    return folder
