"""The systems that are compared, by name. To add one: a class like those of `models.bert`, and one line here.

The names stand in this room so that they can be listed without a model library; a class loads when it is asked for.
Its base class stands in a room above, so who asks for a class says of what type it is.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from robustbench_char.common.registry import Registry

__all__ = ["SYSTEMS", "Traits"]


@dataclass(frozen=True)
class Traits:
    """What decides how a system is trained: the attributes of its class, which `models.system.System` explains.

    `defence` is its `default_defence`, as `defence` of a system that is made is the one before it.
    """

    name: str
    recipe: str
    pretraining: str | None = None
    any_type: bool = False
    defence: str | None = None
    augmentation: str | None = None
    trained_behind: bool = False


class Systems(Registry[type[Any]]):
    """The registry of systems. Those with traits are planned without their class, and so without a model library."""

    def __init__(self) -> None:
        super().__init__("system")
        self.declared: dict[str, Traits] = {}

    def register(self, name: str, entry: type[Any] | str, recipe: str | None = None, **traits: Any) -> None:
        """Add one name, with the traits of its class where it is to be planned without it."""
        super().register(name, entry)
        if recipe:
            self.declared[name] = Traits(name, recipe, **traits)

    def traits(self, name: str, *, place: object | None = None) -> Traits:
        """Return the traits of a system: those declared here, else those of its class, which is loaded."""
        return self.declared.get(name) or traits_of(self.get(name, place=place))


def traits_of(system: type[Any]) -> Traits:
    """Return the traits of a class."""
    names = {field.name: "default_defence" if field.name == "defence" else field.name for field in fields(Traits)}
    return Traits(**{name: getattr(system, own) for name, own in names.items()})


SYSTEMS = Systems()
_BERT, _CHARBERT = "robustbench_char.models.bert", "robustbench_char.models.charbert.system"
SYSTEMS.register("bert", f"{_BERT}:BertSystem", "bert/1")
SYSTEMS.register("bert_mlm", f"{_BERT}:BertMlmSystem", "bert/1", pretraining="bert_mlm")
SYSTEMS.register("advbert", f"{_BERT}:AdvBertSystem", "bert/1", pretraining="advbert")
SYSTEMS.register("bert_wordrec", f"{_BERT}:BertWordRecSystem", "bert/1", defence="wordrec")
SYSTEMS.register("bert_spell", f"{_BERT}:BertSpellSystem", "bert/1", defence="spell")
SYSTEMS.register("bert_channel", f"{_BERT}:BertChannelSystem", "bert/1", defence="channel")
SYSTEMS.register(
    "bert_channel_soft",
    "robustbench_char.models.soft:SoftSystem",
    "bert_channel_soft/2",
    defence="channel",
    trained_behind=True,
)
SYSTEMS.register("charbert", f"{_CHARBERT}:CharBertSystem", "charbert/2", pretraining="charbert")
SYSTEMS.register("bert_aug", f"{_BERT}:BertAugSystem", "bert/1", augmentation="mixed")
SYSTEMS.register("encoder", "robustbench_char.models.encoders:EncoderSystem", "encoder/1", any_type=True)
