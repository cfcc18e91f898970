"""Fine-tuning `bert_channel_soft`: its gate is learnt from attacked copies, and its defence decides its weights."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from robustbench_char.common import InputError
from robustbench_char.defences.channel import Channel, ChannelOptions
from robustbench_char.inference.evaluate import evaluate
from robustbench_char.inference.systems import load_system
from robustbench_char.tasks.base import Task
from robustbench_char.training.finetune import finetune

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("defences") / "channel"
    text = ["very anna lives in berlin", "karl lives in paris", "the hat of maria went", "peter lives in oslo"]
    Channel.build(ChannelOptions(dictionary=False), text * 20).save(folder)
    return folder


@pytest.fixture
def tuned(tasks: dict[str, Task], make_file: Any, tiny_base: str, tmp_path: Path) -> Any:
    """Return a function that fine-tunes a system on the tagging task."""

    def train(system: str = "bert_channel_soft", **options: Any) -> Any:
        chosen: dict[str, Any] = {"epochs": 2, "learning_rate": 1e-3, "batch_size": 8, "max_length": 32}
        chosen |= {"train": make_file("tagging"), "base": tiny_base, "store": tmp_path / "store"}
        return finetune(tasks["tagging"], system=system, precision="fp32", progress=False, **(chosen | options))

    return train


def test_the_gate_opens_with_attacked_copies(tuned: Any, channel: Path, make_file: Any) -> None:
    made = tuned(defence=channel, augment="mixed", epochs=6, seed=1)
    assert made.file.extra_parameters == 1
    assert 0.05 < made.file.gates["candidates"][0] <= 1
    assert (made.file.defence.kind, made.file.train.attacked_copies) == ("channel", 24)
    assert json.loads((made.folder / "system.json").read_text())["gates"] == {
        "candidates": list(made.file.gates["candidates"])
    }
    record = evaluate(load_system(made.folder), make_file("tagging"), progress=False).record
    assert record.system.defence == made.file.defence


def test_untrained_it_is_bert(tuned: Any, channel: Path, make_file: Any) -> None:
    soft, bert = tuned(defence=channel, epochs=0), tuned("bert", epochs=0)
    assert (soft.file.gates, bert.file.gates) == ({"candidates": (0.0,)}, None)
    file = make_file("tagging")
    ours, theirs = (load_system(one.folder).predict(file.held, progress=False) for one in (soft, bert))
    assert ours.values == theirs.values


def test_the_gate_of_an_older_file_is_read(tuned: Any, channel: Path) -> None:
    folder = tuned(defence=channel, epochs=0).folder
    path = folder / "system.json"
    said = json.loads(path.read_text())
    del said["gates"]
    path.write_text(json.dumps({**said, "gate": 0.25}))
    assert load_system(folder).info.gates == {"candidates": (0.25,)}


def test_its_defence_decides_its_weights(tuned: Any, channel: Path, tmp_path: Path) -> None:
    """Also without attacked copies: the model reads what the defence says."""
    Channel.build(ChannelOptions(dictionary=False), ["anna went to madrid"] * 9).save(tmp_path / "other")
    options: Any = {"epochs": 1}
    one, same, other = (tuned(defence=folder, **options) for folder in (channel, channel, tmp_path / "other"))
    assert one.folder == same.folder
    assert one.file.training != other.file.training


def test_refuses_a_defence_without_probabilities(tuned: Any) -> None:
    message = "defence=: found spell; expected a defence that says how likely candidates are"
    with pytest.raises(InputError, match=re.escape(message)):
        tuned(defence="spell")
