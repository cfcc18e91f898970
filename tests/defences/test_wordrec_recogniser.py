"""The recogniser: what it says equals the plain network, as many words out as in, options, files, bad files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.defences.wordrec import CharacterSet, Recogniser, ScRNN
from robustbench_char.defences.wordrec._network import Decoder, packing, whole_products_are_exact
from robustbench_char.defences.wordrec._recogniser import cut_lengths
from robustbench_char.defences.wordrec.files import RecogniserFile

WORDS = ("the", "cat", "sat", "on", "mat", ",", "1996")


def make(words: tuple[str, ...] = WORDS, *, seed: int = 0, **options: Any) -> Recogniser:
    """Return a recogniser with drawn weights, large enough that its answers differ from word to word."""
    chosen = {
        "hidden_size": 6,
        "lower": True,
        "max_words": 8,
        "splitter": "treebank",
        "back_off": "pass_through",
        "keep_case": False,
        "leave_numbers_and_punctuation": False,
        "characters": tuple("abcdehmnost,1"),
        "weights_sha256": "",
        **options,
    }
    background = chosen.pop("second", None)
    file = RecogniserFile(words=words, **chosen)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = ScRNN(len(file.characters), file.hidden_size, len(words) + 1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(4)
    return Recogniser(file, network, background)


def says(recogniser: Recogniser, word: str | None) -> Recogniser:
    """Return the recogniser, made to answer one word (None: UNK) whatever it reads."""
    with torch.no_grad():
        recogniser.network.output.weight.zero_()
        recogniser.network.output.bias.zero_()
        recogniser.network.output.bias[-1 if word is None else recogniser.file.words.index(word)] = 1
    recogniser._decoder = None
    return recogniser


def plain(recogniser: Recogniser, sentence: list[str]) -> list[str]:
    """Correct one sentence with torch's own LSTM over dense vectors, and all logits; it writes in lower case."""
    characters, words = CharacterSet(recogniser.file.characters), recogniser.file.words
    result: list[str] = []
    for start in range(0, len(sentence), recogniser.file.max_words):
        piece = sentence[start : start + recogniser.file.max_words]
        with torch.no_grad():
            states = recogniser.network.lstm(torch.from_numpy(characters.vectors(piece)))[0]
            best = recogniser.network.output(states).argmax(dim=1).tolist()
        result += [words[kind] if kind < len(words) else word.lower() for kind, word in zip(best, piece, strict=True)]
    return result


unsaid = whole_products_are_exact.__wrapped__
"""The check itself, without its memory."""
sentences = st.lists(st.lists(st.text("abcmst,19E", min_size=1, max_size=6), max_size=20), max_size=6)
RECOGNISER = make()


@given(sentences)
def test_equals_the_plain_network(some: list[list[str]]) -> None:
    assert RECOGNISER.correct(some) == [plain(RECOGNISER, sentence) for sentence in some]


@given(sentences, st.sampled_from(["pass_through", "neutral"]), st.booleans(), st.booleans())
def test_as_many_words_as_given(some: list[list[str]], back_off: str, keep: bool, leave: bool) -> None:
    recogniser = make(back_off=back_off, keep_case=keep, leave_numbers_and_punctuation=leave)
    corrected = recogniser.correct(some)
    assert [len(words) for words in corrected] == [len(words) for words in some]
    for words, own in zip(some, corrected, strict=True):
        assert all(word.split() == [word] for word in own)
        if leave:
            pairs = zip(words, own, strict=True)
            assert all(a == b for a, b in pairs if not any(map(str.isalpha, a)))


def test_a_sentence_alone_is_corrected_as_among_others() -> None:
    draw = np.random.default_rng(0)
    some = [["".join(draw.choice(list("acemst"), 4)) for _ in range(length)] for length in draw.integers(0, 30, 50)]
    assert RECOGNISER.correct(some) == [RECOGNISER.correct([sentence])[0] for sentence in some]
    assert RECOGNISER.correct([]) == []


