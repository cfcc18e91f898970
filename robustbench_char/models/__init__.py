"""Models: encoders, heads, and the systems that are compared. Importing it registers CharBERT with Transformers.

Needs the extra `models`.
"""

from __future__ import annotations

from robustbench_char.models import charbert
from robustbench_char.models.checkpoints import Base, resolve_base
from robustbench_char.models.inputs import Window
from robustbench_char.models.system import Defence, Limits, System

__all__ = ["Base", "Defence", "Limits", "System", "Window", "charbert", "resolve_base"]
