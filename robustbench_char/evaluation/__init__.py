"""Evaluation: official scores, what is left of them after an attack, and the records that reports are made of.

Never imports torch.
"""

from __future__ import annotations