@pytest.mark.parametrize("size", [8, 50])
def test_no_state_and_no_answer_depends_on_the_batch(size: int) -> None:
    """To the last bit: words whose two best answers are nearly equal would differ otherwise."""
    draw = np.random.default_rng(1)
    known = tuple("".join(draw.choice(list("acemst"), 5)) for _ in range(600))
    recogniser = make(tuple(dict.fromkeys(known)), hidden_size=size)
    words = ["".join(draw.choice(list("acemst"), 4)) for _ in range(40)]
    lengths = np.sort(draw.integers(1, 9, 30))[::-1]
    ids = draw.integers(0, len(words), lengths.sum())
    states = recogniser._states(words, ids, lengths)
    decoder = Decoder(recogniser.network.output.weight, recogniser.network.output.bias)
    answers, start = decoder.best(states), 0
    for length in lengths.tolist():
        own = slice(start, start := start + length)
        assert torch.equal(recogniser._states(words, ids[own], np.array([length])), states[own])
        assert decoder.best(states[own]).tolist() == answers[own].tolist()


def test_what_shares_a_block_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many near answers in a block are compared in the same way as few."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        weight, states = torch.randn(600, 24), torch.randn(200, 24).clamp(-1, 1)
    weight[1::2] = weight[::2] * (1 + 1e-7 * torch.randn(300, 1))  # answers in pairs that rounding tells apart
    decoder = Decoder(weight, torch.zeros(600))
    few = decoder.best(states)
    monkeypatch.setattr("robustbench_char.defences.wordrec._network._MOST", 0)
    assert decoder.best(states).tolist() == few.tolist()


def test_packing_reads_each_sentence_both_ways() -> None:
    sizes, forward, backward = packing(np.array([3, 2]))
    assert sizes.tolist() == [2, 2, 1]
    assert forward.tolist() == [0, 3, 1, 4, 2]
    assert backward.tolist() == [2, 4, 1, 3, 0]


def test_long_sentences_are_read_in_pieces() -> None:
    assert cut_lengths(np.array([5, 0, 4, 9]), 4).tolist() == [4, 1, 4, 4, 4, 1]


@pytest.mark.parametrize("scale", [0.05, 1.0, 8.0])
@pytest.mark.parametrize("bias", [0.0, 1.0, 40.0])
def test_rounding_never_changes_the_best_word(scale: float, bias: float) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(int(scale * 100 + bias))
        weight, offset = torch.randn(1000, 24) * scale, torch.randn(1000) * bias
        states = torch.rand(300, 24) * 2 - 1
    states[0], states[1] = 1.0, 0.0
    decoder = Decoder(weight, offset)
    logits = (states.double() @ weight.double().t() + offset.double()).numpy()
    best = decoder.best(states)
    if whole_products_are_exact():
        assert (decoder._rounded is None) == (bias > 30 * scale)  # a large bias is not worth rounding
    np.testing.assert_allclose(logits[np.arange(300), best], logits.max(axis=1), rtol=1e-5, atol=1e-5)


