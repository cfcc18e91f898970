"""A file read, and written again."""

from __future__ import annotations

import io
from collections.abc import Iterable

from robustbench_char.tasks.base import Attacked, NativeFile
from robustbench_char.tasks.formats._pairing import attacked_blocks

__all__ = ["written"]


def written(file: NativeFile, items: Iterable[Attacked] | None = None) -> bytes:
    """Return a file as it is written again, by default without an edit."""
    out, items = io.BytesIO(), (Attacked(one, {}) for one in file.examples()) if items is None else items
    file.rewrite(out, attacked_blocks(file.blocks(), items))
    return out.getvalue()
