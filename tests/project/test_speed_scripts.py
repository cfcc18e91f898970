"""Scripts of benchmarks/speed that measure models: they run, and what they compare does the same work."""

from __future__ import annotations

import ast
import contextlib
import importlib
import json
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


@pytest.mark.parametrize("path", sorted(SPEED.glob("*.py")), ids=lambda path: path.stem)
def test_what_they_import_is_there(path: Path) -> None:
    pytest.importorskip("torch")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("robustbench_char"):
            module = importlib.import_module(str(node.module))
            assert [one.name for one in node.names if not hasattr(module, one.name)] == []


@pytest.mark.parametrize(
    ("name", "options", "line", "lines"),
    [
        ("attention", "--quick", r"(bert|charbert) +2x16 (fp32|bf16) (training|inference) +eager is [\d.]+ \(", 8),
        (
            "prediction",
            "--quick",
            r"\w+ +(bert|charbert) +share [\d.]+ \([\d.]+ to [\d.]+\); [\d,]+ sub-words a second",
            6,
        ),
        ("encode", "--only forward --runs 1", r" +ratio +[\d.]+ ", 1),
        (
            "training",
            "--quick --families tagging",
            r"\w+ +(bert|charbert) +share [\d.]+ \([\d.]+ to [\d.]+\); .*; a checkpoint [\d.]+ s",
            2,
        ),
        ("worst_case", "--quick --families classification", r" +\"share\": [\d.]+,", 2),
    ],
    ids=["attention", "prediction", "encode", "training", "worst_case"],
)
def test_they_run(
    name: str,
    options: str,
    line: str,
    lines: int,
    script: Callable[[str], ModuleType],
    tiny: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A tiny model has no speed to speak of, so any exit code will do."""
    base = tiny.bert_base(tmp_path / "base", positions=128)
    monkeypatch.setattr("sys.argv", [name, "--base", str(base), "--threads", "1", *options.split()])
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


def test_the_docs_quote_the_speed_of_the_search() -> None:
    """By processor time, as the results were measured on a busy machine."""
    results = json.loads((SPEED / "results" / "worst_case.json").read_text(encoding="utf-8"))
    shares = [one["cpu"]["share"] for one in results["bare"].values()]
    ratios = {one["max_length"]: one["ratio"]["cpu"] for one in results["textattack"]}
    quoted = [f"{share:.0%}" for share in shares] + [f"{ratio:.{int(ratio < 10)}f}" for ratio in ratios.values()]
    text = (SPEED.parents[1] / "docs" / "worst_case.md").read_text(encoding="utf-8")
    (speed,) = re.findall(r"^\*\*Speed\.\*\*.*?\n\n", text, re.M | re.S)
    assert [part for part in quoted if not re.search(rf"(?<![\d.]){re.escape(part)}(?![\d.]\d)", speed)] == []
    assert min(shares) >= 0.85
    assert ratios[512] >= 3
