"""The version of a stage's code: a hash of every module of this package that the stage can reach.

Comments, docstrings and layout do not count, nor does code that the stage never imports: a change of the report leaves
trained systems as they are.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import robustbench_char
from robustbench_char.common.files import sha256_bytes, sha256_file

__all__ = ["code_version", "files_version", "modules_of"]

_PACKAGE = robustbench_char.__name__
_HOME = Path(robustbench_char.__file__).resolve().parent
_TARGET = re.compile(rf"{_PACKAGE}(\.\w+)+:\w*")
"""How registries name what is imported when it is asked for; of an f-string the part before the attribute."""


@cache
def code_version(module: str) -> str:
    """Return the hash of a module's code and of all modules of this package that it imports, directly or not."""
    return sha256_bytes("\n".join(f"{name} {_hash(name)}" for name in modules_of(module)).encode())


@cache
def files_version(room: str) -> str:
    """Return the hash of the files of a room that are no modules: templates, styles, scripts."""
    home = _HOME / room
    files = sorted(path for path in home.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc"))
    return sha256_bytes(
        "\n".join(f"{path.relative_to(home).as_posix()} {sha256_file(path)}" for path in files).encode()
    )


@cache
def modules_of(module: str) -> tuple[str, ...]:
    """Return the modules of this package that a module reaches, itself included, sorted; imports in functions count."""
    found, waiting = set[str](), [module]
    while waiting:
        name = waiting.pop()
        if name not in found and _path(name) is not None:
            found.add(name)
            waiting += _imported(name)
    return tuple(sorted(found))


def _path(module: str) -> Path | None:
    place = _HOME.joinpath(*module.split(".")[1:])
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


@cache
def _tree(module: str) -> ast.Module:
    path = _path(module)
    if path is None:
        raise ValueError(f"{module} is no module of {_PACKAGE}")
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _hash(module: str) -> str:
    tree = ast.parse(ast.unparse(_tree(module)))  # a copy: docstrings are taken out of it
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body[0] = ast.Pass()
    return sha256_bytes(ast.unparse(tree).encode())


@cache
def _imported(module: str) -> tuple[str, ...]:
    return tuple(name for name in _named(_tree(module)) if name.startswith(f"{_PACKAGE}."))


def _named(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports; of `from a import b` both `a` and `a.b`, which may be a module as well."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _TARGET.fullmatch(node.value):
            yield node.value.partition(":")[0]
