"""Fixtures and settings that all tests share; those of some rooms stand in `fixtures`."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Protocol

import pytest
from hypothesis import settings

pytest_plugins = ["fixtures.bases", "fixtures.chat_server", "fixtures.records", "fixtures.systems"]

# Before torch is imported, and for every process that a test starts: models this small only wait for each other's
# threads, and several test processes would share the cores among many times as many threads.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

if importlib.util.find_spec("torch") is None:  # the extra `models` is not installed
    collect_ignore = ["defences", "experiments", "inference", "models", "training"]

# Seeded, and without a time limit per example: the first import of a large library would break it.
settings.register_profile("seeded", deadline=None, derandomize=True)
settings.register_profile("few", settings.get_profile("seeded"), max_examples=10)
settings.load_profile("seeded")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data sets beside the checkout, or skip the test where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data sets are not here")
    return folder


@pytest.fixture(scope="session")
def load_module() -> Callable[[Path], ModuleType]:
    """Return a function that loads a module of the tests, which are no package, from its file."""

    def load(path: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


class Install(Protocol):
    """Write a distribution with predictors into a folder, as an installer leaves it, and return the folder."""

    def __call__(self, code: str, points: dict[str, str], *, name: str = "baselines", version: str = "0.1.0") -> Path:
        """`points` maps names to attributes of the module `code`; the module is called `NAME_module`."""
        ...


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Return a function that installs a distribution below `tmp_path`, in a folder to put on the path."""

    def write(code: str, points: dict[str, str], *, name: str = "baselines", version: str = "0.1.0") -> Path:
        site = tmp_path / "site"
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (site / f"{name}_module.py").write_text(code, encoding="utf-8")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = (f"{point} = {name}_module:{attribute}" for point, attribute in points.items())
        (info / "entry_points.txt").write_text("\n".join(["[robustbench_char.predictors]", *lines, ""]))
        return site

    return write
