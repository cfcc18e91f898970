"""The one resolver of shipped declarations (attack suites, benchmark specs, published numbers).

A name is looked up as a path that the user gave, then inside the installed wheel, then in the checkout of an
editable install. The working directory is never searched.
"""

from __future__ import annotations

from pathlib import Path

from robustbench_char.common.errors import InputError, nearest

__all__ = ["find", "shipped"]

_PACKAGE = Path(__file__).resolve().parent.parent
_SHIPPED = _PACKAGE / "_shipped"  # filled when the wheel is built, see pyproject.toml
_CHECKOUT = _PACKAGE.parent


def shipped(folder: str) -> dict[str, Path]:
    """Return the YAML files of a shipped folder (`attacks`, `benchmarks/suites`, ...), by their stem, sorted."""
    home = _SHIPPED / folder
    if not home.is_dir():
        home = _CHECKOUT / folder
    return {path.stem: path for path in sorted(home.glob("*.yaml"))}


def find(folder: str, name: str, *, place: str) -> Path:
    """Return the file that `name` stands for: a path ending in .yaml, or the stem of a shipped file.

    Raises InputError with the nearest shipped name.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if path.is_file():
            return path
        raise InputError(place, found=f"no file {name}", expected="a YAML file", fix="Check the path.")
    known = shipped(folder)
    if name not in known:
        raise InputError(
            place,
            found=f"unknown name {name!r}",
            expected=f"one of {', '.join(known)}, or the path of a .yaml file",
            fix=f"Correct the name.{nearest(name, known)}",
        )
    return known[name]
