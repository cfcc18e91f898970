"""Pre-training end to end on tiny models: it learns, repeats itself, goes on after a stop."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForMaskedLM, TrainerCallback

from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file

pytestmark = pytest.mark.models

SYSTEMS = ("bert_mlm", "advbert", "charbert")


def _log(folder: Path) -> Any:
    return json.loads((folder / "training_log.json").read_text())


def _record(folder: Path) -> Any:
    return json.loads((folder / "pretraining.json").read_text())


def _hash(folder: Path) -> str:
    return sha256_file(folder / "model.safetensors")


def test_what_is_written(pretrain_tiny: Any, text: Path, tmp_path: Path) -> None:
    folder = pretrain_tiny("charbert")
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "character_vocabulary.json",
        "term_vocabulary.json",
        "pretraining.json",
        "training_log.json",
    }
    record = _record(folder)
    assert (record["schema"], record["system"], record["steps"]) == (1, "charbert", 8)
    assert record["tokens"] == 8 * 4 * 16
    assert record["texts"] == [{"name": "text.txt", "sha256": sha256_file(text)}]
    assert (record["lines"], record["words"]) == (238, 238 * 10)
    assert record["weights_sha256"] == _hash(folder)
    assert record["settings"]["noise"] == 0.3
    assert record["wall_seconds"] > 0
    for name in names - {"model.safetensors"}:
        assert str(tmp_path) not in (folder / name).read_text(), f"{name} gives a path away"
    assert not any((tmp_path / "store").iterdir()), "a finished run leaves nothing in the store"


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_log_says_what_is_learnt(system: str, pretrain_tiny: Any, text: Path) -> None:
    folder = pretrain_tiny(system, steps=40, evaluate_every=15, heldout=[text], heldout_blocks=20)
    log = _log(folder)
    assert [entry["step"] for entry in log["heldout"]] == [0, 15, 30, 40]
    assert [entry["step"] for entry in log["log"]] == list(range(1, 41))
    first, last = log["heldout"][0], log["heldout"][-1]
    parts = {"bert_mlm": [], "advbert": ["noised_loss"], "charbert": ["nlm_loss"]}[system]
    for name in ("mlm_loss", *parts):
        assert last[name] < first[name] - 0.5
    assert last["perplexity"] == pytest.approx(np.exp(last["mlm_loss"]))
    hits = {"hit_at_1", "hit_at_5"} if system == "charbert" else set()
    assert set(last) == {"step", "mlm_loss", "perplexity", *parts, *hits}
    if hits:
        assert last["hit_at_1"] > first["hit_at_1"] + 0.1
        assert last["hit_at_1"] <= last["hit_at_5"] <= 1
    entry = log["log"][-1]
    losses = {"mlm_loss", "nlm_loss"} if system == "charbert" else {"mlm_loss"}
    gates = {"gates_sub_words", "gates_characters"} if system == "charbert" else set()
    assert set(entry) == {"step", "loss", "learning_rate", "tokens", "tokens_per_second", *losses, *gates}
    assert all(entry[name] > log["log"][0][name] for name in gates), "gates open"
    assert entry["loss"] == pytest.approx(sum(entry[name] for name in losses), rel=1e-5)
    assert entry["tokens"] == 40 * 4 * 16
    assert _record(folder)["heldout"] == {name: value for name, value in last.items() if name != "step"}


def test_entries_of_the_log_are_means_of_their_interval(pretrain_tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the last one, which is shorter."""
    from robustbench_char.training import loop

    single = _log(pretrain_tiny("charbert", name="single", steps=5))["log"]
    monkeypatch.setattr(loop, "LOGS", 2)
    found = _log(pretrain_tiny("charbert", name="pairs", steps=5, seed=0, overwrite=True))["log"]
    assert [entry["step"] for entry in found] == [2, 4, 5]
    for entry, steps in zip(found, (single[:2], single[2:4], single[4:]), strict=True):
        for name in ("loss", "mlm_loss", "nlm_loss"):
            assert entry[name] == pytest.approx(np.mean([step[name] for step in steps]), rel=1e-5)
        assert entry["tokens"] == steps[-1]["tokens"] == entry["step"] * 4 * 16
        assert entry["tokens_per_second"] > 0


