"""Opening a defence by the name that a user gives it, for every command and for Python. No torch before one needs it.

A name is a folder that `train-defence` wrote or, of a kind that needs no training, that of the kind. To add a kind: a
class with the methods of `models.system.Defence` and the class method `load(folder)`, and one line below; with a class
method `ready()`, which takes no folder, its name among `READY`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustbench_char.common import InputError
from robustbench_char.common.errors import nearest
from robustbench_char.common.files import read_json, sha256_bytes, sha256_file
from robustbench_char.common.registry import Registry

if TYPE_CHECKING:
    from robustbench_char.models.system import Defence

__all__ = ["CONFIG", "DEFENCES", "READY", "check_defence", "identify_defence", "kind_of_defence", "open_defence"]

CONFIG, SCHEMA = "defence.json", 1
"""What tells a defence's folder and its kind: `{"schema": 1, "kind": "channel", ...}`."""
_RECOGNISER = "recogniser.json"

DEFENCES: Registry[type[Any]] = Registry("kind of defence")
DEFENCES.register("wordrec", "robustbench_char.defences.wordrec:Recogniser")
DEFENCES.register("spell", "robustbench_char.defences.spell:Spell")
DEFENCES.register("channel", "robustbench_char.defences.channel:Channel")

READY = ("spell", "channel")
"""Kinds that need no training, in the order in which they are listed."""


def open_defence(name: Path | str) -> Defence:
    """Return the defence of a folder, or a ready one. Raises InputError for what is neither, damaged or newer."""
    kind, folder = kind_of_defence(name)
    made: Defence = _ready(kind) if folder is None else DEFENCES.get(kind).load(folder)
    return made


@cache
def _ready(kind: str) -> Any:
    """Make a ready defence once; it keeps nothing of what it corrects."""
    return DEFENCES.get(kind).ready()


def check_defence(name: Path | str) -> None:
    """Raise InputError for a defence that cannot be opened, as far as that is known without a model library."""
    kind, folder = kind_of_defence(name)
    if kind == "wordrec" and folder:
        from robustbench_char.defences.wordrec.files import check_recogniser

        check_recogniser(folder)
    else:
        open_defence(name)


def identify_defence(name: Path | str) -> dict[str, Any]:
    """Return what decides what a defence does, as JSON. Raises InputError for a folder without one."""
    kind, folder = kind_of_defence(name)
    if folder is None:
        return {kind: _ready(kind).info.sha256}
    if kind == "wordrec":
        file = read_json(folder / _RECOGNISER)
        weights = file.get("weights_sha256") if isinstance(file, dict) else None
        return {"recogniser": [weights, sha256_file(folder / _RECOGNISER)]}
    said = read_json(folder / CONFIG)
    said = {key: value for key, value in said.items() if key not in ("provenance", "training")}
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / CONFIG)
    return {kind: sha256_bytes("".join([repr(said), *map(sha256_file, files)]).encode())}


def kind_of_defence(name: Path | str, *, place: object = "--defence") -> tuple[str, Path | None]:
    """Return the kind of a defence, and its folder (None: a ready one).

    Raises InputError for a name or a folder that is none, of an unknown kind or of a newer version.
    """
    folder = Path(name).expanduser()
    if str(name) in READY and not folder.is_dir():
        return str(name), None
    if (folder / _RECOGNISER).is_file():
        return "wordrec", folder
    if not (folder / CONFIG).is_file():
        raise _unknown(str(name), folder, place)
    file = read_json(folder / CONFIG)
    schema, kind = (file.get(key) if isinstance(file, dict) else None for key in ("schema", "kind"))
    if isinstance(schema, int) and schema > SCHEMA:
        found, fix = (
            f"{schema}, of a newer version of robustbench-char",
            "Upgrade: pip install --upgrade robustbench-char.",
        )
        raise InputError(f"{folder / CONFIG}: schema", found=found, expected=f"schema {SCHEMA}", fix=fix)
    if not isinstance(kind, str) or kind not in DEFENCES or kind == "wordrec":
        known = [one for one in DEFENCES if one != "wordrec"]
        fix = f"Train it again with `train-defence`, or upgrade robustbench-char.{nearest(str(kind), known)}"
        raise InputError(f"{folder / CONFIG}: kind", found=repr(kind), expected=f"one of {', '.join(known)}", fix=fix)
    return kind, folder


def _unknown(name: str, folder: Path, place: object) -> InputError:
    ready = f", or one of {', '.join(READY)}" if READY else ""
    found = f"neither {CONFIG} nor {_RECOGNISER} in {name}" if folder.is_dir() else f"no folder {name}"
    meant = "" if folder.is_dir() else nearest(name, READY)
    fix = f"Check the path, or train a defence with `train-defence`.{meant}"
    return InputError(place, found=found, expected=f"a folder that `train-defence` wrote{ready}", fix=fix)
