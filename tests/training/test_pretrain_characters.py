"""`pretrain characters`: keys that find the word that was meant, and a folder that the other trainings start from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

import robustbench_char as rbc
from robustbench_char.common import InputError
from robustbench_char.tasks.sources import mini_path
from robustbench_char.training.saved import pretraining_info

pytestmark = pytest.mark.models
WORDS = ("films", "books", "meals", "walked", "houses", "boats", "doors", "coats", "hats", "lamps", "desks", "cars")


@pytest.fixture(scope="module")
def trained(shared_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("characters")
    (folder / "words.txt").write_text("\n".join(WORDS))
    return train(shared_bert, folder, "trained", steps=60)


def train(base: Path, folder: Path, name: str, **options: Any) -> Path:
    options = {"words": folder / "words.txt", "batch_size": 32, "new_learning_rate": 5e-3, **options}
    return rbc.pretrain("characters", base=base, output=folder / name, progress=False, **options).folder


def loss_of(folder: Path) -> float:
    log = json.loads((folder / "training_log.json").read_text())["log"]
    return float(log[-1]["loss"])


def test_trained_keys_find_the_word_that_was_meant(trained: Path, shared_bert: Path) -> None:
    """Training lowers the loss; the history says what words were known, and how they were noised."""
    assert loss_of(trained) < 0.5 * loss_of(train(shared_bert, trained.parent, "first", steps=1))
    scores = json.loads((trained / "pretraining.json").read_text())["heldout"]
    for operator in ("drop", "add", "swap", "keyboard"):
        assert 0.5 < scores[f"trained_{operator}_hit_at_1"] <= 1
        assert -1 <= scores[f"trained_{operator}_cosine"] <= 1
    said = json.loads((trained / "pretraining.json").read_text())
    assert (said["system"], said["character_noise"], said["texts"][0]["name"]) == ("characters", "wide", "words.txt")
    assert said["words"] == json.loads((trained / "config.json").read_text())["known_words"] > len(WORDS)


def test_the_same_call_gives_the_same_weights(trained: Path, shared_bert: Path) -> None:
    again = train(shared_bert, trained.parent, "again", steps=60)
    assert (again / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()
    other = train(shared_bert, trained.parent, "other", steps=60, seed=1)
    assert (other / "model.safetensors").read_bytes() != (trained / "model.safetensors").read_bytes()


def test_words_of_an_attacked_text_mark_what_is_trained_on_them(shared_bert: Path, tmp_path: Path) -> None:
    rbc.attack_file("ptb_pos", mini_path("ptb_pos", "train"), suite="drop", seed=3, output=tmp_path / "attacked")
    (attacked,) = (tmp_path / "attacked").glob("train*")
    texts = attacked, Path(shutil.copy(attacked, tmp_path / "copy.txt"))
    infos = [pretraining_info(train(shared_bert, tmp_path, f"{number}/out", words=None, text=text, steps=1))
             for number, text in enumerate(texts)]  # fmt: skip
    assert [[one.suite for one in info.attacks] for info in infos if info] == [["drop"], []]
    runs = {json.loads((tmp_path / number / "out" / "pretraining.json").read_text())["run"] for number in "01"}
    assert len(runs) == 2


def test_words_come_from_text_too(shared_bert: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("Lamps, lamps and lamps.\n" * 3)
    folder = train(shared_bert, tmp_path, "out", words=None, text=tmp_path / "text.txt", steps=1, term_vocab_size=3)
    said = json.loads((folder / "pretraining.json").read_text())
    plain = train(shared_bert, tmp_path, "plain", words=None, steps=1)
    assert said["words"] == json.loads((plain / "pretraining.json").read_text())["words"] + 1
    assert said["settings"]["term_vocab_size"] == 3


@pytest.mark.parametrize("interaction", ["residual", "none"])
def test_charbert_is_pretrained_on_them(interaction: str, trained: Path, pretrain_tiny: Any) -> None:
    """Its characters stay; terms come from the text; and both are what a further training goes on with."""
    folder = Path(pretrain_tiny("charbert", base=str(trained), steps=2, interaction=interaction, term_vocab_size=6))
    before, after = (load_file(path / "model.safetensors") for path in (trained, folder))
    own = [name for name in before if name.startswith("charbert.char_embeddings.")]
    assert all(bool((before[name] == after[name]).all()) for name in own)
    said = json.loads((folder / "pretraining.json").read_text())
    assert said["character_noise"] == "wide"
    assert said["continues"] == json.loads((trained / "pretraining.json").read_text())["run"]
    again = Path(pretrain_tiny("charbert", base=str(folder), name="again", steps=1))
    assert json.loads((again / "pretraining.json").read_text())["character_noise"] == "wide"


def test_charbert_without_steps_is_what_its_characters_make_of_the_base(trained: Path, pretrain_tiny: Any) -> None:
    folder = Path(pretrain_tiny("charbert", base=str(trained), steps=0))
    before, after = (load_file(path / "model.safetensors") for path in (trained, folder))
    assert all(bool((value == after[name]).all()) for name, value in before.items())
    assert json.loads((folder / "pretraining.json").read_text())["tokens"] == 0


def test_charbert_is_fine_tuned_on_them(trained: Path, tmp_path: Path) -> None:
    saved = rbc.finetune(
        "conll2003",
        data="mini",
        limit=8,
        epochs=1,
        system="charbert",
        base=trained,
        output=tmp_path / "ner",
        progress=False,
    )
    assert saved.file.pretraining.system == "characters"
    assert saved.file.pretraining.character_noise == "wide"
    assert saved.file.pretraining.character_operators == ("drop", "add", "swap", "keyboard", "ocr")
    with pytest.raises(
        InputError, match=r"pre-trained for characters; expected a plain base.*Choose the system charbert"
    ):
        rbc.finetune("conll2003", data="mini", limit=8, base=trained, output=tmp_path / "bert", progress=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask": 0.2}, "mask=: found 0.2; expected no such option for characters"),
        ({"interaction": "none"}, "interaction=: found none; expected no such option"),
        ({"heldout": "words.txt"}, "heldout=: found words.txt; expected no held-out text"),
        ({"suite": "insert_space"}, "suite=: found insert_space, which changes the number of words"),
        ({"seed": -1}, "seed=: found -1"),
        ({"words": "missing.txt"}, "missing.txt: found no such file"),
    ],
)
def test_what_does_not_fit_is_refused(
    options: dict[str, Any], message: str, shared_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("words.txt").write_text("films")
    with pytest.raises(InputError, match=message):
        train(shared_bert, tmp_path, "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_list_without_a_word_that_the_base_reads_is_refused(shared_bert: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("42\n---\nантидизестаблишментарианизм\n")
    with pytest.raises(InputError, match=r"words\.txt: found no word that the base can read \('42', \.\.\.\)"):
        train(shared_bert, tmp_path, "out")


def test_what_belongs_to_another_system_is_refused(trained: Path, pretrain_tiny: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found trained, a base that was pre-trained for characters; expected a plain"):
        pretrain_tiny("advbert", base=str(trained))
    with pytest.raises(InputError, match="found trained, a base that was pre-trained for characters; expected a plain"):
        train(trained, trained.parent, "out")
    with pytest.raises(
        InputError, match=r"words=: found words\.txt; expected word lists for `pretrain characters` alone"
    ):
        pretrain_tiny("charbert", base=str(trained), words="words.txt")
    with pytest.raises(InputError, match="text=: found no file; expected at least one text file"):
        pretrain_tiny("charbert", base=str(trained), text=None)
    with pytest.raises(InputError, match=r"char_vocab_size=: found 7; expected .*, as the base was pre-trained"):
        pretrain_tiny("charbert", base=str(trained), char_vocab_size=7)
