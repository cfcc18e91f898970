"""The systems that are compared, as classes. Their names are registered in `common.systems`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.common import Registry, systems

if TYPE_CHECKING:
    from robustbench_char.models.bert import BertSystem

__all__ = ["SYSTEMS"]

SYSTEMS: Registry[type[BertSystem]] = systems.SYSTEMS
