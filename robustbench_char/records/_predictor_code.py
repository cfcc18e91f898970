"""Where the code of a predictor stands, a hash of it, and how it is imported.

To find and to hash it, nothing of a user is imported.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from robustbench_char.common import InputError, nearest
from robustbench_char.common.files import check_file, sha256_bytes

__all__ = ["Code", "find_code", "installed_code", "source_sha256"]

_EXPECTED = "a function: module:function or path/to/file.py:function"
_PACKAGE = Path(__file__).resolve().parents[1]
_OWN: dict[Path, dict[str, ModuleType]] = {}
"""What predictors imported from their folder: two folders may have modules of one name."""
_IMPORTED: dict[str, str | None] = {}
"""The hash that each module had when it was imported for a predictor."""


@dataclass(frozen=True)
class Code:
    """A function, class or object in a module, or in a file that is run by its `path`.

    `folder` is on the path while it is imported and while it runs. `sha256` is that of its source (see
    `source_sha256`), None where it has no file. `distribution` is the package that registers it, and its version.
    """

    module: str
    attribute: str
    sha256: str | None
    path: Path | None = None
    folder: Path | None = None
    distribution: tuple[str, str] = ("", "")

    @property
    def target(self) -> str:
        """What records call it: module or name of the file, and attribute."""
        return f"{self.path.name if self.path else self.module}:{self.attribute}"

    @property
    def name(self) -> str:
        """The name of a predictor that is given none."""
        return f"{self.path.stem if self.path else self.module.rpartition('.')[2]}.{self.attribute}"

    def load(self) -> Any:
        """Import it anew. Raises whatever the import raises, AttributeError where the attribute is not there."""
        with self.importable(fresh=True):
            module = _run(self.path) if self.path else _imported(self.module, self.sha256)
            return attrgetter(self.attribute)(module) if self.attribute else module

    @contextmanager
    def importable(self, *, fresh: bool = False) -> Iterator[None]:
        """Let modules in its folder be imported within the block: there they are its own, as they stand if `fresh`.

        Nobody else's modules of the same names, or as they were before an edit, are mistaken for them.
        """
        if self.folder is None:
            yield
            return
        own = _OWN.setdefault(self.folder, {})
        if fresh:
            own.clear()
        hidden = [name for name, module in sys.modules.items() if (name in own or fresh) and self._has(module)]
        others = {name: sys.modules.pop(name) for name in hidden}
        before, writes = set(sys.modules), sys.dont_write_bytecode
        sys.modules.update(own)
        sys.path.insert(0, str(self.folder))
        sys.dont_write_bytecode = True  # Python tells a cached file from an edited one by whole seconds alone
        try:
            yield
        finally:
            sys.dont_write_bytecode = writes
            if str(self.folder) in sys.path:
                sys.path.remove(str(self.folder))
            made = [name for name in set(sys.modules) - before if self._has(sys.modules[name])]
            own |= {name: sys.modules.pop(name) for name in made}
            sys.modules.update(others)

    def _has(self, module: ModuleType | None) -> bool:
        """Return whether a module is the user's in the folder: Python and installed packages may lie below it too.

        `sys.modules` has None for one that must not be imported.
        """
        file = str(vars(module).get("__file__")) if module else ""
        places = (sys.prefix, sys.base_prefix, str(_PACKAGE))
        return file.startswith(f"{self.folder}{os.sep}") and not file.startswith(places)


def _imported(name: str, sha256: str | None) -> ModuleType:
    """Import a module; again where its source is another than when it was imported for a predictor before."""
    edited = name in sys.modules and _IMPORTED.get(name, sha256) != sha256
    _IMPORTED[name] = sha256
    return importlib.reload(sys.modules[name]) if edited else importlib.import_module(name)


def _run(path: Path) -> ModuleType:
    name = f"_predictor_{path.stem}_{sha256_bytes(str(path).encode())[:8]}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:  # never, as it is a file in Python
        raise ImportError(name)
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def find_code(name: str) -> Code:
    """Return what `module:function` or `path.py:function` stands for; modules of the working directory come first.

    Raises InputError for a file or module that does not exist, that has a syntax error, or without such a name.
    """
    where, _, attribute = name.rpartition(":")
    if not where and name.endswith(".py"):
        fix = f"Name the function in it: {name}:FUNCTION."
        raise InputError(name, found="a file alone", expected=_EXPECTED, fix=fix)
    if not all(part.isidentifier() for part in attribute.split(".")):
        raise InputError(
            name, found="no function of that name", expected=_EXPECTED, fix="Correct the name after the colon."
        )
    if where.endswith(".py"):
        path = check_file(Path(where).expanduser(), option="MODEL").resolve()
        code = Code("", attribute, source_sha256(path, path.parent), path, path.parent)
        _check_named(path, attribute)
        return code
    return _in_module(where, attribute)


def _in_module(module: str, attribute: str) -> Code:
    folder = Path.cwd()
    path = _file_of(module, folder) if all(part.isidentifier() for part in module.split(".")) else None
    if path is None:
        expected = f"{_EXPECTED}; a module of the working directory or an installed one"
        fix = "Correct the name, run the command in the module's folder, or give the path of its file."
        raise InputError(f"{module}:{attribute}", found=f"no module {module!r}", expected=expected, fix=fix)
    own = folder if path.is_relative_to(folder) else None
    code = Code(module, attribute, source_sha256(path, own), folder=own)
    if path.suffix == ".py":
        _check_named(path, attribute)
    return code


def installed_code(module: str, attribute: str, distribution: tuple[str, str]) -> Code:
    """Return what a package registers; where its module is not found, importing it will say so."""
    path = _file_of(module, None)
    sha256 = None if path is None else source_sha256(path, None)
    return Code(module, attribute, sha256, distribution=distribution)


def _file_of(module: str, folder: Path | None) -> Path | None:
    """Return the file of a module, without importing the packages around it; None where there is none."""
    importlib.invalidate_caches()
    parts, found = module.split("."), None
    places = None if folder is None else [str(folder), *sys.path]
    for last in range(1, len(parts) + 1):
        found = _spec(".".join(parts[:last]), places)
        if found is None or (found.submodule_search_locations is None and last < len(parts)):
            return None
        places = found.submodule_search_locations
    path = Path(found.origin) if found and found.has_location and found.origin else None
    return path if path is not None and path.is_file() else None


def _spec(name: str, places: list[str] | None) -> ModuleSpec | None:
    specs = (finder.find_spec(name, places) for finder in sys.meta_path)
    return next((spec for spec in specs if spec is not None), None)


def source_sha256(path: Path, folder: Path | None) -> str:
    """Return a hash of a file and, with `folder`, of the files below it that it imports, and those that they import.

    Raises InputError for a syntax error.
    """
    hashes: dict[Path, str] = {}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file in hashes:
            continue
        data = file.read_bytes()
        hashes[file] = sha256_bytes(data)
        if folder is not None and file.suffix == ".py":
            waiting += _imports(file, data, folder)
    names = (f"{file.relative_to(folder) if folder else file.name} {sha256}" for file, sha256 in hashes.items())
    return sha256_bytes("\n".join(sorted(names)).encode())


def _imports(file: Path, data: bytes, folder: Path) -> Iterator[Path]:
    """Yield the files below a folder that the import statements of a file may stand for."""
    for node in ast.walk(_parsed(file, data)):
        if isinstance(node, ast.Import):
            names = [(folder, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [folder, *file.parents][min(node.level, len(file.parents))]
            names = [(base, ".".join(filter(None, (node.module, alias.name)))) for alias in node.names]
        else:
            continue
        for base, name in names:
            parts = name.split(".")
            stems = [base.joinpath(*parts[:last]) for last in range(1, len(parts) + 1)]
            files = (file for stem in stems for file in (stem.with_name(f"{stem.name}.py"), stem / "__init__.py"))
            yield from (file for file in files if file.is_file() and file.is_relative_to(folder))


def _parsed(path: Path, data: bytes) -> ast.Module:
    try:
        return ast.parse(data)
    except (SyntaxError, ValueError) as error:
        place = f"{path}:{getattr(error, 'lineno', None) or 1}"
        raise InputError(place, found=str(error), expected="a file in Python", fix="Correct the file.") from None


def _check_named(path: Path, attribute: str) -> None:
    """Raise InputError where no statement of a file can have made the attribute."""
    tree = _parsed(path, path.read_bytes())
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    names = {
        name
        for node in ast.walk(tree)
        for name in (getattr(node, key, None) for key in ("id", "name", "asname"))  # of names, functions, imports
    }
    first = attribute.partition(".")[0]
    if first not in names and not {"*", "__getattr__", "globals"} & names:
        expected = f"one of its functions and classes: {', '.join(functions) or 'it has none'}"
        fix = f"Correct the name.{nearest(first, functions)}"
        raise InputError(path, found=f"no {first!r}", expected=expected, fix=fix)
