"""The systems that are compared, by name. A new one is a class like `bert.BertSystem` and one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.common import Registry

if TYPE_CHECKING:
    from robustbench_char.models.bert import BertSystem

__all__ = ["SYSTEMS"]

SYSTEMS: Registry[type[BertSystem]] = Registry("system")
SYSTEMS.register("bert", "robustbench_char.models.bert:BertSystem")
SYSTEMS.register("bert_mlm", "robustbench_char.models.bert:BertMlmSystem")
SYSTEMS.register("advbert", "robustbench_char.models.bert:AdvBertSystem")
SYSTEMS.register("bert_wordrec", "robustbench_char.models.bert:BertWordRecSystem")
SYSTEMS.register("charbert", "robustbench_char.models.charbert.system:CharBertSystem")
SYSTEMS.register("bert_aug", "robustbench_char.models.bert:BertAugSystem")