def test_scores_do_not_depend_on_dropout(tiny_base: str, text: Path) -> None:
    """Scored twice, a model in training mode has equal scores, and goes on in training mode."""
    from contextlib import nullcontext

    from robustbench_char.attacks.suites import load_suites
    from robustbench_char.models.bases import resolve_base
    from robustbench_char.training.pretraining._blocks import BlockCollator, BlockMaker, Corpus, heldout_blocks
    from robustbench_char.training.pretraining._models import build_encoder, open_tokenizer
    from robustbench_char.training.pretraining._noise import Masker, Noiser
    from robustbench_char.training.pretraining._trainer import HeldOut

    tokenizer, (suite,) = open_tokenizer(Path(tiny_base)), load_suites("mixed@0.3", task="pretrain")
    maker = BlockMaker(Noiser(tokenizer, suite, 0, None, True), Masker(tokenizer, 0.15), 16, None)
    blocks = heldout_blocks(Corpus((text,)), maker, 8)
    again = heldout_blocks(Corpus((text,)), maker, 8)
    assert all(np.array_equal(left.input_ids, right.input_ids) for left, right in zip(blocks, again, strict=True))
    model = build_encoder(resolve_base(tiny_base), layers=None, seed=0).model
    model.train(True)
    heldout = HeldOut(blocks, BlockCollator(), 4)
    first = heldout.scores(model, nullcontext())
    assert heldout.scores(model, nullcontext()) == first
    assert model.training
    loose = HeldOut(blocks, BlockCollator(), 3).scores(model, nullcontext())
    assert loose["mlm_loss"] == pytest.approx(first["mlm_loss"], rel=1e-5), "means are over pieces, not over batches"


@pytest.mark.parametrize("system", ["advbert", "charbert"])
def test_noise_may_be_off_or_on_every_word(system: str, pretrain_tiny: Any) -> None:
    """Without noise no word is to be restored; with it, words that the suite leaves alone are still masked."""
    off, on = (
        _log(pretrain_tiny(system, name=f"{share}", steps=2, noise=share))["heldout"][-1] for share in (0.0, 1.0)
    )
    assert set(off) == {"step", "perplexity", "mlm_loss"}
    restored = {"nlm_loss", "hit_at_1", "hit_at_5"} if system == "charbert" else {"noised_loss"}
    assert set(on) == {*off, *restored}


def test_the_stream_forgets_the_way_it_came(pretrain_tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every step, not only where a checkpoint is written: memory does not grow with the text."""
    from robustbench_char.training.pretraining import _blocks as corpus
    from robustbench_char.training.pretraining._blocks import Blocks

    monkeypatch.setattr(corpus, "CHUNK_LINES", 2)
    remembered: list[int] = []
    real = Blocks.position

    def spy(blocks: Blocks, given: int) -> Any:
        found = real(blocks, given)
        remembered.append(len(blocks._begun))
        return found

    monkeypatch.setattr(Blocks, "position", spy)
    pretrain_tiny("bert_mlm", steps=20, block_size=8)
    assert len(remembered) >= 20
    assert max(remembered) < 15


@pytest.mark.parametrize("base", ["tiny_base", "roberta"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_folder_loads_as_a_base(
    system: str, base: str, pretrain_tiny: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    import robustbench_char.models.charbert  # noqa: F401  # registers CharBERT

    folder = pretrain_tiny(system, base=request.getfixturevalue(base), steps=2)
    encoder, report = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] or system == "charbert"
    assert all(name.startswith("pooler.") for name in report["missing_keys"])
    model, report = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"]
    assert model.config.architectures == [type(model).__name__]
    assert encoder.config.model_type == ("charbert" if system == "charbert" else model.config.model_type)


def test_the_pooler_of_the_base_is_kept(pretrain_tiny: Any, tiny_base: str) -> None:
    """Fine-tuning for classification starts from it, in `bert` and in `bert_mlm` alike."""
    folder = pretrain_tiny("bert_mlm", steps=2)
    before, after = (AutoModel.from_pretrained(place) for place in (tiny_base, folder))
    assert torch.equal(before.pooler.dense.weight, after.pooler.dense.weight)
    assert not torch.equal(before.embeddings.word_embeddings.weight, after.embeddings.word_embeddings.weight)


@pytest.mark.parametrize("system", ["bert_mlm", "charbert"])
def test_same_seed_same_weights(system: str, pretrain_tiny: Any) -> None:
    first = pretrain_tiny(system, name="a", steps=3)
    state = random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist()
    assert _hash(pretrain_tiny(system, name="b", steps=3)) == _hash(first)
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist()) == state
    assert _hash(pretrain_tiny(system, name="c", steps=3, seed=1)) != _hash(first)


class _Stop(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


class _Count(TrainerCallback):
    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.steps.append(state.global_step)


def _timeless(folder: Path) -> Any:
    log = _log(folder)
    for entry in log["log"]:
        del entry["tokens_per_second"]
    return log


@pytest.mark.parametrize("system", ["advbert", "charbert"])
def test_a_stopped_run_goes_on_to_the_same_result(
    system: str, pretrain_tiny: Any, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout is on: random state, optimizer and place in the text must all come back. The text ends on the way."""
    from robustbench_char.training.pretraining import _blocks as corpus

    monkeypatch.setattr(corpus, "CHUNK_LINES", 15)
    text.write_text("\n".join(text.read_text().splitlines()[:110]))
    options: dict[str, Any] = {"steps": 24, "evaluate_every": 10, "batch_size": 8}
    unbroken = pretrain_tiny(system, name="unbroken", **options)
    assert _record(unbroken)["passes"] > 1
    for stop in (8, 21):  # stopped twice: the second time it had gone on from a checkpoint
        with pytest.raises(KeyboardInterrupt):
            pretrain_tiny(system, name="broken", save_seconds=0.0, callbacks=[_Stop(stop)], **options)
        assert not (tmp_path / "broken").exists()
    count = _Count()
    broken = pretrain_tiny(system, name="broken", save_seconds=0.0, callbacks=[count], **options)
    assert count.steps == list(range(21, 25))
    assert _hash(broken) == _hash(unbroken)
    assert _timeless(broken) == _timeless(unbroken)


def test_a_finished_run_is_kept_and_another_needs_overwrite(pretrain_tiny: Any) -> None:
    folder = pretrain_tiny("bert_mlm", steps=2)
    before = (folder / "pretraining.json").stat().st_mtime_ns
    assert pretrain_tiny("bert_mlm", steps=2, callbacks=[_Stop(1)]) == folder
    assert (folder / "pretraining.json").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="an output folder with other content"):
        pretrain_tiny("bert_mlm", steps=3)
    assert _record(pretrain_tiny("bert_mlm", steps=3, overwrite=True))["steps"] == 3


