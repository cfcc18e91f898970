"""`bert_channel_soft`: exactly BERT while its gate is shut, and what an open one mixes into which pieces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_char.common import InputError
from robustbench_char.models.bases import resolve_base
from robustbench_char.models.bert import BertSystem
from robustbench_char.models.inputs import Window, pad
from robustbench_char.models.representations import Passage, WordReader
from robustbench_char.models.soft import SOFT_INPUTS, SoftSystem
from robustbench_char.models.system import System

pytestmark = pytest.mark.models

FAMILIES: Any = ("classification", "tagging", "question_answering")
CANDIDATES = {
    "graet": [("graet", 0.25), ("great", 0.5), ("the great", 0.25)],
    "hs": [("house", 1.0)],
    "berlin": [("berlin", 0.9995), ("merlin", 0.0005)],
}
_WORD = re.compile(r"\w+")


class Unsure:
    """A defence that knows the candidates of some words."""

    info = type("Info", (), {"kind": "unsure"})

    def posteriors(self, sentences: Sequence[Sequence[str]]) -> list[list[list[tuple[str, float]]]]:
        return [[CANDIDATES.get(word, [(word, 1.0)]) for word in words] for words in sentences]

    def posteriors_of_texts(self, texts: Sequence[str]) -> list[Any]:
        spans = [[match.span() for match in _WORD.finditer(text)] for text in texts]
        words = [[text[start:end] for start, end in own] for text, own in zip(texts, spans, strict=True)]
        return list(zip(spans, self.posteriors(words), strict=True))

    def correct(self, sentences: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
        raise AssertionError("a soft system decides nothing")

    def correct_texts(self, texts: Sequence[str]) -> Any:
        raise AssertionError("a soft system decides nothing")

    def save(self, folder: Path) -> None:
        raise AssertionError("not used")


def windows_of(kind: System, family: str) -> list[Window]:
    if family == "tagging":
        return list(kind.word_windows([["graet", "film"], ["the", "hs", "in", "berlin"]], max_length=32))
    if family == "classification":
        return list(kind.text_windows(["graet, the  hs!", "berlin"], ["anna", "a hs"], max_length=32))
    contexts = ["the hs was not in berlin. " * 3, "a graet film"]
    return list(kind.context_windows(["graet hs?", "is it"], contexts, max_length=20, stride=4, max_question=8))


def batch_of(kind: System, windows: Sequence[Window]) -> dict[str, torch.Tensor]:
    return {
        name: torch.from_numpy(table)
        for name, table in pad([window.inputs for window in windows], kind.padding()).items()
    }


def opened(model: Any, by: float) -> Any:
    with torch.no_grad():
        model.base_model.embeddings.gate.fill_(by)
    return model


def both(folder: Path, family: Any) -> tuple[Any, Any, list[Window]]:
    """Return the system, its model and its windows."""
    kind = SoftSystem.open(folder, words=family == "tagging", defence=Unsure())
    model = SoftSystem.build(resolve_base(str(folder)), family, ("a", "b"), layers=None, seed=3).eval()
    return kind, model, windows_of(kind, family)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("base", ["shared_bert", "shared_roberta"])
@torch.no_grad()
def test_with_a_shut_gate_it_is_bert_to_the_bit(base: str, family: Any, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(base)
    kind, model, windows = both(folder, family)
    plain = BertSystem.open(folder, words=family == "tagging")
    bert = BertSystem.build(resolve_base(str(folder)), family, ("a", "b"), layers=None, seed=3).eval()
    theirs = bert(**batch_of(plain, windows_of(plain, family)))
    ours = model(**batch_of(kind, windows))
    assert any(len(window.inputs["soft_ids"]) for window in windows)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    other = opened(model, 0.1)(**batch_of(kind, windows))
    assert not any(torch.equal(other[name], theirs[name]) for name in theirs)
    assert kind.extra_parameters(model) == sum(one.numel() for one in model.parameters()) - sum(
        one.numel() for one in bert.parameters()
    )


@torch.no_grad()
def test_what_is_mixed_into_a_piece(shared_bert: Path) -> None:
    """A fully open gate puts the mean of the candidates in the place of each piece of an unsure word, no other."""
    kind, model, _ = both(shared_bert, "tagging")
    (window,) = kind.word_windows([["a", "graet", "hs", "film"]], max_length=32)
    table = model.base_model.embeddings.word_embeddings.weight
    the, great, house = kind.tokenizer.convert_tokens_to_ids(["the", "great", "house"])
    own = table[torch.tensor(window.inputs["input_ids"])]
    expected = own.clone()
    inside = torch.tensor(window.words == 1)
    expected[inside] = 0.25 * own[inside] + 0.625 * table[great] + 0.125 * table[the]
    expected[torch.tensor(window.words == 2)] = table[house]
    given = opened(model, 1.0)(**batch_of(kind, [window]))["logits"]
    others = {name: torch.tensor(window.inputs[name])[None] for name in ("attention_mask", "token_type_ids")}
    torch.testing.assert_close(given, model(inputs_embeds=expected[None], **others)["logits"])


@pytest.mark.parametrize("base", ["shared_bert", "shared_roberta"])
@torch.no_grad()
def test_no_result_depends_on_its_batch(base: str, request: pytest.FixtureRequest) -> None:
    kind, model, windows = both(request.getfixturevalue(base), "question_answering")
    together = opened(model, 0.0007)(**batch_of(kind, windows))["start_logits"]
    for row, window in enumerate(windows):
        alone = model(**batch_of(kind, [window]))["start_logits"][0]
        torch.testing.assert_close(together[row, : len(alone)], alone)


def test_rows_count_through_chunks(shared_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = SoftSystem.open(shared_bert, words=True, defence=Unsure())
    sentences = [["film"], ["hs"], ["a", "graet", "film"], ["the"], ["the", "hs"]]
    whole = list(kind.word_windows(sentences, max_length=16))
    monkeypatch.setattr("robustbench_char.models.system._CHUNK", 2)
    parts = list(kind.word_windows(sentences, max_length=16))
    for one, other in zip(whole, parts, strict=True):
        assert one.row == other.row
        assert all(one.inputs[name].tolist() == other.inputs[name].tolist() for name in one.inputs)


texts = st.lists(st.sampled_from([*CANDIDATES, "film", " ", "  ", ", ", "ü", "."]), max_size=12).map("".join)


@settings(max_examples=60, deadline=None)
@given(first=texts, second=texts)
@pytest.mark.parametrize("base", ["shared_bert", "shared_roberta"])
def test_pieces_of_unsure_words_alone_are_mixed(
    base: str, first: str, second: str, request: pytest.FixtureRequest
) -> None:
    kind = SoftSystem.open(request.getfixturevalue(base), words=False, defence=Unsure())
    (window,) = kind.text_windows([first], [second], max_length=200)
    unsure = [
        {at for match in _WORD.finditer(text) if match.group() in ("graet", "hs") for at in range(*match.span())}
        for text in (first, second)
    ]
    expected = {
        piece
        for piece, (text, (start, end)) in enumerate(zip(window.texts.tolist(), window.offsets.tolist(), strict=True))
        if text >= 0 and unsure[text] & {*range(start, max(end, start + 1))}
    }
    assert {*window.inputs["soft_pieces"].tolist()} == expected
    shares = np.bincount(window.inputs["soft_pieces"], window.inputs["soft_weights"])
    assert {round(share, 5) for share in shares.tolist()} <= {0.0, 0.75, 1.0}


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_saved_and_loaded(family: Any, shared_bert: Path, tmp_path: Path) -> None:
    kind, model, windows = both(shared_bert, family)
    opened(model, 0.0005).save_pretrained(tmp_path)
    again = SoftSystem.load(tmp_path, family).eval()
    ours, theirs = (one(**batch_of(kind, windows)) for one in (model, again))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert kind.gates(again) == {"candidates": (pytest.approx(0.5),)}
    assert {name.rsplit(".", 1)[1] for name in kind.new_parameters(again)} == {"gate", "weight", "bias"}


@torch.no_grad()
def test_representations_of_words_are_those_of_the_mixture(shared_bert: Path) -> None:
    kind, model, _ = both(shared_bert, "tagging")
    encoder = opened(model, 1.0).base_model
    reader = WordReader(encoder, kind, 32, words=True)
    clean, attacked = reader.read([Passage(words=("the", "house")), Passage(words=("the", "hs"))])
    assert attacked.pieces.tolist() == [1, 2]
    embedded = WordReader(encoder, kind, 32, words=True, layer=0).read([Passage(words=("the", "hs"))])[0]
    assert not np.allclose(clean.vectors[1], attacked.vectors[1])  # as many pieces as the word as given has
    assert np.isfinite(embedded.vectors).all()


def test_a_base_without_gate_is_read_with_a_shut_one(shared_bert: Path, tmp_path: Path) -> None:
    bert = BertSystem.build(resolve_base(str(shared_bert)), "tagging", ("a", "b"), layers=None, seed=3)
    bert.save_pretrained(tmp_path)
    assert SoftSystem({}, None).gates(SoftSystem.load(tmp_path, "tagging")) == {"candidates": (0.0,)}  # type: ignore[arg-type]


def test_a_gate_pushed_below_zero_is_shut_and_can_open(shared_bert: Path) -> None:
    kind, model, windows = both(shared_bert, "tagging")
    shut = model(**batch_of(kind, windows))["logits"]
    pushed = opened(model, -0.0005)(**batch_of(kind, windows))["logits"]
    assert torch.equal(shut, pushed)
    assert kind.gates(model) == {"candidates": (0.0,)}
    pushed.square().sum().backward()
    assert model.base_model.embeddings.gate.grad.abs() > 0


def test_refuses_a_defence_that_decides_alone(shared_bert: Path) -> None:
    class Sure:
        info = type("Info", (), {"kind": "wordrec"})

    kind = SoftSystem.open(shared_bert, words=True, defence=Sure())  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"found wordrec; expected a defence that says how likely .* `train-defence"):
        list(kind.word_windows([["a"]], max_length=8))


def test_nothing_to_read(shared_bert: Path) -> None:
    kind = SoftSystem.open(shared_bert, words=True, defence=Unsure())
    assert [*kind.word_windows([], max_length=8), *kind.text_windows([], None, max_length=8)] == []
    (window,) = kind.text_windows([""], None, max_length=8)
    assert [len(window.inputs[name]) for name in SOFT_INPUTS] == [0, 0, 0]
