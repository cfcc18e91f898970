"""Files of other programs beside data stay what they are, and texts of the data command no terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.table import Table

from robustbench_char.cli.printing import visible_console
from robustbench_char.common import InputError
from robustbench_char.common.errors import visible

Run = Callable[..., tuple[int, str, str]]
SOURCE = ("--data", "mini", "--split", "dev")
HOSTILE = "\x1b[31m\u202e\u2066\x9b\x07\x7f"


def test_control_characters_and_marks_of_direction_are_shown() -> None:
    assert visible("a\x1b[2J\rb\u202ec\u2028\ud800") == "a\\u001b[2J\\u000db\\u202ec\\u2028\\ud800"
    assert visible("tab\tand\nline, naïve 日本 שלום 😀") == "tab\tand\nline, naïve 日本 שלום 😀"
    error = InputError("file", found=f"the label {HOSTILE}", expected="x", fix="y")
    assert visible(str(error)) == str(error)
    assert HOSTILE in error.found


def test_a_console_shows_them_and_keeps_its_own_styles() -> None:
    out = io.StringIO()
    console = visible_console(file=out, force_terminal=True, color_system="standard", highlight=False)
    console.print("a\x1b]0;title\u202eb", style="bold")
    assert out.getvalue() == "\x1b[1ma\\u001b]0;title\\u202eb\x1b[0m\n"


def test_a_console_reads_no_markup() -> None:
    """Its own would be hidden, or end in an error where a bracket closes nothing."""
    out, table = io.StringIO(), Table("name", box=None)
    table.add_row("[red]m[/x] :bug: [link=file:///x]l[/link]")
    console = visible_console(file=out, width=80)
    console.print(table)
    console.print("m[/x]")
    lines = [line.strip() for line in out.getvalue().splitlines()]
    assert lines == ["name", "[red]m[/x] :bug: [link=file:///x]l[/link]", "m[/x]"]


def test_commands_print_no_control_character_of_the_data(run: Run) -> None:
    Path("dev.tsv").write_text(f"x\t1\t\tThe harbour {HOSTILE} was crowded.\n")
    assert run("attack", "cola", "--input", "dev.tsv", "--suite", "drop", "--output", "set")[0] == 0
    code, out, _ = run("show", "set")
    assert (code, visible(HOSTILE) in out, visible(out) == out) == (0, True, True)
    Path("dev.tsv").write_text(f"x\t{HOSTILE}\t\tThe harbour.\n")
    code, _, message = run("attack", "cola", "--input", "dev.tsv", "--suite", "drop", "--output", "other")
    assert (code, "[31m" in message, visible(message) == message) == (2, True, True)


@pytest.mark.parametrize("content", ['{"name": "my web app"}', '{"schema": "2", "suite": 1}', "[1]", "{", "\\xff"])
def test_another_program_s_manifest_makes_no_attacked_set(run: Run, content: str) -> None:
    Path("data").mkdir()
    Path("data/dev.tsv").write_text("x\t1\t\tThe harbour was crowded.\n")
    Path("data/manifest.json").write_text(content)
    Path("rule.py").write_text("def predict(batch, task):\n    return [task.labels[1] for _ in batch]\n")
    model = ("evaluate", "--predictor", "rule.py:predict", "--task", "cola")
    assert run(*model, "--input", "data/dev.tsv", "--output", "run")[0] == 0
    assert json.loads(Path("run/record.json").read_text())["data"]["attack"] is None
    for command in ("verify", "show"):
        code, _, message = run(command, "data")
        assert (code, "found a manifest.json of another program" in message) == (2, True)
    attack = ("attack", "cola", *SOURCE, "--suite", "drop", "--output", "data")
    for more, found in ((), "with other content"), (("--overwrite",), "this program did not write"):
        code, _, message = run(*attack, *more)
        assert (code, found in message) == (2, True)
    assert {path.name for path in Path("data").iterdir()} == {"dev.tsv", "manifest.json"}


def test_a_site_is_no_report_to_be_replaced(run: Run) -> None:
    Path("site").mkdir()
    Path("site/index.html").write_text("<!doctype html><title>My site</title>")
    attack = (
        "attack",
        "cola",
        "--data",
        "mini",
        "--split",
        "dev",
        "--suite",
        "drop",
        "--output",
        "site",
        "--overwrite",
    )
    assert run(*attack)[0] == 2
    assert "My site" in Path("site/index.html").read_text()
    assert run("attack", "cola", *SOURCE, "--suite", "drop", "--output", "own")[0] == 0
    assert run("attack", "cola", *SOURCE, "--suite", "swap", "--output", "own")[0] == 2
    assert run(*attack[:-2], "own", "--overwrite")[0] == 0
