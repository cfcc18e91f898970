"""How attention is computed while a model trains: by device and precision, and without a trace in what is stored."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

from robustbench_char.inference.systems import load_system
from robustbench_char.models.attention import attention_for_training
from robustbench_char.models.bases import resolve_base
from robustbench_char.models.bert import BertSystem
from robustbench_char.models.encoders import EncoderSystem

pytestmark = pytest.mark.models

FAMILIES = ("classification", "tagging", "question_answering")
FILES = ("system.json", "config.json", "training_log.json")
ON_CPU = pytest.mark.skipif(torch.accelerator.is_available(), reason="training would run on the accelerator")


class Seen(TrainerCallback):
    """Which implementation computes the steps of training."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
        self.names.add(model.base_model.config._attn_implementation)


@ON_CPU
@pytest.mark.parametrize(("precision", "expected"), [("bf16", "eager"), ("fp32", "sdpa")])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_precision_decides_on_a_cpu(
    family: str, precision: str, expected: str, make_file: Any, train_tiny: Any
) -> None:
    seen = Seen()
    folder = train_tiny(family, make_file(family, 8), epochs=1, precision=precision, callbacks=[seen])
    assert seen.names == {expected}
    assert load_system(folder).model.config._attn_implementation == "sdpa"


@ON_CPU
@pytest.mark.parametrize("system", ["bert_mlm", "charbert"])
def test_pretraining_chooses_too(system: str, pretrain_tiny: Any) -> None:
    seen = Seen()
    pretrain_tiny(system, steps=2, precision="bf16", callbacks=[seen])
    assert seen.names == {"eager"}


@ON_CPU
def test_either_trains_the_same_system(make_file: Any, train_tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same keys and files, and the same loss but for rounding."""
    file = make_file("tagging", 16)
    ours = train_tiny("tagging", file, name="ours", epochs=2, precision="bf16")
    monkeypatch.setattr("robustbench_char.training.loop.attention_for_training", lambda *_, **__: nullcontext())
    other = train_tiny("tagging", file, name="other", epochs=2, precision="bf16", store=ours.parent / "another")
    stored = [[json.loads((one / name).read_text()) for one in (ours, other)] for name in FILES]
    (system, again), (config, same), (log, beside) = stored
    assert (system["run"], system["training"], config) == (again["run"], again["training"], same)
    for one, two in zip(log["log"], beside["log"], strict=True):
        assert one["loss"] == pytest.approx(two["loss"], rel=0.02)


@pytest.mark.parametrize(("bf16", "most"), [(False, 1e-5), (True, 0.02)])
@pytest.mark.parametrize("roberta_type", [False, True])
def test_both_have_the_same_gradient(bf16: bool, most: float, roberta_type: bool, tiny_base: str, roberta: str) -> None:
    """With dropout, which draws alike in both, and with padding."""
    base = resolve_base(roberta if roberta_type else tiny_base)
    model = BertSystem.build(base, "tagging", ("a", "b"), layers=None, seed=0).train()
    tables = {name: torch.ones(4, 12, dtype=torch.long) for name in ("input_ids", "attention_mask", "labels")}
    tables["input_ids"] += 5 + torch.arange(12)
    tables["attention_mask"][2, 7:] = 0
    gradients = []
    for name in ("sdpa", "eager"):
        model.set_attn_implementation(name)
        with torch.random.fork_rng(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            torch.manual_seed(1)
            loss = model(**tables).loss
        model.zero_grad()
        loss.backward()
        gradients.append(torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None]))
    assert (gradients[0] - gradients[1]).norm() < most * gradients[0].norm()


@pytest.mark.parametrize(("base", "bf16", "expected"), [("bert", True, "eager"), ("bert", False, "sdpa"),
                                                        ("distilbert", True, "sdpa")])  # fmt: skip
def test_types_that_were_not_measured_keep_their_own(
    base: str, bf16: bool, expected: str, tiny: Any, tiny_base: str, tmp_path: Path
) -> None:
    """Of any encoder under a head of ours too; and an error in training leaves nothing behind."""
    folder = tiny_base if base == "bert" else str(tiny.distilbert_base(tmp_path / "distilbert"))
    system: Any = EncoderSystem
    model = system.build(resolve_base(folder, any_type=True), "tagging", ("a", "b"), layers=None, seed=0)
    seen = []

    def train() -> None:
        with attention_for_training(model, bf16=bf16):
            seen.append(model.encoder.config._attn_implementation)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train()
    assert [*seen, model.encoder.config._attn_implementation] == [expected, "sdpa"]
