"""One job in one process: what it costs is its own."""

from __future__ import annotations

import ctypes
import sys

import pytest

from robustbench_char.experiments.executors._local import _peak, _reset_peak

GLIBC = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim")


@pytest.mark.skipif(not GLIBC, reason="only glibc on Linux gives memory back when asked")
def test_memory_that_an_earlier_job_left_free_is_not_this_ones() -> None:
    blocks = [bytearray(100_000) for _ in range(3_000)]  # below the size that is always given back
    pin = bytearray(100_000)  # keeps the heap from shrinking by itself
    high = _peak()
    del blocks
    _reset_peak()
    assert _peak() < high - 200_000_000
    del pin
