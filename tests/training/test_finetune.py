"""Fine-tuning: it learns, it repeats itself, it goes on after a stop, it leaves nothing half-written."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import SafetensorError
from transformers import TrainerCallback

import robustbench_char as rbc
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.inference.evaluate import evaluate
from robustbench_char.inference.systems import load_system
from robustbench_char.training.saved import read_system

pytestmark = pytest.mark.models

FAMILIES = ("classification", "tagging", "question_answering")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_small_set_is_learnt(family: str, make_file: Any, train_tiny: Any) -> None:
    file = make_file(family, 48)
    folder = train_tiny(family, file, epochs=25 if family == "question_answering" else 12)
    record = evaluate(load_system(folder), file, progress=False).record
    assert record.scores[record.headline] > 90
    log = json.loads((folder / "training_log.json").read_text())["log"]
    assert log[-1]["loss"] < log[0]["loss"] / 2


def test_the_folder_holds_data_alone(make_file: Any, train_tiny: Any, tmp_path: Path) -> None:
    folder = train_tiny("tagging", make_file("tagging"))
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "system.json",
        "training_fingerprints.hashes",
        "training_log.json",
    }
    system = json.loads((folder / "system.json").read_text())
    assert system["schema"] == 1
    assert system["labels"] == ["B-LOC", "B-PER", "O"]
    assert system["base"]["name"] == "tiny-bert"
    assert system["train"] | {"sha256": None, "fingerprints_sha256": None} == {
        "source": "data.txt",
        "sha256": None,
        "attack": None,
        "fingerprints_sha256": None,
        "examples": 24,
        "windows": 24,
        "truncated_examples": 0,
        "attacked_copies": 0,
    }
    assert system["train"]["sha256"] == sha256_file(tmp_path / "data.txt")
    assert system["weights_sha256"] == sha256_file(folder / "model.safetensors")
    for name in names - {"model.safetensors"}:
        assert str(tmp_path).encode() not in (folder / name).read_bytes(), f"{name} gives a path away"
    assert not any((tmp_path / "store").iterdir()), "a finished run leaves nothing in the store"


def _hash(folder: Path) -> str:
    return sha256_file(folder / "model.safetensors")


def test_same_seed_same_weights(make_file: Any, train_tiny: Any) -> None:
    file = make_file("classification")
    first = train_tiny("classification", file, name="a")
    torch.manual_seed(99)
    torch.rand(3)
    assert _hash(train_tiny("classification", file, name="b")) == _hash(first)
    assert _hash(train_tiny("classification", file, name="c", seed=1)) != _hash(first)


def test_process_wide_random_state_is_left_alone(make_file: Any, train_tiny: Any) -> None:
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist()
    train_tiny("classification", make_file("classification"))
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist()) == before


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


@pytest.mark.parametrize("step", [5, 7])
def test_a_stopped_run_goes_on_to_the_same_result(step: int, make_file: Any, train_tiny: Any, tmp_path: Path) -> None:
    """24 examples in batches of 8, 4 epochs: 12 steps. It goes on within an epoch, and at the end of one."""
    file = make_file("tagging")
    unbroken = train_tiny("tagging", file, name="unbroken")
    with pytest.raises(KeyboardInterrupt):
        train_tiny("tagging", file, name="broken", save_seconds=0.0, callbacks=[_Stop(step)])
    assert not (tmp_path / "broken").exists()
    count = _Count()
    broken = train_tiny("tagging", file, name="broken", save_seconds=0.0, callbacks=[count])
    assert count.steps == list(range(step, 13)), "it went on from the last checkpoint, one step before the stop"
    assert _hash(broken) == _hash(unbroken)
    assert (broken / "training_log.json").read_text() == (unbroken / "training_log.json").read_text()


def test_half_written_checkpoints_do_not_count(make_file: Any, train_tiny: Any, tmp_path: Path) -> None:
    file = make_file("tagging")
    unbroken = train_tiny("tagging", file, name="unbroken")
    with pytest.raises(KeyboardInterrupt):
        train_tiny("tagging", file, name="broken", save_seconds=0.0, callbacks=[_Stop(6)])
    (checkpoint,) = (tmp_path / "store").glob("*/checkpoint-*")
    assert not (checkpoint / "training_args.bin").exists()
    (checkpoint / "optimizer.pt").write_bytes((checkpoint / "optimizer.pt").read_bytes()[:-1])
    count = _Count()
    broken = train_tiny("tagging", file, name="broken", callbacks=[count])
    assert count.steps[0] == 1
    assert _hash(broken) == _hash(unbroken)


def test_what_differs_is_not_resumed(make_file: Any, train_tiny: Any) -> None:
    file = make_file("tagging")
    with pytest.raises(KeyboardInterrupt):
        train_tiny("tagging", file, save_seconds=0.0, callbacks=[_Stop(6)])
    count = _Count()
    train_tiny("tagging", file, learning_rate=1e-3, callbacks=[count])
    assert count.steps[0] == 1


def test_a_finished_run_is_kept_and_another_needs_overwrite(make_file: Any, train_tiny: Any) -> None:
    file = make_file("classification")
    folder = train_tiny("classification", file)
    stamp = (folder / "system.json").stat().st_mtime_ns
    train_tiny("classification", file, callbacks=[_Stop(1)])
    assert (folder / "system.json").stat().st_mtime_ns == stamp
    with pytest.raises(InputError, match=r"other content.*or the result of this very run.*--overwrite"):
        train_tiny("classification", file, seed=1, callbacks=[_Stop(1)])
    before = _hash(folder)
    train_tiny("classification", file, seed=1, overwrite=True)
    assert _hash(folder) != before


def test_a_damaged_result_is_not_taken_for_finished(make_file: Any, train_tiny: Any) -> None:
    file = make_file("classification")
    folder = train_tiny("classification", file)
    whole = _hash(folder)
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="other content"):
        train_tiny("classification", file)
    assert _hash(train_tiny("classification", file, overwrite=True)) == whole


def test_limit_keeps_the_first_examples(make_file: Any, train_tiny: Any) -> None:
    folder = train_tiny("classification", make_file("classification"), limit=10, epochs=1)
    assert json.loads((folder / "system.json").read_text())["train"]["examples"] == 10


def test_rows_in_memory_are_trained_on_and_scored(tiny_base: str, tmp_path: Path) -> None:
    rows = [{"title": f"{word} tools", "stars": 1 + 4 * (word == "fine")} for word in ("fine", "bad", "fine", "poor")]
    task = rbc.classification("title", {1: "bad", 5: "good"}, label="stars")
    options: Any = {"base": tiny_base, "epochs": 1, "max_length": 24, "progress": False}
    folders = [
        rbc.finetune(task, train=data, output=str(tmp_path / name), store=str(tmp_path / "s"), **options).folder
        for name, data in (("a", rows), ("b", pd.DataFrame(rows)))
    ]
    first, second = (load_system(folder).info for folder in folders)
    assert (first.weights_sha256, first.training_sha256) == (second.weights_sha256, second.training_sha256)
    result = rbc.evaluate(folders[0], input=rows, progress=False)
    assert result.frame()["gold"].tolist() == ["good", "bad", "good", "bad"]


def test_bf16_trains_single_precision_weights(make_file: Any, train_tiny: Any) -> None:
    file = make_file("classification")
    half = train_tiny("classification", file, name="half", precision="bf16")
    full = train_tiny("classification", file, name="full", precision="fp32")
    assert _hash(half) != _hash(full)
    assert {weight.dtype for weight in load_system(half).model.parameters()} == {torch.float32}


def test_nothing_is_said_without_progress(make_file: Any, train_tiny: Any, capfd: pytest.CaptureFixture[str]) -> None:
    file = make_file("classification")
    folder = train_tiny("classification", file, epochs=1)
    evaluate(load_system(folder), file, progress=False)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": -1}, r"epochs=: found -1; expected at least 0"),
        ({"epochs": float("nan")}, "epochs=: found nan"),
        ({"learning_rate": -1.0}, r"learning_rate=: found -1\.0"),
        ({"batch_size": 0}, "batch_size=: found 0; expected at least 1"),
        ({"max_length": 65}, "max_length=: found 65; expected at least 8 and at most 64"),
        ({"warmup": 1.5}, "warmup=: found 1.5"),
        ({"seed": -1}, "seed=: found -1"),
        ({"limit": 0}, "limit=: found 0; expected at least 1"),
        ({"layers": 3}, "layers=: found 3; expected a number from 1 to 2"),
        ({"system": "charbrt"}, "system=: found unknown system 'charbrt'"),
    ],
)
def test_settings_out_of_range(
    options: dict[str, Any], message: str, make_file: Any, train_tiny: Any, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        train_tiny("classification", make_file("classification"), **options)
    assert not (tmp_path / "system").exists()


def test_windows_must_move_on(make_file: Any, train_tiny: Any) -> None:
    with pytest.raises(InputError, match="doc_stride=: found 18; expected a number from 0 to 17"):
        train_tiny("question_answering", make_file("question_answering"), doc_stride=18)


@pytest.mark.parametrize("family", FAMILIES)
def test_unlabelled_examples(family: str, make_file: Callable[..., Any], train_tiny: Any) -> None:
    file = make_file(family)
    bare = file.held[5]._replace(label=None, answers=(), answerable=None)
    file = make_file(family, held=(*file.held[:5], bare, *file.held[6:]))
    with pytest.raises(InputError, match=rf"data\.txt: row 5 \(id {bare.id}\): found an example without label"):
        train_tiny(family, file)


def test_unknown_label_and_no_examples(make_file: Any, train_tiny: Any) -> None:
    file = make_file("classification")
    held = (*file.held[:3], file.held[3]._replace(label="maybe"))
    with pytest.raises(InputError, match=r"row 3 .*found the label 'maybe'; expected one of no, yes"):
        train_tiny("classification", make_file("classification", held=held))
    with pytest.raises(InputError, match="found no examples"):
        train_tiny("classification", make_file("classification", held=()))


def test_data_of_another_task(make_file: Any, train_tiny: Any) -> None:
    held = tuple(one._replace(answers=(), answerable=False) for one in make_file("classification").held)
    file = make_file("question_answering", held=held)
    with pytest.raises(InputError, match=r"row 0 .*found fields sentence; expected a field 'question'"):
        train_tiny("question_answering", file)


def test_a_store_that_another_process_uses(make_file: Any, train_tiny: Any, tmp_path: Path) -> None:
    class Again(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            train_tiny("tagging", file, name="other")

    file = make_file("tagging")
    with pytest.raises(InputError, match="another process that trains the same run"):
        train_tiny("tagging", file, callbacks=[Again()])


def _full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_full_disk_at_a_checkpoint(
    make_file: Any, train_tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.save", _full)
    with pytest.raises(InputError, match=r"cannot be written .*No space left.*choose another `store=`"):
        train_tiny("tagging", make_file("tagging"), save_seconds=0.0)
    assert not (tmp_path / "system").exists()


def test_a_full_disk_at_the_end(
    make_file: Any, train_tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("transformers.modeling_utils.safe_save_file", full)
    with pytest.raises(InputError, match=r"system: found it cannot be written .*No space left"):
        train_tiny("tagging", make_file("tagging"))
    assert not list(tmp_path.glob("*system*"))


def test_what_a_finished_run_left_in_the_store_goes(make_file: Any, train_tiny: Any, tmp_path: Path) -> None:
    """As of one that was killed after its result was written, and before its folder was removed."""
    file = make_file("tagging")
    left = tmp_path / "store" / read_system(train_tiny("tagging", file)).run
    (left / "checkpoint-1").mkdir(parents=True)
    train_tiny("tagging", file)
    assert not list((tmp_path / "store").iterdir())


def test_a_store_that_cannot_be_made(make_file: Any, train_tiny: Any, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(InputError, match="store: found it cannot be written"):
        train_tiny("tagging", make_file("tagging"))


def test_diverged_training_is_no_result(make_file: Any, train_tiny: Any, tmp_path: Path) -> None:
    class Diverge(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
            with torch.no_grad():
                next(model.parameters()).fill_(float("nan"))

    with pytest.raises(InputError, match="learning_rate=: found weights that are not numbers: training diverged"):
        train_tiny("tagging", make_file("tagging"), callbacks=[Diverge()])
    assert not (tmp_path / "system").exists()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_roberta_base(family: str, roberta: str, make_file: Any, train_tiny: Any) -> None:
    file = make_file(family)
    folder = train_tiny(family, file, base=roberta, epochs=1, max_length=48)
    record = evaluate(load_system(folder), file, progress=False).record
    assert record.counts["examples"] == 24
    with pytest.raises(InputError, match="max_length=: found 65; expected at least 8 and at most 64"):
        train_tiny(family, file, base=roberta, max_length=65)
