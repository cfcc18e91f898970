"""The profile of a sentence of one's own in several models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.spatial.distance import cosine
from transformers import AutoModel, AutoTokenizer

from robustbench_char.common import InputError
from robustbench_char.inference.sensitivity import profile_sentence

pytestmark = pytest.mark.models

CLEAN, ATTACKED = "anna  sees the great house in oslo", "anna  sees the graet house in oslo"


def test_models_stand_side_by_side(
    tiny_base: str, roberta: str, make_file: Any, train_tiny: Callable[..., Path]
) -> None:
    """The systems are a tagger, which reads words, and a classifier, which reads text."""
    tagger, classifier = (
        str(train_tiny(family, make_file(family), epochs=0.1, name=family, base=base))
        for family, base in (("tagging", tiny_base), ("classification", roberta))
    )
    found = profile_sentence([tiny_base, roberta, tagger], CLEAN, ATTACKED)
    assert list(dict.fromkeys(found["system"])) == ["tiny-bert", "tiny-roberta", "bert"]
    assert found.groupby("system").size().tolist() == [7] * 3
    assert found.loc[found["changed"], "attacked"].tolist() == ["graet"] * 3
    assert found["distance"].between(0, 2).all()
    alone = profile_sentence([classifier], CLEAN, ATTACKED)
    assert alone["word"].tolist() == CLEAN.split()
    assert (alone["distance"] > 0).all()


def test_as_read_piece_by_piece(tiny_base: str) -> None:
    model, tokenizer = AutoModel.from_pretrained(tiny_base).eval(), AutoTokenizer.from_pretrained(tiny_base)

    def vectors(text: str) -> list[Any]:
        encoding = tokenizer(text.split(), is_split_into_words=True, return_tensors="pt")
        with torch.inference_mode():
            states = model(**encoding).last_hidden_state[0].double().numpy()
        owners = encoding.word_ids()
        return [states[[at for at, owner in enumerate(owners) if owner == word]].mean(0) for word in range(7)]

    expected = [cosine(*pair) for pair in zip(vectors(CLEAN), vectors(ATTACKED), strict=True)]
    assert profile_sentence([tiny_base], CLEAN, ATTACKED)["distance"].tolist() == pytest.approx(expected, abs=1e-6)


def test_equal_sentences_do_not_move(tiny_base: str, roberta: str) -> None:
    assert (profile_sentence([tiny_base, roberta], CLEAN, CLEAN)["distance"] == 0).all()


@pytest.mark.parametrize(
    ("models", "attacked", "message"),
    [
        (1, "anna sees", "the attacked sentence: found 2 words; expected 7, as in the clean one"),
        (2, ATTACKED, "found a second model called tiny-bert"),
    ],
)
def test_what_has_no_profile(models: int, attacked: str, message: str, tiny_base: str) -> None:
    with pytest.raises(InputError, match=message):
        profile_sentence([tiny_base] * models, CLEAN, attacked)


def test_no_words(tiny_base: str) -> None:
    with pytest.raises(InputError, match="found 0 words; expected some"):
        profile_sentence([tiny_base], " ", "")
