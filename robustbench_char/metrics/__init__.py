"""Every score, as additive counts of each example and a function of their sums; resampling and tests over these counts.

Pure functions of numbers and labels: nothing here reads a file. Never imports torch.
"""

from __future__ import annotations
