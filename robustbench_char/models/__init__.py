"""Models: encoders, heads, and the systems that are compared, for the extra `models`.

`folders` and `bases` need no model library, and nothing is imported before it is used. `models.charbert` registers
CharBERT with Transformers when it is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.common.registry import lazy_names

if TYPE_CHECKING:
    from robustbench_char.models.bases import Base, Limits, resolve_base
    from robustbench_char.models.inputs import Window
    from robustbench_char.models.system import Defence, SoftDefence, System

__all__ = ["Base", "Defence", "Limits", "SoftDefence", "System", "Window", "resolve_base"]

__getattr__ = lazy_names(
    __name__, bases="Base Limits resolve_base", inputs="Window", system="Defence SoftDefence System"
)
