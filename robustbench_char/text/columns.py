"""A column of texts as one array of code points, so that a whole data set is worked on at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from robustbench_char.text.characters import flags

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Column", "over_spans", "ranges", "strings"]

SEPARATOR = "\n"


@dataclass(frozen=True)
class Column:
    """`n` texts laid end to end, one separator after each.

    `codes`: uint32, all code points. `offsets`: int64 `n + 1`; text `i` is `codes[offsets[i] : offsets[i + 1] - 1]`.
    """

    codes: NDArray[np.uint32]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Column:
        """Lay texts end to end. Raises UnicodeEncodeError for a lone surrogate, which is not a character."""
        joined = SEPARATOR.join(texts) + SEPARATOR if len(texts) else ""
        lengths = np.fromiter(map(len, texts), np.int64, len(texts)) + 1
        return cls(np.frombuffer(joined.encode("utf-32-le"), np.uint32), np.concatenate([[0], np.cumsum(lengths)]))

    @property
    def ends(self) -> NDArray[np.int64]:
        """The end of each text, without its separator."""
        return self.offsets[1:] - 1

    @cached_property
    def flags(self) -> NDArray[np.uint8]:
        """The class bits of each code."""
        return flags(self.codes)

    def texts(self) -> list[str]:
        """Return the texts as strings."""
        joined = self.codes.tobytes().decode("utf-32-le")
        return [joined[start:end] for start, end in zip(self.offsets[:-1].tolist(), self.ends.tolist(), strict=True)]


def over_spans(
    merge: np.ufunc, values: NDArray[Any], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[Any]:
    """Reduce the values of each span, by `np.add`, `np.bitwise_or` and the like; spans are in order, apart, and none
    is empty.
    """
    bounds = np.stack([starts, ends], axis=1).ravel()
    return np.asarray(merge.reduceat(values, bounds)[::2]) if len(bounds) else values[:0]


def ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions of all ranges one after another: `starts[0], starts[0] + 1, ..., starts[1], ...`."""
    if (lengths == 1).all():
        return starts
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


def strings(codes: NDArray[np.uint32], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> pa.StringArray:
    """Cut many slices of a code point array at once, as an Arrow array of strings (2 GiB in all at most)."""
    import pyarrow as pa

    flat = codes[ranges(starts, lengths)]
    ends = np.concatenate([[0], np.cumsum(lengths)])
    if int(flat.max(initial=0)) < 0x80:
        data = flat.astype(np.uint8).tobytes()
    else:
        width = 1 + (flat >= 0x80).astype(np.int8) + (flat >= 0x800) + (flat >= 0x10000)
        ends = np.concatenate([[0], np.cumsum(width, dtype=np.int64)])[ends]
        data = flat.tobytes().decode("utf-32-le").encode()
    return pa.StringArray.from_buffers(len(starts), pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(data))
