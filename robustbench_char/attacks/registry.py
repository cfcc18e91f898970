"""The registry of operators: names are known without loading any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.common import Registry

if TYPE_CHECKING:
    from robustbench_char.attacks.operators import Operator

__all__ = ["NLPAUG_LAYOUTS", "OPERATORS"]

OPERATORS: Registry[Operator] = Registry("operator")

for _name in ("drop", "add", "swap", "keyboard"):
    OPERATORS.register(_name, f"robustbench_char.attacks.operators:{_name.upper()}")

NLPAUG_LAYOUTS = ("de", "en", "es", "fr", "he", "it", "nl", "pl", "th", "tr", "uk")

for _name in (
    *(f"nlpaug_keyboard_{layout}" for layout in NLPAUG_LAYOUTS),
    *(f"nlpaug_random_{action}" for action in ("insert", "substitute", "swap", "delete")),
    "nlpaug_ocr", "nlpaug_spelling_en",
):  # fmt: skip
    OPERATORS.register(_name, f"robustbench_char.attacks.nlpaug_operators:{_name.upper()}")
