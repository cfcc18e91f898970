"""`attack --worst-case` as a user runs it, with a model that is a Python function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]
SOURCE = ("--data", "mini", "--split", "dev")
MODEL = """
def looks(batch, task):
    return [task.labels[(len(one["sentence"]) + 1) % 2] for one in batch]
"""


@pytest.fixture
def attack(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Return a function that attacks the first three examples with more options."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("mine.py").write_text(MODEL, encoding="utf-8")
    return lambda *more: run("attack", "cola", *SOURCE, "--worst-case", "mine.py:looks", "--limit", 3, *more)


def test_what_was_found_is_printed(attack: Run, run: Run) -> None:
    code, out, error = attack("--suite", "drop", "--suite", "swap", "--output", "sets")
    assert (code, "Traceback" in error) == (0, False)
    assert out.splitlines()[0].startswith("sets/drop: worst_drop@1 of mine.looks, 3 of ")
    assert "Worst case of mine.looks on cola, swap, at most 1 edit\n" in out
    assert "search   exhaustive (exact), guided by labels" in out
    assert sorted(path.name for path in Path("sets/drop").iterdir()) == [
        "dev.tsv", "edits.parquet", "manifest.json", "worst_case.json", "worst_case.parquet",
    ]  # fmt: skip
    assert run("verify", "sets", *SOURCE)[0] == 0


def test_folders_are_named_as_in_random_attacks(attack: Run, run: Run) -> None:
    Path("own").mkdir()
    Path("own/mine.yaml").write_text("schema: 1\ndescription: Mine.\noperators: {drop: {}}\n", encoding="utf-8")
    suites = ("--suite", "mixed@0.2", "--suite", "own/mine.yaml@0.5")
    assert attack(*suites, "--output", "worst")[0] == 0
    assert run("attack", "cola", *SOURCE, *suites, "--output", "random")[0] == 0
    names = [sorted(path.name for path in Path(folder).iterdir()) for folder in ("worst", "random")]
    assert names[0] == names[1] == ["mine@0.5", "mixed@0.2"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--suite", "drop", "--search", "greedy"), "found labels alone; expected scores, which greedy goes by"),
        (("--suite", "drop", "--search", "beam:0"), "--search: found 'beam:0'; expected a search, or beam:N"),
        (("--suite", "drop", "--budget", 0), "budget"),
        (("--suite", "nlpaug_mixed"), "suite nlpaug_mixed: found the operator"),
        (("--suite", "drop,drop"), "--suite: found drop twice"),
        (("--suite", "drop", "--certify", 5), "--certify: found no defence with few outputs"),
        (("--suite", "drop", "--operations", "mine.py"), "--operations: found operations with --worst-case"),
    ],
)
def test_what_cannot_be_searched(attack: Run, options: tuple[object, ...], message: str) -> None:
    code, out, error = attack(*options, "--output", "out")
    assert (code, out, "Traceback" in error, Path("out").exists()) == (2, "", False, False)
    assert message in error


def test_options_of_a_search_need_a_model(run: Run) -> None:
    for option in (("--edits", 2), ("--limit", 5), ("--batch-size", 4), ("--defence", "spell")):
        code, _, error = run("attack", "cola", *SOURCE, "--suite", "drop", "--output", "out", *option)
        assert (code, Path("out").exists()) == (2, False)
        assert f"error: {option[0]}: found no model to search the worst case of; expected --worst-case MODEL" in error