def test_a_suite_may_lie_in_a_folder_with_an_at_sign(pretrain_tiny: Any, tmp_path: Path) -> None:
    (tmp_path / "a@b").mkdir()
    shutil.copy(Path(__file__).parents[2] / "attacks" / "drop.yaml", tmp_path / "a@b" / "mine.yaml")
    folder = pretrain_tiny("advbert", steps=1, suite=str(tmp_path / "a@b" / "mine.yaml"))
    assert _record(folder)["settings"]["suite"] == "mine"


def test_a_block_is_as_long_as_a_small_base_holds(pretrain_tiny: Any, text: Path) -> None:
    folder = pretrain_tiny("bert_mlm", steps=1, block_size=None, heldout=[text])
    assert _record(folder)["settings"]["block_size"] == 64


def test_advbert_and_charbert_read_the_same_text(pretrain_tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from robustbench_char.training.pretraining import _trainer as trainer

    read: list[torch.Tensor] = []
    real = trainer._Trainer.compute_loss

    def spy(self: Any, model: Any, inputs: Any, *others: Any, **named: Any) -> Any:
        read.append(inputs["input_ids"].clone())
        return real(self, model, inputs, *others, **named)

    monkeypatch.setattr(trainer._Trainer, "compute_loss", spy)
    pretrain_tiny("advbert", name="a", steps=3)
    pretrain_tiny("charbert", name="b", steps=3)
    assert len(read) == 6
    assert all(torch.equal(left, right) for left, right in zip(read[:3], read[3:], strict=True))


def test_masked_pieces_expose_no_characters(pretrain_tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the model reads a random piece, or the piece itself."""
    from robustbench_char.training.pretraining import _trainer as trainer

    batches: list[dict[str, torch.Tensor]] = []
    real = trainer._Trainer.compute_loss

    def spy(self: Any, model: Any, inputs: Any, *others: Any, **named: Any) -> Any:
        batches.append(inputs)
        return real(self, model, inputs, *others, **named)

    monkeypatch.setattr(trainer._Trainer, "compute_loss", spy)
    pretrain_tiny("charbert", steps=6)
    seen = 0
    for batch in batches:
        for row in range(4):
            for place in (batch["labels"][row] >= 0).nonzero().flatten().tolist():
                start, end = int(batch["start_ids"][row, place]), int(batch["end_ids"][row, place])
                assert start == end
                assert int(batch["char_input_ids"][row, start]) == 4
                seen += 1
    assert seen > 20


def test_noised_words_may_be_left_as_context(pretrain_tiny: Any) -> None:
    folder = pretrain_tiny("advbert", steps=2, noised_words="context")
    assert "noised_loss" not in _log(folder)["heldout"][-1]
    assert _hash(pretrain_tiny("advbert", steps=2, name="other")) != _hash(folder)


def test_new_parts_have_their_own_learning_rate(pretrain_tiny: Any, tiny_base: str) -> None:
    """With next to no learning rate for what the base has, only new parts move."""
    options: dict[str, Any] = {"steps": 3, "learning_rate": 1e-12, "weight_decay": 0.0}
    folder = pretrain_tiny("charbert", **options)
    before, after = AutoModel.from_pretrained(tiny_base), AutoModelForMaskedLM.from_pretrained(folder)
    held = after.base_model.state_dict()
    for name, weight in before.state_dict().items():
        if not name.startswith("pooler."):
            torch.testing.assert_close(held[name], weight, atol=1e-9, rtol=0)
    fresh = AutoModelForMaskedLM.from_pretrained(
        pretrain_tiny("charbert", name="slow", new_learning_rate=1e-12, **options)
    )
    moved = {
        name
        for name, weight in fresh.state_dict().items()
        if not torch.allclose(weight, after.state_dict()[name], atol=1e-6)
    }
    assert any("nlm_head" in name for name in moved)
    assert any("mlm_head.dense" in name or "mlm_head.transform" in name for name in moved)


@pytest.mark.parametrize("system", ["advbert", "charbert"])
def test_pretraining_goes_on_from_its_output(system: str, pretrain_tiny: Any) -> None:
    first = pretrain_tiny(system, name="first", steps=20, term_vocab_size=9 if system == "charbert" else None)
    folder = pretrain_tiny(system, base=str(first), steps=2)
    assert _record(folder)["continues"] == _record(first)["run"]
    before, after = _log(first)["heldout"][-1], _log(folder)["heldout"][0]
    assert after["mlm_loss"] == pytest.approx(before["mlm_loss"], rel=0.25), "the head goes on too"
    if system == "charbert":
        for name in ("term_vocabulary.json", "character_vocabulary.json"):
            assert (folder / name).read_text() == (first / name).read_text()
        assert _record(folder)["settings"]["term_vocab_size"] == 9


def test_unknown_terms_may_be_a_class(pretrain_tiny: Any) -> None:
    folder = pretrain_tiny("charbert", steps=1, term_vocab_size=6, unknown_terms="class")
    assert json.loads((folder / "config.json").read_text())["term_vocab_size"] == 7


def test_finetuning_reads_the_record(pretrain_tiny: Any, text: Path) -> None:
    from robustbench_char.training.saved import pretraining_info

    folder = pretrain_tiny("advbert", steps=2)
    info = pretraining_info(folder)
    assert info is not None
    assert (info.system, info.base, info.steps, info.tokens) == ("advbert", "tiny-bert", 2, 2 * 4 * 16)
    assert (info.text, info.text_sha256, info.noise, info.noise_share) == (
        ("text.txt",),
        sha256_file(text),
        "mixed",
        0.3,
    )
    assert pretraining_info(folder.parent) is None
    record = _record(folder)
    (folder / "pretraining.json").write_text(json.dumps(record | {"steps": "many"}))
    with pytest.raises(InputError, match=r"pretraining\.json: steps"):
        pretraining_info(folder)


def test_the_command_does_the_same(pretrain_tiny: Any, tiny_base: str, text: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from robustbench_char.cli.main import app

    command = ["pretrain", "charbert", "--base", tiny_base, "--text", str(text), "--output", str(tmp_path / "command")]
    command += ["--suite", "mixed", "--noise", "0.3", "--mask", "0.15", "--steps", "2", "--batch-size", "4"]
    command += ["--block-size", "16", "--lr", "3e-3", "--new-lr", "3e-3", "--precision", "fp32"]
    command += ["--heldout-blocks", "2", "--store", str(tmp_path / "store"), "--unknown-terms", "class"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "finetune TASK --system charbert" in result.output
    assert _hash(tmp_path / "command") == _hash(pretrain_tiny("charbert", steps=2, unknown_terms="class"))
    refused = CliRunner().invoke(app, ["pretrain", "bert", "--text", str(text), "--output", str(tmp_path / "no")])
    assert isinstance(refused.exception, InputError)