def test_products_that_saturate_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without VNNI instructions oneDNN adds pairs of 8-bit products in 16 bits, which saturate."""
    exact = torch._int_mm
    monkeypatch.setattr(torch, "_int_mm", lambda one, other: exact(one, other).clamp(max=13_000))
    monkeypatch.setattr("robustbench_char.defences.wordrec._network.whole_products_are_exact", unsaid)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weight, states = torch.randn(1000, 24), torch.rand(100, 24) * 2 - 1
    assert not unsaid()
    assert Decoder(weight, torch.zeros(1000)).best(states).tolist() == (states @ weight.t()).argmax(dim=1).tolist()


def test_back_off_passes_unknown_words_through() -> None:
    recogniser = says(make(keep_case=True), None)
    assert recogniser.correct([["McDonald", "Xyz"]]) == [["McDonald", "Xyz"]]


def test_without_its_case_an_unknown_word_is_lower_case_too() -> None:
    assert says(make(), None).correct([["McDonald", "ÉTÉ", "19"]]) == [["mcdonald", "été", "19"]]


def test_back_off_to_the_neutral_word() -> None:
    assert says(make(back_off="neutral"), None).correct([["Xyz", "q"]]) == [["a", "a"]]
    assert says(make(back_off="neutral", keep_case=True), None).correct([["Xyz", "Q"]]) == [["A", "A"]]


def test_back_off_to_a_second_recogniser(tmp_path: Path) -> None:
    second = says(make((*WORDS, "house"), seed=1), "house")
    first = says(make(back_off="background", keep_case=True, second=second), None)
    assert first.correct([["Huose", "hosue"], [], ["HOSUE"]]) == [["House", "house"], [], ["HOUSE"]]
    first.save(tmp_path / "saved")
    assert Recogniser.load(tmp_path / "saved").correct([["Huose"]]) == [["House"]]
    assert Recogniser.load(tmp_path / "saved", back_off="pass_through").correct([["Huose"]]) == [["Huose"]]
    says(second, None)
    assert first.correct([["Huose"]]) == [["Huose"]]


def test_background_given_at_loading(tmp_path: Path) -> None:
    says(make(), None).save(tmp_path / "first")
    says(make(("house",)), "house").save(tmp_path / "second")
    loaded = Recogniser.load(tmp_path / "first", background=tmp_path / "second")
    assert loaded.correct([["huose"]]) == [["house"]]


@pytest.mark.parametrize(
    ("given_word", "written"),
    [
        ("The", "Cat"),
        ("THE", "CAT"),
        ("the", "cat"),
        ("tHe", "cat"),
        ("T", "Cat"),
        ("cAt", "cAt"),
        ("McD", "Cat"),
        ("É", "Cat"),
    ],
)
def test_case_follows_the_given_word(given_word: str, written: str) -> None:
    assert says(make(keep_case=True), "cat").correct([[given_word]]) == [[written]]
    assert says(make(), "cat").correct([[given_word]]) == [["cat"]]


def test_numbers_and_punctuation_can_be_left_alone() -> None:
    some = [["1996-08-22", "--", "C$", "a1"]]
    assert says(make(leave_numbers_and_punctuation=True), "cat").correct(some) == [["1996-08-22", "--", "cat", "cat"]]
    assert says(make(), "cat").correct(some) == [["cat"] * 4]


ODD = [
    "",
    " ",
    "\t",
    "a b",
    "\xa0",
    "\ud800",
    "c\udc00t",
    "\U0001f600",
    "e\u0301te\u0301",
    "\u200d",
    "ß",
    "İ",
    "ﬁn",
    "\x1c",
    "x" * 9999,
]


@given(st.lists(st.lists(st.sampled_from(ODD), max_size=20), max_size=4), st.booleans())
def test_odd_tokens_are_counted_like_others(some: list[list[str]], keep: bool) -> None:
    corrected = make(keep_case=keep).correct(some)
    assert [len(words) for words in corrected] == [len(words) for words in some]
    for words, own in zip(some, corrected, strict=True):
        assert all(a == b or (a.split() == [a] and b.split() == [b]) for a, b in zip(words, own, strict=True))


def test_a_very_long_sentence_keeps_its_words() -> None:
    sentence = [word for number in range(3000) for word in ("tac", "", f"m{number}t")]
    (corrected,) = RECOGNISER.correct([sentence])
    assert len(corrected) == 9000
    pieces = [sentence[start : start + 8] for start in range(0, 9000, 8)]  # `max_words` at a time
    assert corrected == [word for piece in RECOGNISER.correct(pieces) for word in piece]


def test_what_is_no_word_stays() -> None:
    assert says(make(), "cat").correct([["", "a b", "\ud800"]]) == [["", "a b", "cat"]]


def test_texts_keep_all_but_their_words() -> None:
    (first, second) = says(make(leave_numbers_and_punctuation=True), "cat").correct_texts(['The\t"dgo"  sat, 3.', ""])
    assert first.text == 'cat\t"cat"  cat, 3.'
    assert first.to_given(5, 8) == (5, 8)
    assert second.text == ""


@given(st.lists(st.text("abc \t,.'\n\ud800é", max_size=20), max_size=4))
def test_any_text_survives_its_correction(texts: list[str]) -> None:
    for text, correction in zip(texts, RECOGNISER.correct_texts(texts), strict=True):
        assert correction.given == text
        assert len(correction.text.split()) == len(text.split())
        assert correction.to_given(0, len(correction.text)) == (0, len(text))


def test_saved_and_loaded_says_the_same(tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    RECOGNISER.save(tmp_path / "one")
    loaded = Recogniser.load(tmp_path / "one")
    assert loaded.file == RECOGNISER.file
    assert loaded.correct([["tac", "mta"]]) == RECOGNISER.correct([["tac", "mta"]])
    loaded.save(tmp_path / "two")
    assert [sha256_file(path) for path in sorted((tmp_path / "one").iterdir())] == [
        sha256_file(path) for path in sorted((tmp_path / "two").iterdir())
    ]
    assert torch.equal(state, torch.random.get_rng_state())


def test_options_at_loading_replace_the_saved_ones(tmp_path: Path) -> None:
    says(make(), "cat").save(tmp_path)
    options: dict[str, Any] = {"keep_case": True, "leave_numbers_and_punctuation": True}
    assert Recogniser.load(tmp_path, **options).correct([["TEH", "19"]]) == [["CAT", "19"]]


def test_parameters_and_hashes_count_the_background_too(tmp_path: Path) -> None:
    recogniser = make(back_off="background", second=make(seed=1))
    recogniser.save(tmp_path)
    own = 2 * (24 * 39 + 24 * 6 + 48) + 8 * 12 + 8
    assert make().parameters == own
    assert recogniser.parameters == Recogniser.load(tmp_path).parameters == 2 * own
    for place, one in ((tmp_path, recogniser), (tmp_path / "background", recogniser.background)):
        assert one is not None
        assert one.file.weights_sha256 == sha256_file(place / "recogniser.safetensors")


def _edit(folder: Path, **changes: Any) -> None:
    path = folder / "recogniser.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _no_weights(folder: Path) -> None:
    (folder / "recogniser.safetensors").unlink()


def _other_bytes(folder: Path) -> None:
    with (folder / "recogniser.safetensors").open("ab") as file:
        file.write(b"x")


def _damaged(folder: Path) -> None:
    path = folder / "recogniser.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    _edit(folder, weights_sha256=sha256_file(path))


def _less_weights(folder: Path) -> None:
    path = folder / "recogniser.safetensors"
    weights = load_file(path)
    del weights["output.bias"]
    save_file(weights, path)
    _edit(folder, weights_sha256=sha256_file(path))


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "no weights": (_no_weights, "found no recogniser.safetensors"),
    "other weights": (_other_bytes, "found weights with SHA-256"),
    "damaged weights": (_damaged, "found not a safetensors file"),
    "missing weights": (_less_weights, "output.bias: found no such weights"),
    "newer": (lambda folder: _edit(folder, schema=2), "of a newer version of robustbench-char"),
    "unknown key": (lambda folder: _edit(folder, extra=1), "recogniser.json: extra: found an unknown key"),
    "other characters": (lambda folder: _edit(folder, characters=["a", "b"]), "for a character vocabulary of 2"),
    "other words": (lambda folder: _edit(folder, words=["a", "b"]), "for 2 words and UNK"),
    "other size": (lambda folder: _edit(folder, hidden_size=7), "for hidden size 7"),
    "equal words": (lambda folder: _edit(folder, words=["a", "a"]), "words that differ"),
    "white space": (lambda folder: _edit(folder, words=["a b"]), "hold no white space"),
    "long characters": (lambda folder: _edit(folder, characters=["ab"]), "characters of one code point"),
    "no background": (lambda folder: _edit(folder, back_off="background"), "without a second recogniser"),
    "unknown splitter": (lambda folder: _edit(folder, splitter="tree"), "unknown word splitter"),
    "no suite": (lambda folder: _edit(folder, training={"settings": "mixed"}), "a record of the training"),
    "no operators": (lambda folder: _edit(folder, training={"operators": [1]}), "a record of the training"),
    "deep": (lambda folder: (folder / "recogniser.json").write_text("[" * 100_000) and None, "malformed JSON"),
    "web page": (lambda folder: (folder / "recogniser.json").write_text("<html>") and None, "an HTML page"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_refuses_broken_folders(case: str, tmp_path: Path) -> None:
    make().save(tmp_path)
    spoil, message = BROKEN[case]
    spoil(tmp_path)
    with pytest.raises(InputError, match=message):
        Recogniser.load(tmp_path)


def test_refuses_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no such folder; expected a folder that `train-defence wordrec` wrote"):
        Recogniser.load(tmp_path / "none")
