"""Several suites in one `attack`, and folders with several attacked sets."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from robustbench_char.attack_sets import read_manifest, sets_below
from robustbench_char.common import InputError

Run = Callable[..., tuple[int, str, str]]
SOURCE = ("--data", "mini", "--split", "dev")


def test_each_suite_gets_a_folder_and_all_are_gone_through(run: Run) -> None:
    attack = ("attack", "cola", *SOURCE, "--output", "sets")
    code, out, _ = run(*attack, "--suite", "drop,keyboard", "--suite", "mixed@0.2")
    assert (code, out.count("\n")) == (0, 3)
    names = ["sets/drop", "sets/keyboard", "sets/mixed@0.2"]
    assert [str(path) for path in sets_below(Path("sets"))] == names
    assert [read_manifest(Path(name)).suite.name for name in names] == ["drop", "keyboard", "mixed@0.2"]
    assert run("attack", "cola", *SOURCE, "--output", "one", "--suite", "drop")[0] == 0
    assert (Path("one") / "edits.parquet").read_bytes() == (Path("sets/drop") / "edits.parquet").read_bytes()

    code, out, _ = run("verify", "sets", *SOURCE)
    assert (code, [line.split(":")[0] for line in out.splitlines()]) == (0, names)
    code, out, _ = run("show", "sets", "-n", 1)
    assert (code, [line.split(":")[0] for line in out.splitlines()[::2]]) == (0, names)
    assert run("show", "one", "-n", 2)[1].count("\n") == 3


def test_the_first_set_that_was_altered_is_named(run: Run) -> None:
    run("attack", "cola", *SOURCE, "--output", "sets", "--suite", "drop", "--suite", "swap")
    with Path("sets/swap/dev.tsv").open("a") as file:
        file.write("x\t1\t\tMore.\n")
    code, out, message = run("verify", "sets", *SOURCE)
    assert (code, out.splitlines()[0].split(":")[0]) == (2, "sets/drop")
    assert message.startswith("error: sets/swap/dev.tsv: found ")


def test_what_is_left_of_a_stop_is_no_set(run: Run, tmp_path: Path) -> None:
    run("attack", "cola", *SOURCE, "--output", "sets", "--suite", "drop", "--suite", "swap")
    shutil.move("sets/swap", "sets/.swap.x1y2")
    assert [path.name for path in sets_below(tmp_path / "sets")] == ["drop"]
    shutil.rmtree("sets/drop")
    with pytest.raises(InputError, match=r"sets: found no manifest\.json in it or below it; expected a folder that"):
        sets_below(tmp_path / "sets")


def test_names_that_cannot_be(run: Run) -> None:
    attack = ("attack", "cola", *SOURCE, "--output", "sets", "--suite")
    Path("mine").mkdir()
    suite = "schema: 1\ndescription: Mine.\noperators: {drop: {}}\n"
    Path("mine/drop.yaml").write_text(suite)
    Path("a,b.yaml").write_text(suite)
    for names, message in {
        ("drop", "mixed", "drop"): "error: --suite: found drop twice; expected suites of different names",
        ("drop", "mine/drop.yaml"): "error: --suite: found drop twice",
        ("drop,keybord",): "Did you mean 'keyboard'?",
    }.items():
        code, out, error = run(*attack, *" --suite ".join(names).split(" "))
        assert (code, out, Path("sets").exists()) == (2, "", False)
        assert message in error
    assert "Invalid value for '--suite': found no name" in run(*attack, " , ")[2]
    assert run(*attack, "a,b.yaml")[0] == 0  # a file, whose name has a comma
    code, _, error = run(*attack, "drop,swap")
    assert (code, sorted(path.name for path in Path("sets").iterdir())[0]) == (2, "dev.tsv")
    assert "found an attacked set, where several would go below it" in error
    for wrong, message in {
        "none": "no such folder",
        "sets/dev.tsv": "a file",
        "mine": r"no manifest.json in it",
    }.items():
        assert f"error: {wrong}: found {message}" in run("verify", wrong, *SOURCE)[2]
        assert f"error: {wrong}: found {message}" in run("show", wrong)[2]


def test_a_sweep_is_gone_through_and_one_call_takes_one_set(run: Run) -> None:
    assert run("attack", "cola", *SOURCE, "--output", "sweep", "--suite", "mixed_sweep")[0] == 0
    names = sorted(str(path) for path in Path("sweep").iterdir())
    for command in (("verify", "sweep", *SOURCE), ("show", "sweep", "-n", 1)):
        code, out, _ = run(*command)
        assert (code, [name for name in names if f"{name}:" in out]) == (0, names)
    Path("rule.py").write_text("def predict(batch, task):\n    return [task.labels[1] for _ in batch]\n")
    model = ("evaluate", "--predictor", "rule.py:predict", "--task", "cola", "--limit", 5)
    assert run(*model, "--input", "sweep", "--output", "runs")[0] == 0
    assert len(list(Path("runs").rglob("record.json"))) == len(names)
    with pytest.raises(
        InputError, match=r"no manifest\.json, but 6 attacked sets below it.*such as sweep/mixed_sweep@0"
    ):
        read_manifest(Path("sweep"))
