"""A source whose defence has read a file: predictions that depend on their example alone, from a source like it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import robustbench_char as rbc
from robustbench_char.defences.channel import Channel, ChannelOptions
from robustbench_char.inference._defended import defended, settled
from robustbench_char.inference.options import ModelOptions
from robustbench_char.inference.predictors import PredictorSource
from robustbench_char.records.evaluation import SystemInfo
from robustbench_char.records.predictors import Predictor
from robustbench_char.tasks.base import Example
from robustbench_char.tasks.registry import get_task

pytestmark = pytest.mark.models

LINES = ["the boat was in oslo and the house is green", "anna sees the green boat", "a house is not a boat"] * 9
CLEAN = ["the boat was in oslo", *(f"{one} grene sees the house" for one in ("anna", "mr", "the", "old", "dear"))]
WRONG = ["teh bota wsa in oslo", "anan ses teh hosue", "is teh baot grene", "the wass boat"]


@pytest.fixture
def channel(tmp_path: Path) -> str:
    """Return the folder of a channel."""
    Channel.build(ChannelOptions(dictionary=False), LINES).save(tmp_path / "channel")
    return str(tmp_path / "channel")


def examples(texts: Sequence[str], field: str = "sentence") -> list[Example]:
    values = [tuple(text.split()) if field == "tokens" else text for text in texts]
    return [Example(row, str(row), "k", {field: value}) for row, value in enumerate(values)]


def inputs(source: Any, some: Sequence[Example]) -> list[dict[str, list[Any]]]:
    """Return what the model of a source reads for examples."""
    return [
        {name: values.tolist() for name, values in window.inputs.items()}
        for window in source.recipe.windows(source.kind, some)
    ]


@pytest.mark.parametrize(("family", "system"), [("classification", "bert"), ("tagging", "bert_channel_soft")])
def test_a_system_reads_an_example_alone_as_among_others(
    family: str, system: str, channel: str, train_tiny: Any, make_file: Any
) -> None:
    folder = train_tiny(family, make_file(family, 12), system=system, epochs=1, defence=channel)
    source: Any = rbc.load_model(folder)
    wrong, clean = (examples(texts, source.task.fields[0]) for texts in (WRONG, CLEAN))
    before = inputs(source, wrong)
    still: Any = settled(source, clean)
    assert inputs(still, wrong) == [inputs(still, [one])[0] for one in wrong] != before
    assert inputs(source, wrong) == before
    assert (still.info, still.inputs, still.model) == (source.info, source.inputs, source.model)
    assert len(still.predict(wrong, progress=False).values) == len(wrong)
    assert inputs(settled(still, clean), wrong) == inputs(still, wrong)


def predictor(task: str, seen: list[Any]) -> PredictorSource:
    """Return a source that notes what it is asked."""

    def call(batch: Sequence[dict[str, Any]]) -> list[Any]:
        seen.extend(one["tokens"] if "tokens" in one else one["sentence"] for one in batch)
        return [["O"] * len(one["tokens"]) if "tokens" in one else "acceptable" for one in batch]

    info = SystemInfo(
        name="mine", base="external", parameters=None, training_seed=None, training_sha256=None, settings={},
        weights_sha256="0" * 64,
    )  # fmt: skip
    return PredictorSource(Predictor(call, None, info), get_task(task))


@pytest.mark.parametrize("task", ["cola", "conll2003"])
def test_a_predictor_is_asked_the_same_of_an_example_alone(task: str, channel: str) -> None:
    seen: list[Any] = []
    source = defended(predictor(task, seen), ModelOptions(defence=channel))
    wrong, clean = (examples(texts, source.task.fields[0]) for texts in (WRONG, CLEAN))
    still = settled(source, clean)
    still.predict(wrong, progress=False)
    together = list(seen)
    seen.clear()
    for one in wrong:
        still.predict([one], progress=False)
    assert seen == together
    assert seen[0] == (["the", "boat", "was", "in", "oslo"] if task == "conll2003" else "the boat was in oslo")
    assert (still.info, still.task, still.inputs) == (source.info, source.task, source.inputs)
    assert still is not source


def test_a_source_that_adapts_to_nothing_is_returned_as_it_is(fine_tuned: Any, tmp_path: Path) -> None:
    folder = fine_tuned(tmp_path / "model", "Bert", "classification", ("unacceptable", "acceptable"))
    plain = rbc.load_model(folder, "cola")
    assert settled(plain, examples(CLEAN)) is plain
    bare = predictor("cola", [])
    assert settled(bare, examples(CLEAN)) is bare
    front = defended(bare, ModelOptions(defence="spell"))
    assert settled(front, examples(CLEAN)) is front
