"""Keys and draws: golden values, since a change of any of them changes every attacked set; and that they are even."""

from __future__ import annotations

import numpy as np
import pytest

from robustbench_char.attacks.keys import below, draw, fraction, text_keys, word_keys


def test_golden_values() -> None:
    texts = text_keys(["", "a", "id-1", "naïve \ud800"], seed=1, family="drop", task="qnli")
    assert [hex(key) for key in texts.tolist()] == [
        "0xaf024acf326d948e", "0x1d5f03802f6b575e", "0x6725871b5b3fd0f7", "0x6bed0e3e59013d68",
    ]  # fmt: skip
    words = word_keys(texts[[1, 1, 2]], np.array([0, 1, 0]))
    assert [hex(key) for key in words.tolist()] == ["0x91b04f89b8b428d8", "0x820140ce23e699f3", "0xc01f75b17a84fb29"]
    assert [hex(key) for key in draw(words, 0).tolist()] == [
        "0x462c3dba4a882df5",
        "0x58ab35799ed52336",
        "0xf2b0c93b01d9ef3a",
    ]
    assert [hex(key) for key in draw(words, 3).tolist()] == [
        "0xf8302657463ff6bb",
        "0x4f319aa008d93eb7",
        "0xa282bb0ce0c15730",
    ]
    assert below(draw(words, 2), np.array([26, 26, 3])).tolist() == [10, 6, 2]
    assert fraction(draw(words, 1)).tolist() == [0.9019453174047769, 0.6655056424141071, 0.7841279899586591]


@pytest.mark.parametrize("changed", [{"seed": 2}, {"seed": -1}, {"family": "add"}, {"task": "mrpc"}])
def test_every_part_of_the_stream_counts(changed: dict[str, object]) -> None:
    base: dict[str, object] = {"seed": 1, "family": "drop", "task": "qnli"}
    assert not np.array_equal(text_keys(["a"], **base), text_keys(["a"], **(base | changed)))  # type: ignore[arg-type]


def test_parts_of_the_stream_do_not_run_together() -> None:
    assert text_keys(["a"], seed=1, family="x", task="yz") != text_keys(["a"], seed=1, family="xy", task="z")


def test_keys_and_draws_are_all_different() -> None:
    texts = text_keys([str(number) for number in range(1000)], seed=0, family="f", task="t")
    words = word_keys(np.repeat(texts, 20), np.tile(np.arange(20), 1000))
    draws = np.concatenate([draw(words, number) for number in range(5)])
    assert len(np.unique(draws)) == len(draws) == 100_000


@pytest.mark.parametrize("number", range(5))
def test_draws_are_even(number: int) -> None:
    """Chi-square over 16 cells of 64,000 draws, by high and by low bits; the 0.9999 point of 15 degrees of freedom is
    44.3.
    """
    texts = text_keys([str(number) for number in range(3200)], seed=7, family="f", task="t")
    draws = draw(word_keys(np.repeat(texts, 20), np.tile(np.arange(20), 3200)), number)
    for cells in (below(draws, np.full(len(draws), 16)), (draws & np.uint64(15)).astype(np.int64)):
        counts = np.bincount(cells, minlength=16)
        assert ((counts - 4000) ** 2 / 4000).sum() < 44.3


def test_below_and_fraction_reach_their_bounds() -> None:
    ends = np.array([0, 2**64 - 1], np.uint64)
    assert below(ends, np.array([7, 7])).tolist() == [0, 6]
    assert below(ends, np.array([1, 1])).tolist() == [0, 0]
    assert below(ends, np.array([2**31 - 1] * 2)).tolist() == [0, 2**31 - 2]
    assert fraction(ends).tolist() == [0.0, 1 - 2.0**-53]
