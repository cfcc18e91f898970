"""The systems that are compared, by name. To add one: a class like those of `models.bert`, and one line here.

The names stand in this room so that they can be listed without a model library; a class loads when it is asked for.
Its base class stands in a room above, so who asks for a class says of what type it is.
"""

from __future__ import annotations

from typing import Any

from robustbench_char.common.registry import Registry

__all__ = ["SYSTEMS"]

SYSTEMS: Registry[type[Any]] = Registry("system")
SYSTEMS.register("bert", "robustbench_char.models.bert:BertSystem")
SYSTEMS.register("bert_mlm", "robustbench_char.models.bert:BertMlmSystem")
SYSTEMS.register("advbert", "robustbench_char.models.bert:AdvBertSystem")
SYSTEMS.register("bert_wordrec", "robustbench_char.models.bert:BertWordRecSystem")
SYSTEMS.register("charbert", "robustbench_char.models.charbert.system:CharBertSystem")
SYSTEMS.register("bert_aug", "robustbench_char.models.bert:BertAugSystem")
SYSTEMS.register("encoder", "robustbench_char.models.encoders:EncoderSystem")
