"""Scripts of benchmarks/speed that measure models: they run, and what they compare does the same work."""

from __future__ import annotations

import contextlib
import re
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SPEED = Path(__file__).resolve().parents[2] / "benchmarks" / "speed"
Load = Callable[[Path], ModuleType]

pytestmark = pytest.mark.models


@pytest.fixture
def script(load_module: Load, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Return a function that loads a script, which imports from its own folder."""
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(SPEED)
    return lambda name: load_module(SPEED / f"{name}.py")


@pytest.mark.parametrize(
    ("name", "options", "line", "lines"),
    [
        ("attention", "", r"(bert|charbert) +2x16 (fp32|bf16) (training|inference) +eager is [\d.]+ \(", 8),
        ("prediction", "", r"\w+ +(bert|charbert) +share [\d.]+ \([\d.]+ to [\d.]+\); [\d,]+ sub-words a second", 6),
        (
            "training",
            "--families tagging",
            r"\w+ +(bert|charbert) +share [\d.]+ \([\d.]+ to [\d.]+\); .*; a checkpoint [\d.]+ s",
            2,
        ),
    ],
    ids=["attention", "prediction", "training"],
)
def test_they_run(
    name: str,
    options: str,
    line: str,
    lines: int,
    script: Callable[[str], ModuleType],
    tiny_base: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A tiny model has no speed to speak of, so any exit code will do."""
    monkeypatch.setattr("sys.argv", [name, "--quick", "--base", tiny_base, "--threads", "1", *options.split()])
    with contextlib.suppress(SystemExit):
        script(name).main()
    assert len(re.findall(f"^{line}", capsys.readouterr().out, re.M)) == lines


def test_the_bare_loop_trains_alike(script: Callable[[str], ModuleType], tiny_base: str) -> None:
    """Same batches, optimiser, schedule and clipping: without dropout the weights stay the same in both."""
    import torch

    from robustbench_char.training.features import training_set

    training = script("training")
    options = Namespace(base=tiny_base, input=[], examples=40)
    given = training.contestant("bert", "tagging", "train", options)
    given = given._replace(settings=given.settings.model_copy(update={"bf16": False, "learning_rate": 0.01}))
    for module in given.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    before = {name: weight.clone() for name, weight in given.model.named_parameters()}
    data = training_set(given.recipe, given.kind, given.examples, None)
    turns, _, pieces = training.race(given, data, 2, 3, time.perf_counter)
    assert pieces > 0
    for (name, ours), bare in zip(given.model.named_parameters(), turns.bare.model.parameters(), strict=True):
        torch.testing.assert_close(ours, bare, rtol=1e-4, atol=1e-5)
        assert before[name].ndim < 2 or not torch.equal(ours, before[name])
