"""Shared by all rooms: the error type, registries, files and shipped declarations, frozen models, provenance.

The lowest room: nothing here depends on texts, tasks or models, or imports torch. The names of systems are here too
(`systems`), so that they can be listed without a model library. Add only what rooms of different layers share.
"""

from __future__ import annotations

from robustbench_char.common.errors import InputError, MissingExtra, nearest
from robustbench_char.common.registry import Registry
from robustbench_char.common.systems import SYSTEMS

__all__ = ["SYSTEMS", "InputError", "MissingExtra", "Registry", "nearest"]
