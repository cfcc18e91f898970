"""Words whose pieces are predicted are not to be seen in the characters of any other piece."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.models

CHARACTERS = "abcdefghijklmnopqrstuvwxyzé0123456789東京都大学'-.&_ß\u0301\u0308हिन्दी"


def _shown(folder: str, unit: Any, text: str, seed: int) -> Any:
    """Return pieces of a clean text, which of them are masked, and what each exposes."""
    from robustbench_char.training.pretraining._blocks import BlockMaker
    from robustbench_char.training.pretraining._models import open_tokenizer
    from robustbench_char.training.pretraining._noise import Masker, Noiser

    tokenizer = open_tokenizer(Path(folder))
    maker = BlockMaker(Noiser(tokenizer, None, 0), Masker(tokenizer, 0.4), 8, unit)
    pieces = maker.noiser.pieces([text], [0], "1")
    masked = maker.masker(pieces, np.random.default_rng(seed))[1] >= 0
    return pieces, masked, maker._surfaces(pieces, masked)


@pytest.mark.parametrize("unit", ["word", "piece"])
@pytest.mark.parametrize("base", ["tiny_base", "roberta"])
def test_no_piece_exposes_a_character_of_a_masked_one(base: str, unit: str, request: pytest.FixtureRequest) -> None:
    """Each character stands in the text once, so that where it is seen, it is given away."""
    folder = request.getfixturevalue(base)

    @given(st.permutations(CHARACTERS), st.lists(st.integers(1, 9), min_size=4, max_size=20), st.integers(0, 9))
    def check(characters: list[str], lengths: list[int], seed: int) -> None:
        left = iter(characters)
        text = " ".join("".join(next(left, "") for _ in range(length)) for length in lengths)
        pieces, masked, surfaces = _shown(folder, unit, text, seed)
        own = [pieces.text[start:end] for start, end in zip(pieces.starts, pieces.ends, strict=True)]
        secret = {letter for piece, hidden in zip(own, masked, strict=True) if hidden for letter in piece} - {" "}
        for piece, hidden, surface in zip(own, masked, surfaces, strict=True):
            if hidden:
                assert surface is None
            elif surface is not None:
                assert piece in surface
                assert not secret & set(surface)

    check()


@pytest.mark.parametrize("base", ["tiny_base", "roberta"])
def test_words_go_on_over_pieces_and_blocks(base: str, request: pytest.FixtureRequest) -> None:
    """However the tokenizer parts them: byte-level ones part letters from digits."""
    _, masked, surfaces = _shown(request.getfixturevalue(base), "word", "g0od 3rd don't AT&T 東京", 0)
    words = ["g0od", "3rd", "don", "'", "t", "AT", "&", "T", "東", "京"]
    seen = [surface.strip() for surface in surfaces if surface is not None]
    assert masked.any()
    assert set(seen) <= {*words, "'t", ""}
    assert {"g0od", "AT", "東"} & set(seen)
