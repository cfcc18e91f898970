"""Predictions: in the order given, whatever is padded or cut, and only from folders that are whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robustbench_char.common import InputError
from robustbench_char.inference.systems import load_system
from robustbench_char.metrics.base import QaPrediction
from robustbench_char.tasks.base import Answer, Example
from robustbench_char.training.families import span_of

pytestmark = pytest.mark.models

FAMILIES = ("classification", "tagging", "question_answering")


@pytest.mark.parametrize("family", FAMILIES)
def test_order_and_batch_size_change_nothing(family: str, make_file: Any, train_tiny: Any) -> None:
    file = make_file(family, 40)
    system = load_system(train_tiny(family, file, epochs=8))
    expected = {
        one.id: said for one, said in zip(file.held, system.predict(file.held, progress=False).values, strict=True)
    }
    assert len(set(map(repr, expected.values()))) > 1
    for seed, batch_size in ((0, 1), (1, 7), (2, 64)):
        shuffled = [file.held[index] for index in np.random.default_rng(seed).permutation(40)]
        found = system.predict(shuffled, batch_size=batch_size, progress=False).values
        for one, said in zip(shuffled, found, strict=True):
            if isinstance(said, QaPrediction):
                assert (said.text, said.best_text) == (expected[one.id].text, expected[one.id].best_text)
                assert said.null_odds == pytest.approx(expected[one.id].null_odds, abs=1e-4)
            else:
                assert said == expected[one.id]


def test_words_that_are_cut_off_or_vanish_have_no_tag(make_file: Any, train_tiny: Any) -> None:
    tokens = ("\u200b", "anna", "\x01", "in", "oslo", *("very",) * 10, "karl", "lives")
    tags = tuple("B-PER" if word in ("anna", "karl") else "B-LOC" if word == "oslo" else "O" for word in tokens)
    example = Example(0, "x", "k", {"tokens": tokens}, tags)
    file = make_file("tagging", held=(example,) * 8)
    system = load_system(train_tiny("tagging", file, epochs=25, max_length=16))
    predictions = system.predict([example._replace(label=None)], progress=False)
    (tags,) = predictions.values
    assert tags == (None, "B-PER", None, "O", "B-LOC", *("O",) * 10, "B-PER", None)
    assert predictions.counts["truncated_examples"] == 1


def test_an_answer_in_the_second_window(make_file: Any, train_tiny: Any) -> None:
    context = " ".join(["the film was very good and the walk was fine"] * 4) + " anna sees the boat in blue ."
    fields = {"question": "what colour is the boat", "context": context}
    example = Example(0, "x", "k", fields, answers=(Answer(context.index("blue"), "blue"),), answerable=True)
    file = make_file("question_answering", held=(example,) * 8)
    system = load_system(train_tiny("question_answering", file, epochs=15))
    (said,) = system.predict([example._replace(answers=(), answerable=None)], progress=False).values
    assert isinstance(said, QaPrediction)
    assert said.best_text == "blue"
    windows = list(system.recipe.windows(system.kind, [example]))
    assert len(windows) > 2
    assert [span_of(window, example.answers[0]) != (0, 0) for window in windows] == [False] * (len(windows) - 1) + [
        True
    ]


def test_long_contexts_are_trained_on_in_windows(make_file: Any, train_tiny: Any) -> None:
    context = "the film was good " * 20 + "and blue"
    held = (
        Example(
            0, "a", "k", {"question": "what", "context": context}, answers=(Answer(context.index("blue"), "blue"),)
        ),
    )
    folder = train_tiny("question_answering", make_file("question_answering", held=held), epochs=1)
    train = json.loads((folder / "system.json").read_text())["train"]
    assert (train["examples"], train["windows"] > 3) == (1, True)


def test_cut_pairs_are_counted(make_file: Any, train_tiny: Any) -> None:
    system = load_system(train_tiny("classification", make_file("classification"), epochs=1, max_length=8))
    texts = ("the film was good", "the film was very very very very good")
    examples = [Example(row, str(row), "k", {"sentence": text}) for row, text in enumerate(texts)]
    assert system.predict(examples, progress=False).counts["truncated_examples"] == 1
    assert system.predict([], progress=False).values == []
    with pytest.raises(InputError, match="--batch-size: found 0"):
        system.predict(examples, batch_size=0)


@pytest.fixture
def folder(make_file: Any, train_tiny: Any) -> Path:
    return Path(train_tiny("classification", make_file("classification", 8), epochs=1))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.json", r"no config\.json"),
        ("system.json", r"no system\.json; expected a folder that `finetune` wrote"),
        ("tokenizer.json", "no tokenizer"),
        ("model.safetensors", "no weights"),
    ],
)
def test_incomplete_folders(folder: Path, name: str, message: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=message):
        load_system(folder)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_system(tmp_path / "nowhere")


def test_pickled_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04}.")
    with pytest.raises(InputError, match="pickled weights alone"):
        load_system(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "system.json", "config.json"])
def test_html(folder: Path, name: str) -> None:
    (folder / name).write_text("<html><body>Sign in</body></html>")
    with pytest.raises(InputError, match=f"{name}: found an HTML page"):
        load_system(folder)


def _change(folder: Path, **keys: object) -> None:
    system = json.loads((folder / "system.json").read_text())
    (folder / "system.json").write_text(json.dumps({**system, **keys}))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"schema": 2}, "schema: found 2, of a newer version"),
        ({"labels": "no"}, "labels: found .*expected a file that `finetune` wrote"),
        ({"extra": 1}, "extra: found an unknown key"),
        ({"system": "charbrt"}, "system: found unknown system 'charbrt'"),
    ],
)
def test_system_files_that_do_not_fit(folder: Path, keys: dict[str, object], message: str) -> None:
    _change(folder, **keys)
    with pytest.raises(InputError, match=message):
        load_system(folder)


def test_malformed_system_file(folder: Path) -> None:
    (folder / "system.json").write_text("{\n'schema': 1}")
    with pytest.raises(InputError, match=r"system\.json:2: found malformed JSON"):
        load_system(folder)


def test_weights_of_another_run(folder: Path, make_file: Any, train_tiny: Any) -> None:
    other = train_tiny("classification", make_file("classification", 8), epochs=1, seed=3, name="other")
    shutil.copy(other / "model.safetensors", folder)
    with pytest.raises(InputError, match=r"found weights with SHA-256 .*as system\.json says.*altered"):
        load_system(folder)
