"""What pre-training refuses, before it trains: bases, texts, settings and outputs that cannot be right."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file

pytestmark = pytest.mark.models


class _Never(TrainerCallback):
    """What is refused is refused before training."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        raise AssertionError("training began")


def test_what_this_program_did_not_write_is_refused_before_training(pretrain_tiny: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="something that this program did not write"):
        pretrain_tiny("bert_mlm", overwrite=True, callbacks=[_Never()])
    assert (tmp_path / "out" / "thesis.tex").read_text() == "mine"


@pytest.fixture
def charbert_base(pretrain_tiny: Any) -> Path:
    return Path(pretrain_tiny("charbert", name="charbert-base", steps=1, term_vocab_size=6))


def test_vocabularies_must_match_the_model(charbert_base: Path, pretrain_tiny: Any, tmp_path: Path) -> None:
    for name, key, what in (("term", "terms", "5 terms"), ("character", "characters", "read by the word")):
        damaged = shutil.copytree(charbert_base, tmp_path / f"damaged-{name}")
        path = damaged / f"{name}_vocabulary.json"
        value = json.loads(path.read_text())
        value[key] = value[key][:-1]
        path.write_text(json.dumps(value))
        with pytest.raises(InputError, match=rf"a vocabulary of .*{what}; expected .*as the model in the same folder"):
            pretrain_tiny("charbert", base=str(damaged))
    (damaged / "term_vocabulary.json").unlink()
    with pytest.raises(InputError, match=r"term_vocabulary\.json: found no such file"):
        pretrain_tiny("charbert", base=str(damaged))


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"term_vocab_size": 7}, "term_vocab_size=: found 7; expected 6, as the base was pre-trained"),
        ({"unknown_terms": "class"}, "unknown_terms=: found class; expected ignore"),
        ({"character_case": "surface"}, "character_case=: found surface; expected lower"),
    ],
)
def test_what_the_base_fixes_cannot_be_changed(
    options: dict[str, Any], place: str, charbert_base: Path, pretrain_tiny: Any
) -> None:
    with pytest.raises(InputError, match=place):
        pretrain_tiny("charbert", base=str(charbert_base), **options)


def test_a_base_of_another_system_is_refused(charbert_base: Path, pretrain_tiny: Any) -> None:
    with pytest.raises(
        InputError, match="found charbert-base, a base that was pre-trained for charbert; expected a plain base"
    ):
        pretrain_tiny("advbert", base=str(charbert_base))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"noise": 1.5}, "noise=: found 1.5; expected at least 0 and at most 1"),
        ({"mask": 0.0}, "mask=: found 0.0; expected more than 0"),
        ({"steps": -1}, "steps=: found -1; expected at least 0"),
        ({"batch_size": 0}, "batch_size=: found 0"),
        ({"block_size": 65}, "block_size=: found 65; expected at least 8 and at most 64"),
        ({"learning_rate": float("nan")}, "learning_rate=: found nan"),
        ({"new_learning_rate": 0.0}, "new_learning_rate=: found 0.0; expected more than 0"),
        ({"warmup": 1.0}, "warmup=: found 1.0"),
        ({"weight_decay": -1.0}, "weight_decay=: found -1.0"),
        ({"seed": -1}, "seed=: found -1"),
        ({"evaluate_every": 0}, "evaluate_every=: found 0"),
        ({"heldout_blocks": 0}, "heldout_blocks=: found 0"),
        ({"term_vocab_size": 0}, "term_vocab_size=: found 0"),
        ({"char_vocab_size": 0}, "char_vocab_size=: found 0"),
        ({"layers": 3}, "layers=: found 3; expected a number from 1 to 2"),
        ({"suite": "mixde"}, "mixde.*Did you mean 'mixed'"),
        ({"suite": "mixed@0.3"}, "suite=: found 'mixed@0.3', which sets strengths"),
        ({"suite": "mixed_sweep"}, "suite=: found 'mixed_sweep', which sets strengths"),
        ({"suite": "insert_space"}, "suite=: found insert_space, which changes the number of words"),
        ({"text": Path("missing.txt")}, "missing.txt: found no such file"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, Any], match: str, pretrain_tiny: Any) -> None:
    with pytest.raises(InputError, match=match):
        pretrain_tiny("charbert", **options)


def test_a_system_that_is_not_pretrained_is_refused(pretrain_tiny: Any) -> None:
    with pytest.raises(InputError, match="SYSTEM: found 'bert_aug'; expected one of bert_mlm, advbert, charbert"):
        pretrain_tiny("bert_aug")
    with pytest.raises(InputError, match="Did you mean 'charbert'"):
        pretrain_tiny("charbrt")


def test_a_base_with_a_slow_tokenizer_or_without_marks_is_refused(
    pretrain_tiny: Any, tiny_base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import PreTrainedTokenizerFast

    other = shutil.copytree(tiny_base, tmp_path / "other")
    settings = json.loads((other / "tokenizer_config.json").read_text())
    settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "mask_token": None}
    (other / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match="a tokenizer without mask_token"):
        pretrain_tiny("bert_mlm", base=str(other))
    monkeypatch.setattr(PreTrainedTokenizerFast, "is_fast", False)
    with pytest.raises(InputError, match="a slow tokenizer"):
        pretrain_tiny("bert_mlm", base=str(other))


def test_a_base_whose_weights_lack_a_layer_is_refused(pretrain_tiny: Any, tiny_base: str, tmp_path: Path) -> None:
    other = shutil.copytree(tiny_base, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    for system in ("bert_mlm", "charbert"):
        with pytest.raises(InputError, match=r"weights without \w+\.encoder\.layer\.2"):
            pretrain_tiny(system, base=str(other))


def test_the_text_may_not_lie_in_the_output(pretrain_tiny: Any, text: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"text\.txt in the output folder"):
        pretrain_tiny("bert_mlm", name=".", steps=1, overwrite=True, callbacks=[_Never()])


def test_a_base_of_another_type_is_refused(pretrain_tiny: Any, tiny_base: str, tmp_path: Path) -> None:
    other = shutil.copytree(tiny_base, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    with pytest.raises(InputError, match="model_type: found 'gpt2'"):
        pretrain_tiny("bert_mlm", base=str(other))


def test_text_of_one_line_has_nothing_to_hold_out(pretrain_tiny: Any, tmp_path: Path, text: Path) -> None:
    short = tmp_path / "short.txt"
    short.write_text("the house " * 100)
    with pytest.raises(InputError, match=r"short\.txt: found held-out text .* shorter than one block.*`heldout=`"):
        pretrain_tiny("bert_mlm", text=short)
    folder = pretrain_tiny("bert_mlm", text=short, heldout=text, steps=1)
    record = json.loads((folder / "pretraining.json").read_text())
    assert record["heldout_texts"] == [{"name": "text.txt", "sha256": sha256_file(text)}]
    short.write_text("the house")
    with pytest.raises(InputError, match=r"short\.txt: found text shorter than one block"):
        pretrain_tiny("bert_mlm", text=short, heldout=text, name="other")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_divergence_is_an_error(pretrain_tiny: Any, tmp_path: Path) -> None:
    class Explode(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
            with torch.no_grad():
                next(model.parameters()).fill_(float("nan"))

    with pytest.raises(
        InputError,
        match=r"learning_rate=: found weights that are not numbers.*Lower `learning_rate=` or `new_learning_rate=`",
    ):
        pretrain_tiny("bert_mlm", steps=2, callbacks=[Explode()])
    assert not (tmp_path / "out").exists()
