"""The example explorer of the page: what it shows, packed (`payload`), and the block that carries it."""

from __future__ import annotations

from robustbench_char.reports.examples.payload import Sample, pack, sample

__all__ = ["Sample", "pack", "sample"]
