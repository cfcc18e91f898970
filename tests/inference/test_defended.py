"""A defence in front of any model: it reads corrected text, and its answers are quoted from the text as given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import robustbench_char as rbc
from robustbench_char.common import InputError
from robustbench_char.defences.opening import open_defence
from robustbench_char.defences.wordrec import Recogniser, ScRNN
from robustbench_char.defences.wordrec.files import RecogniserFile
from robustbench_char.inference._defended import defended
from robustbench_char.inference.evaluate import evaluate
from robustbench_char.inference.options import ModelOptions
from robustbench_char.inference.predictors import PredictorSource
from robustbench_char.inference.sensitivity import open_reader
from robustbench_char.metrics.base import QaPrediction
from robustbench_char.records.evaluation import SystemInfo
from robustbench_char.records.predictors import Predictor
from robustbench_char.tasks.base import Example
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import open_source

pytestmark = pytest.mark.models

TRAINING = {"settings": {"suite": "mixed"}, "suite_sha256": "0" * 64, "operators": ["drop"]}
NAMES = ("unacceptable", "acceptable")


@pytest.fixture
def always_good(tmp_path: Path) -> Path:
    """Return the folder of a recogniser that takes every word for `good`."""
    file = RecogniserFile(
        hidden_size=2, lower=True, max_words=8, splitter="whitespace", back_off="pass_through", keep_case=False,
        leave_numbers_and_punctuation=False, characters=("a",), words=("good",), weights_sha256="", training=TRAINING,
    )  # fmt: skip
    network = ScRNN(1, 2, 2)
    with torch.no_grad():
        network.output.weight.zero_()
        network.output.bias.copy_(torch.tensor([1.0, 0.0]))
    Recogniser(file, network).save(tmp_path / "always-good")
    return tmp_path / "always-good"


def good(example: Example) -> Example:
    """Return an example with every word `good`."""
    fields = {name: " ".join("good" for _ in str(text).split()) for name, text in example.fields.items()}
    return example._replace(fields=fields)


def test_a_fine_tuned_model_reads_corrected_text(fine_tuned: Any, always_good: Path, tmp_path: Path) -> None:
    folder = fine_tuned(tmp_path / "model", "Bert", "classification", NAMES, seed=3)
    plain, front = rbc.load_model(folder, "cola"), rbc.load_model(folder, "cola", defence=always_good)
    examples = list(open_source(get_task("cola"), data="mini").examples())[:12]
    found = front.predict(examples, progress=False)
    assert list(found.values) == list(plain.predict([good(one) for one in examples], progress=False).values)
    assert front.info.shown == "model + always-good"
    assert front.info.defence is not None
    record = evaluate(front, open_source(get_task("cola"), data="mini"), limit=5, progress=False).record
    assert record.system.all_weights[1] == open_defence(always_good).info.sha256


def test_a_system_of_ours_takes_one_and_no_second(
    train_tiny: Any, make_file: Any, always_good: Path, tmp_path: Path
) -> None:
    file = make_file("classification", 12)
    folder = train_tiny("classification", file, epochs=1)
    front = rbc.load_model(folder, defence=str(always_good))
    plain = rbc.load_model(folder)
    held = [one._replace(label=None) for one in file.held]
    assert list(front.predict(held, progress=False).values) == list(
        plain.predict([good(one) for one in held], progress=False).values
    )
    guarded = train_tiny("classification", file, name="guarded", epochs=1, defence=always_good)
    with pytest.raises(InputError, match=r"--defence: found bert, which has a defence before it"):
        rbc.load_model(guarded, defence=always_good)


def predictor(task: str, call: Any) -> PredictorSource:
    """Return a callable as a source."""
    info = SystemInfo(
        name="mine", base="external", parameters=None, training_seed=None, training_sha256=None, settings={},
        weights_sha256="0" * 64,
    )  # fmt: skip
    return PredictorSource(Predictor(call, None, info), get_task(task))


def test_a_predictor_reads_corrected_text_and_quotes_the_given_one(always_good: Path) -> None:
    seen: list[dict[str, Any]] = []

    def call(batch: Sequence[dict[str, Any]]) -> list[str]:
        seen.extend(batch)
        return ["good good", "nowhere", ""]

    source = defended(predictor("squad_v1", call), ModelOptions(defence=str(always_good)))
    fields = {"question": "waht color", "context": "teh  bote is grene"}
    examples = [Example(row, str(row), "k", fields) for row in range(3)]
    values = source.predict(examples, progress=False).values
    assert seen[0] == {"question": "good good", "context": "good  good good good"}
    assert [value.text for value in values if isinstance(value, QaPrediction)] == ["bote is", "nowhere", ""]
    assert source.info.shown == "mine + always-good"
    assert source.inputs[-1] == always_good


def test_a_predictor_of_tags_reads_corrected_words(always_good: Path) -> None:
    def call(batch: Sequence[dict[str, Any]]) -> list[list[str]]:
        assert batch[0]["tokens"] == ["good", "good"]
        return [["O", "B-PER"]]

    source = defended(predictor("conll2003", call), ModelOptions(defence=str(always_good)))
    source.check(open_source(get_task("conll2003"), data="mini"), "", None)
    (tags,) = source.predict([Example(0, "0", "k", {"tokens": ("teh", "Bob")})], progress=False).values
    assert tags == ("O", "B-PER")


def test_sensitivity_is_measured_behind_a_defence(fine_tuned: Any, always_good: Path, tmp_path: Path) -> None:
    folder = fine_tuned(tmp_path / "model", "Bert", "tagging", ("O", "B-X", "I-X"))
    reader, info = open_reader(str(folder), get_task("conll2003"), defence=str(always_good))
    assert info.model_dump()["name"] == "model + always-good"
    window = next(reader.kind.word_windows([("teh", "bote")], max_length=16))
    plain = next(open_reader(str(folder), None)[0].kind.word_windows([("good", "good")], max_length=16))
    assert window.inputs["input_ids"].tolist() == plain.inputs["input_ids"].tolist()
