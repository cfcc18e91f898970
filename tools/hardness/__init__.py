"""Scripts that try the package at scale: `python -m tools.hardness.NAME --count N --seed S`, see README.md."""

from __future__ import annotations
