"""The systems that are compared, by name. A new one is a file with a class like `bert.BertSystem` and one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.common import Registry

if TYPE_CHECKING:
    from robustbench_char.models.bert import BertSystem

__all__ = ["SYSTEMS"]

SYSTEMS: Registry[type[BertSystem]] = Registry("system")
SYSTEMS.register("bert", "robustbench_char.models.bert:BertSystem")
