"""The systems that are compared, by name. A new one is a class like `models.bert.BertSystem` and one line here.

The names stand in this room so that they can be listed without loading a model library; classes load when asked for.
"""

from __future__ import annotations

from typing import Any

from robustbench_char.common import Registry

__all__ = ["SYSTEMS"]

SYSTEMS: Registry[Any] = Registry("system")
SYSTEMS.register("bert", "robustbench_char.models.bert:BertSystem")
SYSTEMS.register("bert_mlm", "robustbench_char.models.bert:BertMlmSystem")
SYSTEMS.register("advbert", "robustbench_char.models.bert:AdvBertSystem")
SYSTEMS.register("bert_wordrec", "robustbench_char.models.bert:BertWordRecSystem")
SYSTEMS.register("charbert", "robustbench_char.models.charbert.system:CharBertSystem")
SYSTEMS.register("bert_aug", "robustbench_char.models.bert:BertAugSystem")
SYSTEMS.register("encoder", "robustbench_char.models.encoder_system:EncoderSystem")
