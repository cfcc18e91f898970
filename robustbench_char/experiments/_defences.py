"""The defences that a spec names, looked up before any work: those that jobs build, and those that are ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustbench_char.attack_sets.manifest import is_set
from robustbench_char.common import InputError
from robustbench_char.common.errors import nearest
from robustbench_char.common.systems import SYSTEMS
from robustbench_char.defences.opening import identify_defence
from robustbench_char.experiments._jobs import MINI
from robustbench_char.experiments._mistakes import Mistakes
from robustbench_char.experiments.spec import RECOGNISER, Benchmark, DefencePart
from robustbench_char.text.misspellings import PACKAGED, misspellings_file

__all__ = ["Defences", "located", "resolve_defences", "text_files"]


@dataclass(frozen=True)
class Defences:
    """The defences of a spec: `parts` are built by jobs, by name; `ready`, by system, have a place and an identity.

    `before` has the name of that of each system. `texts` are files (see `jobs.text_path`), `misspellings` files, lists
    that packages ship, and folders of attacked sets.
    """

    before: Mapping[str, str]
    parts: Mapping[str, DefencePart]
    texts: Mapping[str, tuple[str, ...]]
    misspellings: Mapping[str, tuple[str, ...]]
    ready: Mapping[str, tuple[str, dict[str, Any]]]


def resolve_defences(spec: Benchmark, data_dir: Path | None, wrong: Mistakes) -> Defences:
    """Return the defences of a spec; all that is wrong with what they read, and with ready ones, is a mistake."""
    before = {key: name for key in spec.systems if (name := _before(spec, key))}
    parts = _parts(spec)
    texts = {name: text_files(f"{_place(name)}.text", part.text, data_dir, wrong) for name, part in parts.items()}
    folder = data_dir or Path()
    listed = {name: part.misspellings or () for name, part in parts.items()}
    misspellings = {name: tuple(_list(name, at, folder, wrong) for at in given) for name, given in listed.items()}
    ready = {}
    for key, name in before.items():
        if name not in spec.defences and (spec.systems[key].defence or name not in parts):
            try:
                path = located(folder, name)
                ready[key] = path, identify_defence(path)
            except InputError as error:
                known = f"{error.expected}, or a key of `defences`"
                wrong.add(f"systems.{key}.defence", error.found, known, error.fix + nearest(name, spec.defences))
    return Defences(before, parts, texts, misspellings, ready)


def _parts(spec: Benchmark) -> dict[str, DefencePart]:
    """Return the defences that jobs may build: those of the spec, its word recogniser, and the default channel."""
    asked = spec.recogniser.model_dump(exclude_none=True) if spec.recogniser else {}
    return {RECOGNISER: DefencePart(kind="wordrec", **asked), "channel": DefencePart(kind="channel"), **spec.defences}


def _before(spec: Benchmark, key: str) -> str | None:
    """Return the name of the defence before a system: the one it states, the word recogniser, or its default."""
    system, name = spec.systems[key], spec.kind_of(key)
    if system.defence or system.recogniser:
        return system.defence or RECOGNISER
    default = SYSTEMS.traits(name).defence if system.trained and name in SYSTEMS else None
    return RECOGNISER if default == "wordrec" else default


def _place(name: str) -> str:
    return name if name == RECOGNISER else f"defences.{name}"


def text_files(key: str, names: tuple[str, ...], data_dir: Path | None, wrong: Mistakes) -> tuple[str, ...]:
    """Return the files of plain text (see `jobs.text_path`); one that is missing is a mistake."""
    files = [name if name == MINI else str(((data_dir or Path()) / name).resolve()) for name in names]
    for path in files if data_dir is not None else ():
        if path != MINI and not Path(path).is_file():
            wrong.add(key, f"no file {path}", "a file of plain text below the data folder", "Check the path.")
    return tuple(files)


def _list(defence: str, name: str, folder: Path, wrong: Mistakes) -> str:
    """Return a list of misspellings: the whole path of a file or of an attacked set, or the name of a package."""
    place = name if name in PACKAGED else located(folder, name)
    if not is_set(Path(place)):
        try:
            misspellings_file(place)
        except InputError as error:
            expected = f"{error.expected}, or an attacked set"
            wrong.add(f"{_place(defence)}.misspellings", error.found, expected, error.fix)
    return place


def located(folder: Path, name: str) -> str:
    """Return the whole path of a folder, or of the file in `FILE.py:function`; other names as they are."""
    where, colon, function = name.rpartition(":") if ".py:" in name else (name, "", "")
    found = next((path for path in (folder / where, Path(where).expanduser()) if path.exists()), None)
    return f"{found.resolve()}{colon}{function}" if found else name
