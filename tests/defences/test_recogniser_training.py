"""Training a recogniser: it learns, the same seed gives the same bytes, and bad input is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robustbench_char.attacks.suites import load_suites
from robustbench_char.common import InputError
from robustbench_char.defences.wordrec import Recogniser, train_recogniser
from robustbench_char.defences.wordrec.files import CONFIG, WEIGHTS
from robustbench_char.defences.wordrec.sentences import attacked, example_sentences, text_sentences
from robustbench_char.defences.wordrec.train import enough_epochs
from robustbench_char.tasks.base import Example, Task

WORDS = ["the", "morning", "window", "letter", "garden", "teacher", "carried", "bridge", "village", "mountain"]
QUICK: dict[str, Any] = {"vocabulary": 50, "hidden_size": 24, "batch_words": 64, "learning_rate": 1e-2, "epochs": 4}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    lines = (" ".join(draw.choice(WORDS, draw.integers(3, 12))).capitalize() + "." for _ in range(240))
    path = tmp_path / "text.txt"
    path.write_text("\n".join(lines) + "\n\n")
    return path


def train(output: Path, text: Path, *, progress: bool = False, **options: Any) -> Path:
    return train_recogniser(output=output, text=[text], progress=progress, **{**QUICK, **options})


def test_learns_to_repair(tmp_path: Path, text: Path) -> None:
    recogniser = Recogniser.load(train(tmp_path / "out", text, epochs=8))
    training = recogniser.file.training
    assert training is not None
    assert training["wer_before"] > 60
    assert training["wer_after"] < 10
    assert training["clean_changed"] < 5
    assert recogniser.correct([["The", "mronign", "WINODW", "."]]) == [["The", "morning", "WINDOW", "."]]
    losses = [entry["loss"] for entry in training["log"]]
    assert losses == sorted(losses, reverse=True)


def test_keeps_the_epoch_of_fewest_held_out_errors(tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [30.0, 10.0, 20.0, 10.0]
    weights = []
    for epochs in (1, 2, 4):
        left = iter(said)
        monkeypatch.setattr(
            "robustbench_char.defences.wordrec.train._Run._held_out_errors", lambda *_, left=left: next(left)
        )
        folder = train(tmp_path / str(epochs), text, epochs=epochs)
        weights.append((folder / "recogniser.safetensors").read_bytes())
    assert weights[0] != weights[1] == weights[2]
    training = json.loads((folder / "recogniser.json").read_text())["training"]
    assert training["kept_epoch"] == 2
    assert [entry["wer_after"] for entry in training["log"]] == said


def test_the_log_ends_with_what_the_kept_weights_say(tmp_path: Path, text: Path) -> None:
    training = Recogniser.load(train(tmp_path / "out", text, epochs=3)).file.training
    assert training is not None
    errors = [entry["wer_after"] for entry in training["log"]]
    assert training["wer_after"] == min(errors) == errors[training["kept_epoch"] - 1]


def test_says_what_it_was_trained_on(tmp_path: Path, text: Path) -> None:
    folder = train(tmp_path / "out", text, epochs=1, seed=3)
    file = json.loads((folder / "recogniser.json").read_text())
    training = file["training"]
    (source,) = training["texts"]
    assert file["schema"] == 1
    assert source["name"] == "text.txt"
    assert len(source["sha256"]) == 64
    assert training["settings"]["suite"] == "mixed"
    assert training["settings"]["seed"] == 3
    assert training["words_seen"] == training["train_words"]
    assert training["wall_seconds"] > 0
    assert file["provenance"]["libraries"]["torch"] == torch.__version__
    assert set(file["words"]) == {*WORDS, "."}


def test_same_seed_same_bytes(tmp_path: Path, text: Path) -> None:
    state = torch.random.get_rng_state()
    one, other, third = (
        (train(tmp_path / str(number), text, epochs=1, seed=seed) / "recogniser.safetensors").read_bytes()
        for number, seed in enumerate((0, 0, 1))
    )
    assert one == other
    assert one != third
    assert torch.equal(state, torch.random.get_rng_state())


def test_stops_after_the_asked_steps(tmp_path: Path, text: Path) -> None:
    training = Recogniser.load(train(tmp_path / "out", text, steps=3)).file.training
    assert training is not None
    assert training["steps"] == 3
    assert len(training["log"]) == 1


def test_learns_from_a_task(tmp_path: Path, tasks: dict[str, Task], make_file: Callable[..., Any]) -> None:
    source = make_file("question_answering", 40)
    folder = train_recogniser(
        output=tmp_path / "out",
        task=tasks["question_answering"],
        input=source,
        progress=False,
        **{**QUICK, "epochs": 1},
    )
    assert {"colour", "anna", "karl"} <= set(Recogniser.load(folder).file.words)


def test_keeps_a_background_inside(tmp_path: Path, text: Path) -> None:
    second = train(tmp_path / "second", text, epochs=1)
    first = train(tmp_path / "first", text, epochs=1, vocabulary=3, back_off="background", background=second)
    loaded = Recogniser.load(first)
    assert loaded.background is not None
    assert len(loaded.background.file.words) > len(loaded.file.words) == 3


def test_attack_keeps_the_number_of_words_and_is_drawn_anew() -> None:
    (suite,) = load_suites("charbert_2020", task="text")
    sentences = [("The", "window", "(", "garden", ")"), ("isn't", "1996-08-22")] * 3
    first, second, again = (attacked(sentences, suite, seed=0, stream=name) for name in ("1", "2", "1"))
    assert first == again
    assert first != second
    assert list(map(len, first)) == list(map(len, sentences))


def test_sentences_of_texts(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("It's here, now.\n\n  \nOne two three four five\n")
    cut = {"splitter": "treebank", "longest": 3}
    assert text_sentences([path], **cut, limit=None) == [
        ("It", "'s", "here"),
        (",", "now", "."),
        ("One", "two", "three"),
        ("four", "five"),
    ]
    assert text_sentences([path], **cut, limit=4) == [("It", "'s", "here"), (",", "now", ".")]


def test_shared_texts_of_examples_are_taken_once(make_file: Callable[..., Any]) -> None:
    held = make_file("classification", 2).held
    source = make_file("classification", held=(held[0], held[0], held[1]))
    found = example_sentences(source.examples(), splitter="unicode", longest=50, limit=None)
    assert found == [("the", "film", "was", "good"), ("the", "film", "was", "very", "poor")]


def test_tokens_that_are_no_words_are_left_out(make_file: Callable[..., Any]) -> None:
    tokens = ("anna", "", "a b", " ", "went")
    source = make_file("tagging", held=(Example(0, "x", "k", {"tokens": tokens}, ("O",) * 5),))
    assert example_sentences(source.examples(), splitter="treebank", longest=50, limit=None) == [("anna", "went")]


def _binary(path: Path) -> None:
    path.write_bytes(b"\x00\x01" * 100)


def _latin(path: Path) -> None:
    path.write_bytes(b"one line\nna\xefve\n")


BAD_TEXTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "an empty file"),
    "missing": (Path.unlink, "no such file"),
    "binary": (_binary, "text.txt:1: found a zero byte"),
    "other encoding": (_latin, "text.txt:2: found bytes that are not UTF-8"),
    "too short": (lambda path: path.write_text("one\ntwo\n"), "found 2 sentences; expected at least 20"),
}


@pytest.mark.parametrize("case", BAD_TEXTS)
def test_refuses_unusable_text(case: str, tmp_path: Path, text: Path) -> None:
    spoil, message = BAD_TEXTS[case]
    spoil(text)
    with pytest.raises(InputError, match=message):
        train(tmp_path / "out", text)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs=: found 0; expected at least 1"),
        ({"limit": -1}, "limit=: found -1"),
        ({"learning_rate": 2.0}, "learning_rate=: found 2.0"),
        ({"splitter": "tree"}, "splitter=: found unknown word splitter 'tree'"),
        ({"suite": "mixxed"}, "Did you mean 'mixed'"),
        ({"suite": "mixed_sweep"}, "expected one suite"),
        ({"suite": "join_words"}, "suite=: found join_words, which changes the number of words"),
        ({"back_off": "background"}, "`background=` and `back_off=` background must be given together"),
    ],
)
def test_refuses_wrong_options(options: dict[str, Any], message: str, tmp_path: Path, text: Path) -> None:
    with pytest.raises(InputError, match=message):
        train(tmp_path / "out", text, **options)


def test_never_replaces_an_output_unasked(tmp_path: Path, text: Path) -> None:
    folder = train(tmp_path / "out", text, epochs=1)
    with pytest.raises(InputError, match="an output folder with other content"):
        train(folder, text, epochs=1, seed=1)
    before = (folder / CONFIG).read_bytes()
    assert train(folder, text, epochs=1) == folder  # that very run is finished: nothing is trained
    assert (folder / CONFIG).read_bytes() == before
    (folder / WEIGHTS).write_bytes(b"half")
    with pytest.raises(InputError, match="an output folder with other content"):
        train(folder, text, epochs=1)
    train(folder, text, epochs=1, seed=1, overwrite=True)
    training = Recogniser.load(folder).file.training
    assert training is not None
    assert training["settings"]["seed"] == 1


def test_never_replaces_what_another_program_wrote(tmp_path: Path, text: Path) -> None:
    """Said before the text is read, which is no text at all here."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    _binary(text)
    with pytest.raises(InputError, match="something that this program did not write"):
        train(tmp_path / "out", text, overwrite=True)
    with pytest.raises(InputError, match=r"the input .*text\.txt in the output folder"):
        train(tmp_path, text, overwrite=True)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_wants_one_source_of_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected one source of words"):
        train_recogniser(output=tmp_path / "out")


def test_little_text_takes_more_epochs() -> None:
    few, many = [("word",) * 10] * 3000, [("word",) * 100] * 30_000
    assert (enough_epochs(few), enough_epochs(many), enough_epochs(few[:2])) == (60, 6, 100)
