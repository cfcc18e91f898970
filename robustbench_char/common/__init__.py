"""What every room uses: the one error type, the registry, the resolver of shipped files, hashes, provenance.

The lowest layer. Nothing here knows of texts, tasks or models.
"""

from __future__ import annotations

from robustbench_char.common.errors import InputError, nearest
from robustbench_char.common.registry import Registry

__all__ = ["InputError", "Registry", "nearest"]
