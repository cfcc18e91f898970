"""Fragility of tokenizers: the paper's example, shares of split words and entities, nouns."""

from __future__ import annotations

import pytest

from robustbench_char.metrics.fragility import deletions, nouns, split_shares

PIECES = {
    "backhand": ["back", "##hand"], "bachand": ["bach", "##and"], "cat": ["cat"], "ct": ["c", "##t"],
    "cats": ["cat", "##s"], "in": ["in"], "Oslo": ["os", "##lo"], "olo": ["olo"],
}  # fmt: skip


def test_the_example_of_the_paper() -> None:
    found = deletions(["backhand"], ["bachand"], PIECES)
    assert found[0] == found[1] | {"group": "all"}
    row = {"words": 1, "split": 1.0, "none_shared": 1.0, "pieces_changed": 1.0, "characters_changed": 0.125}
    assert found[1] == {"group": "4+ letters", **row}


def test_pieces_that_stay() -> None:
    whole, longer = deletions(["cats", "cat"], ["cat", "ct"], PIECES)
    assert (whole["words"], whole["split"], whole["none_shared"]) == (2, 0.5, 0.5)
    assert whole["pieces_changed"] == pytest.approx((1 / 2 + 1) / 2)
    assert whole["characters_changed"] == pytest.approx((1 / 4 + 1 / 3) / 2)
    assert (longer["words"], longer["none_shared"], longer["pieces_changed"]) == (1, 0.0, 0.5)


def test_no_words() -> None:
    names = ("split", "none_shared", "pieces_changed", "characters_changed")
    row = {"group": "all", "words": 0, **dict.fromkeys(names)}
    assert deletions([], [], PIECES)[0] == row


def test_split_words_and_entities() -> None:
    sentences = [("Oslo", "in", "cats"), ("cat", "cats")]
    found = split_shares(sentences, [("B-LOC", "O", "O"), ("B-X", "B-X")], PIECES)
    assert (found.words, found.split_words) == (5, 0.6)
    assert (found.entities, found.split_entities) == (3, pytest.approx(2 / 3))
    plain = split_shares(sentences, None, PIECES)
    assert (plain.entities, plain.split_entities) == (0, None)


def test_nouns_by_their_tags() -> None:
    assert nouns([("the", "cats", "of", "Oslo")], [("DT", "NNS", "IN", "NNP")]) == [["cats", "Oslo"]]
