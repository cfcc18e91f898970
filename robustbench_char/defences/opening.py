"""Opening a defence by the name that a user gives it, for every command and for Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robustbench_char.common.files import sha256_file
from robustbench_char.defences.wordrec import Recogniser
from robustbench_char.defences.wordrec.files import CONFIG, read_recogniser

__all__ = ["identify_defence", "open_defence"]


def open_defence(name: str) -> Recogniser:
    """Return the defence that stands in a folder: what `train-recogniser` wrote. Raises InputError for another one."""
    return Recogniser.load(Path(name).expanduser())


def identify_defence(name: str) -> dict[str, Any]:
    """Return what decides what a defence does, as JSON. Raises InputError as `open_defence` does."""
    folder = Path(name).expanduser()
    file, _ = read_recogniser(folder)
    return {"recogniser": [file.weights_sha256, sha256_file(folder / CONFIG)]}
