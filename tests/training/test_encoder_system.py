"""The system `encoder`: CANINE, ByT5, DistilBERT and slow tokenizers through the same commands as the others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from transformers import BertTokenizer, GPT2Config, GPT2Model, TrainerCallback

from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.inference._attack_set import piece_counts
from robustbench_char.inference.evaluate import evaluate
from robustbench_char.inference.sensitivity import open_reader, sensitivity
from robustbench_char.inference.systems import load_system
from robustbench_char.models.checkpoints import load_tokenizer
from robustbench_char.models.representations import Passage, WordReader

pytestmark = pytest.mark.models

FAMILIES = ("classification", "tagging", "question_answering")
KINDS = ("canine", "byt5", "distilbert", "slow_bert")
GUIDE = Path(__file__).resolve().parent.parent.parent / "docs" / "systems.md"


@pytest.fixture(scope="module")
def bases(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    scratch = tmp_path_factory.mktemp("bases")
    return {kind: str(getattr(tiny, f"{kind}_base")(scratch / f"tiny-{kind}")) for kind in KINDS}


@pytest.fixture
def trained(train_tiny: Any, make_file: Any, bases: dict[str, str]) -> Callable[..., Path]:
    """Return a function that fine-tunes a base on one family."""

    def train(kind: str, family: str = "tagging", **options: Any) -> Path:
        chosen = {"epochs": 1, "max_length": 60} | options
        return train_tiny(family, make_file(family), system="encoder", base=bases[kind], **chosen)

    return train


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", KINDS)
def test_trained_saved_loaded_and_scored(kind: str, family: str, trained: Any, make_file: Any, tmp_path: Path) -> None:
    folder = trained(kind, family)
    file = make_file(family)
    record = evaluate(load_system(folder), file, progress=False).record
    assert (record.system.name, record.system.base, record.system.extra_parameters) == ("encoder", f"tiny-{kind}", 0)
    assert record.counts["truncated_examples"] == (
        24 if family == "question_answering" and kind in ("canine", "byt5") else 0
    )
    said = load_system(folder).predict(file.held, progress=False).values
    shutil.move(folder, tmp_path / "elsewhere")
    assert load_system(tmp_path / "elsewhere").predict(file.held, progress=False).values == said


@pytest.mark.parametrize(("kind", "epochs"), [("canine", 14), ("byt5", 20)])
def test_a_small_set_is_learnt(kind: str, epochs: int, trained: Any, make_file: Any) -> None:
    folder = trained(kind, "tagging", epochs=epochs, learning_rate=1e-2)
    record = evaluate(load_system(folder), make_file("tagging"), progress=False).record
    assert record.scores["f1"] > 80


def test_answers_are_cut_out_at_the_character(trained: Any, make_file: Any) -> None:
    file = make_file("question_answering")
    folder = trained("byt5", "question_answering", epochs=40, learning_rate=1e-2)
    record = evaluate(load_system(folder), file, progress=False).record
    assert record.scores["exact"] > 60


def test_the_folder_holds_data_alone(trained: Any) -> None:
    folder = trained("canine")
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.json", "model.safetensors", "tokenizer_config.json", "system.json", "training_fingerprints.hashes",
        "training_log.json",
    }  # fmt: skip
    with safe_open(folder / "model.safetensors", framework="numpy") as file:
        parts = {name.split(".")[0] for name in file.keys()}  # noqa: SIM118 - it is no dict
        assert not [name for name in file.keys() if "pooler" in name]  # noqa: SIM118
    assert parts == {"encoder", "head"}
    assert json.loads((folder / "config.json").read_text())["model_type"] == "canine"


class _Stop(TrainerCallback):
    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if state.global_step == 4:
            raise KeyboardInterrupt


def test_a_stopped_run_goes_on_to_the_same_result(trained: Any) -> None:
    """T5 has one table of weights under two names, which a checkpoint keeps once."""
    whole = sha256_file(trained("byt5", epochs=3, name="whole") / "model.safetensors")
    with pytest.raises(KeyboardInterrupt):
        trained("byt5", epochs=3, name="broken", seed=0, save_seconds=0.0, label="other", callbacks=[_Stop()])
    done = trained("byt5", epochs=3, name="broken", seed=0, save_seconds=0.0, label="other")
    assert sha256_file(done / "model.safetensors") == whole


def test_default_lengths_are_longer_for_characters(train_tiny: Any, make_file: Any, bases: dict[str, str]) -> None:
    for kind, expected in (("canine", (504, 168, 120)), ("byt5", (1536, 256, 120))):
        folder = train_tiny(
            "question_answering", make_file("question_answering"), system="encoder", base=bases[kind], epochs=0.3,
            max_length=None, doc_stride=128, name=kind, limit=8,
        )  # fmt: skip
        held = load_system(folder).file.settings
        assert (held.max_length, held.max_question, held.max_answer) == expected


def test_longer_than_the_base_reads(trained: Any) -> None:
    with pytest.raises(InputError, match="max_length=: found 505; expected at least 8 and at most 504"):
        trained("canine", max_length=505)


def test_a_model_that_reads_from_left_to_right_is_refused(
    train_tiny: Any, make_file: Any, tmp_path: Path, tiny_base: str
) -> None:
    folder = tmp_path / "gpt2"
    GPT2Model(GPT2Config(vocab_size=150, n_embd=16, n_layer=1, n_head=2)).save_pretrained(folder)
    BertTokenizer.from_pretrained(tiny_base).save_pretrained(folder)
    with pytest.raises(InputError, match="a model of the type gpt2, which reads texts from left to right only"):
        train_tiny("tagging", make_file("tagging"), system="encoder", base=str(folder))


def test_the_pieces_of_words(bases: dict[str, str]) -> None:
    counts = {
        kind: piece_counts(load_tokenizer(Path(bases[kind]), offsets=False), ["oslo", "é", "\ud800"])
        for kind in ("canine", "byt5", "slow_bert")
    }
    assert counts["canine"] == {"oslo": 4, "é": 1, "\ud800": 1}
    assert counts["byt5"] == {"oslo": 4, "é": 2, "\ud800": 3}
    assert counts["slow_bert"]["oslo"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_sensitivity_of_the_base(kind: str, bases: dict[str, str], attacked: tuple[str, Path, Path]) -> None:
    task, clean, folder = attacked
    alone, together = (
        sensitivity(bases[kind], task=task, input=clean, attacked=folder, progress=False, batch_size=size)
        for size in (1, 32)
    )
    np.testing.assert_allclose(alone.words["distance"], together.words["distance"], atol=1e-5)
    changed = together.record.group("changed", "changed")
    assert changed is not None
    assert changed.s is not None
    assert changed.s > 0
    if kind in ("canine", "byt5"):
        assert together.words["distance"].notna().all()
    if kind == "canine":
        assert (together.words["pieces_clean"] == together.words["length"]).all()


def test_layers_of_canine(bases: dict[str, str]) -> None:
    states = {layer: _read(open_reader(bases["canine"], None, layer=layer)[0]) for layer in (0, 3, -1)}
    assert all(one.shape == (2, 16) for one in states.values())
    assert not np.allclose(states[3], states[-1])
    with pytest.raises(InputError, match="--layer: found 6; expected a number from -6 to 5"):
        open_reader(bases["canine"], None, layer=6)


def _read(reader: WordReader) -> np.ndarray:
    return reader.read([Passage(words=("anna", "went"))])[0].vectors
