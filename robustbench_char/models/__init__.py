"""Models: encoders, heads, and the systems that are compared. Importing it registers CharBERT with Transformers.

Needs the extra `models`.
"""

from __future__ import annotations

from robustbench_char.models import charbert

__all__ = ["charbert"]
