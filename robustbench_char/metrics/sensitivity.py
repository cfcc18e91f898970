"""Sensitivity S: how far words' contextual representations shift under an attack (Ma et al. 2020, section 5).

S is the mean over words of the cosine distance between a word's contextual representation in the clean and in the
attacked text. The paper does not print its scaling, so half the distance is given beside it. How representations are
read is `models.representations`' work. Shape legend: W words, D dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from robustbench_char.metrics.base import Floats
from robustbench_char.metrics.bootstrap import Interval, interval
from robustbench_char.metrics.breakdowns import WORD_LENGTHS, bucket

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["WORD_COLUMNS", "cosine_distances", "summary_frame"]

WORD_COLUMNS = (
    "row", "field", "word", "start", "changed", "operator", "pieces_clean", "pieces_attacked", "length", "distance",
)  # fmt: skip
"""One row per word of the clean text: its example, field, number and where it starts in the field (in a text of tokens
joined by spaces), whether the attack changed it, by which operators (joined by +), its pieces in both texts, its length
in characters, and the cosine distance (missing where the length limit cut it off on either side). No text."""


def cosine_distances(clean: Floats, attacked: Floats) -> Floats:
    """Return 1 - cosine of each pair of rows [W, D], in [0, 2]; equal rows are 0 apart, also of zeros.

    A row of zeros has no direction: its distance from any other row is 1. Raises ValueError for other shapes.
    """
    clean, attacked = np.asarray(clean, np.float64), np.asarray(attacked, np.float64)
    if clean.shape != attacked.shape or clean.ndim != 2:
        raise ValueError(f"two tables of one shape [W, D] are needed, not {clean.shape} and {attacked.shape}")
    lengths = np.linalg.norm(clean, axis=1) * np.linalg.norm(attacked, axis=1)
    products = np.einsum("wd,wd->w", clean, attacked)
    cosine = np.divide(products, lengths, out=np.zeros(len(clean)), where=lengths > 0)
    return np.where((clean == attacked).all(1), 0.0, np.clip(1.0 - cosine, 0.0, 2.0))


def summary_frame(words: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Return S of all words and of each group of them, one row per group.

    `words` has WORD_COLUMNS. Columns: `group`, `value`, `words` (that were measured), `left_out` (cut off), `s`, `low`,
    `high` (95%, the examples resampled, so that words of one sentence stay together), `note` (why there is no
    interval), `half` (s / 2).
    """
    import pandas as pd

    examples = words["row"].to_numpy()
    rows = [_group(group, value, words[inside], np.unique(examples), seed) for group, value, inside in _groups(words)]
    return pd.DataFrame(rows)


def _groups(words: pd.DataFrame) -> Iterator[tuple[str, str, pd.Series[bool]]]:
    yield "all", "all", words["row"].notna()
    for value, changed in (("changed", True), ("unchanged", False)):
        yield "changed", value, words["changed"] == changed
    for value, split in (("Word", False), ("Subword", True)):
        yield "pieces", value, (words["pieces_clean"] > 1) == split
    for operator in sorted({name for joined in words["operator"].unique() for name in joined.split("+") if name}):
        yield "operator", operator, words["operator"].str.split("+").map(lambda names, one=operator: one in names)
    buckets = words["length"].map(lambda length: bucket(max(1, length), WORD_LENGTHS))
    for value in dict.fromkeys(bucket(number, WORD_LENGTHS) for number in range(1, WORD_LENGTHS[-1] + 2)):
        if (buckets == value).any():
            yield "word_length", value, buckets == value


def _group(group: str, value: str, part: pd.DataFrame, examples: np.ndarray, seed: int) -> dict[str, object]:
    measured = part[part["distance"].notna()]
    sums = measured.groupby("row")["distance"].agg(["sum", "count"]).reindex(examples, fill_value=0.0)
    mean = _mean(sums.to_numpy(np.float64), seed)
    return {
        "group": group,
        "value": value,
        "words": len(measured),
        "left_out": len(part) - len(measured),
        "s": mean.value,
        "low": mean.low,
        "high": mean.high,
        "half": None if mean.value is None else mean.value / 2,
        "note": mean.note,
    }


def _mean(sums: Floats, seed: int) -> Interval:
    def mean(totals: Floats) -> Floats:
        means: Floats = np.full(totals.shape[:-1], np.nan)
        np.divide(totals[..., 0], totals[..., 1], out=means, where=totals[..., 1] > 0)
        return means

    return interval(sums, mean, seed=seed)
