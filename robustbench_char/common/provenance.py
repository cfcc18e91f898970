"""Where a number comes from: versions, git commit, machine; what differs between two such descriptions."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from robustbench_char._version import __version__
from robustbench_char.common.frozen import Frozen

__all__ = ["Provenance", "differences", "provenance"]

LIBRARIES = (
    "numpy", "pandas", "pyarrow", "datasets", "nlpaug", "torch", "transformers", "tokenizers", "accelerate",
)  # fmt: skip


class Provenance(Frozen):
    """What made a file or a record. `git_commit` is None outside a checkout of this project."""

    package_version: str
    git_commit: str | None
    git_dirty: bool | None
    python: str
    unicode: str
    platform: str
    libraries: dict[str, str]


@cache
def provenance() -> Provenance:
    """Read versions of what is installed (nothing is imported) and the state of the checkout."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no") if commit else None
    return Provenance(
        package_version=__version__,
        git_commit=commit or None,
        git_dirty=bool(changes) if commit else None,
        python=platform.python_version(),
        unicode=unicodedata.unidata_version,
        platform=f"{sys.platform}-{platform.machine()}",
        libraries={name: version for name in LIBRARIES if (version := _version(name))},
    )


def differences(a: Any, b: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the dotted key of each value that differs with both values, in order of keys; None stands for no value."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in dict.fromkeys([*a, *b]):
            yield from differences(a.get(key), b.get(key), f"{name}.{key}" if name else key)
    elif a != b:
        yield name, a, b


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    root = Path(__file__).resolve().parents[2]
    if not (root / "pyproject.toml").is_file() or not (root / ".git").exists():
        return None
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
