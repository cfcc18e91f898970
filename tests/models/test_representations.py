"""Representations of words: which pieces make a word, what a recogniser in front does, and what cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel

from robustbench_char.common import InputError
from robustbench_char.models.bert import BertSystem
from robustbench_char.models.representations import Passage, WordReader
from robustbench_char.text.corrections import Correction, replaced

pytestmark = pytest.mark.models

RIGHT = {"teh": "the", "hs": "house", "lvies": "lives"}


class Table:
    """A recogniser that corrects by a table."""

    def correct(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        return [[RIGHT.get(word, word) for word in words] for words in sentences]

    def correct_texts(self, texts: Sequence[str]) -> list[Correction]:
        return [replaced(text, spans_of(text).tolist(), self.correct([text.split()])[0]) for text in texts]


def spans_of(text: str) -> np.ndarray:
    ends = np.cumsum([len(word) + 1 for word in text.split(" ")]) - 1
    return np.stack([ends - [len(word) for word in text.split(" ")], ends], axis=1)


def passage(text: str, *, words: bool) -> Passage:
    return Passage(words=tuple(text.split(" "))) if words else Passage(texts=(text,), spans=(spans_of(text),))


def reader(folder: Path, *, words: bool, defence: Any = None, **options: Any) -> WordReader:
    model = AutoModel.from_pretrained(folder).eval()
    kind = BertSystem.open(folder, words=words, defence=defence)
    return WordReader(model, kind, **({"max_length": 32, "words": words} | options))


@pytest.mark.parametrize("words", [True, False])
@pytest.mark.parametrize("base", ["shared_bert", "shared_roberta"])
def test_behind_a_recogniser_what_it_corrects_does_not_move(
    base: str, words: bool, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(base)
    clean, attacked = (passage(text, words=words) for text in ("anna lives in the house", "anna lvies in teh hs"))
    one, other = reader(folder, words=words, defence=Table()).read([clean, attacked])
    assert one.vectors.tolist() == other.vectors.tolist()
    assert one.pieces.tolist() == other.pieces.tolist()
    assert (one.pieces > 0).all()
    plain = reader(folder, words=words).read([clean, attacked])
    assert not np.allclose(plain[0].vectors, plain[1].vectors)
    np.testing.assert_allclose(plain[0].vectors, one.vectors, atol=1e-6)


def test_texts_and_words_of_one_sentence_read_alike(shared_bert: Path, shared_roberta: Path) -> None:
    """RoBERTa tells a word at the start of a text from one behind a space, so its text starts with a space."""
    for folder, text in ((shared_bert, "the great house ,"), (shared_roberta, " the great house ,")):
        spans = spans_of(text.strip()) + len(text) - len(text.strip())
        one = reader(folder, words=True).read([passage(text.strip(), words=True)])[0]
        other = reader(folder, words=False).read([Passage(texts=(text,), spans=(spans,))])[0]
        assert one.pieces.tolist() == other.pieces.tolist()
        np.testing.assert_allclose(one.vectors, other.vectors, atol=1e-6)


def test_layers_count_from_the_embeddings(shared_bert: Path) -> None:
    given = [passage("the great house", words=True)]
    read = {layer: reader(shared_bert, words=True, layer=layer).read(given)[0].vectors for layer in (-3, -1, 0, 1, 2)}
    assert read[0].tolist() == read[-3].tolist()
    assert read[2].tolist() == read[-1].tolist()
    assert not np.allclose(read[0], read[1])


def test_nothing_to_read(shared_bert: Path) -> None:
    assert reader(shared_bert, words=True).read([]) == []
    found = reader(shared_bert, words=False).read([Passage(texts=("", " "), spans=(spans_of("")[:0],) * 2)])
    assert found[0].vectors.shape == (0, 32)


def test_a_tokenizer_that_makes_no_mask(shared_bert: Path) -> None:
    texts = [passage(text, words=True) for text in ("anna", "the great house was not in berlin")]
    whole = reader(shared_bert, words=True)
    expected = [whole.read([one])[0].vectors for one in texts]
    whole.kind.tokenizer.model_input_names = ["input_ids", "token_type_ids"]
    for one, other in zip(expected, whole.read(texts), strict=True):
        np.testing.assert_allclose(one, other.vectors, atol=1e-6)


def test_hidden_states_that_are_no_numbers(shared_bert: Path) -> None:
    damaged = reader(shared_bert, words=True)
    with torch.no_grad():
        damaged.model.encoder.layer[1].output.dense.bias.fill_(float("inf"))
    with pytest.raises(InputError, match="found hidden states of layer -1 that are not finite"):
        damaged.read([passage("the house", words=True)])
