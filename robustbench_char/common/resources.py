"""The one resolver of shipped declarations (attack suites, benchmark specs, published numbers).

A name is looked up as a path that the user gave, then inside the installed wheel, then in the checkout of an
editable install. The working directory is never searched.
"""

from __future__ import annotations

from pathlib import Path

from robustbench_char.common.errors import InputError, nearest

__all__ = ["find", "shipped", "shipped_file"]

_PACKAGE = Path(__file__).resolve().parent.parent
_SHIPPED = _PACKAGE / "_shipped"  # filled when the wheel is built, see pyproject.toml
_CHECKOUT = _PACKAGE.parent


def shipped(folder: str) -> dict[str, Path]:
    """Return the YAML files of a shipped folder (`attacks`, `benchmarks/suites`, ...), by their stem, sorted."""
    return {path.stem: path for path in sorted(_home(folder).glob("*.yaml"))}


def shipped_file(name: str) -> Path | None:
    """Return one shipped file by its path (`benchmarks/costs.jsonl`), or None where there is none."""
    path = _home(name)
    return path if path.is_file() else None


def _home(name: str) -> Path:
    """Return where something shipped lies: in the wheel, else in the checkout."""
    return _SHIPPED / name if (_SHIPPED / name).exists() else _CHECKOUT / name


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
