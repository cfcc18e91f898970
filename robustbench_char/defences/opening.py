"""Opening a defence by the name that a user gives it, for every command and for Python. No torch before one is opened.

Today a name is the folder of a word recogniser.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustbench_char.common import InputError
from robustbench_char.common.files import read_json, sha256_file

if TYPE_CHECKING:
    from robustbench_char.defences.wordrec import Recogniser

__all__ = ["identify_defence", "open_defence"]

_RECOGNISER = "recogniser.json"


def open_defence(name: str) -> Recogniser:
    """Return the defence that stands in a folder: what `train-recogniser` wrote. Raises InputError for another one."""
    folder = _folder(name)
    from robustbench_char.defences.wordrec import Recogniser

    return Recogniser.load(folder)


def identify_defence(name: str) -> dict[str, Any]:
    """Return what decides what a defence does, as JSON. Raises InputError for a folder without one."""
    path = _folder(name) / _RECOGNISER
    file = read_json(path)
    weights = file.get("weights_sha256") if isinstance(file, dict) else None
    return {"recogniser": [weights, sha256_file(path)]}


def _folder(name: str) -> Path:
    folder = Path(name).expanduser()
    if not (folder / _RECOGNISER).is_file():
        found = f"no {_RECOGNISER} in {name}" if folder.is_dir() else f"no folder {name}"
        fix = "Check the path, or train a recogniser with `train-recogniser`."
        raise InputError("--defence", found=found, expected="a folder that `train-recogniser` wrote", fix=fix)
    return folder
