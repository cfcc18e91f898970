"""No line of the licensed data sets stands in a file of the repository."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

LONGER_THAN = 20


def lines_of(folder: Path) -> Iterator[str]:
    """Yield the lines of all data files, and the texts inside them: cells, questions, contexts, answers, sentences."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name in ("README.md", "LICENSE") or path.suffix == ".md5":
            continue
        lines = path.read_text(encoding="utf-8-sig").split("\n")
        if path.suffix == ".tsv" and "\t" in lines[0] and path.parent.name != "CoLA":
            del lines[0]  # the names of the columns are the format, not the text
        yield from (line for line in lines if line.strip("- "))  # operations that keep a token are no text
        if path.suffix == ".tsv":
            yield from (cell for line in lines for cell in line.split("\t"))
        if path.suffix == ".json":
            yield from strings_of(json.loads(path.read_text(encoding="utf-8")))
        if path.parent.name == "conll2003":
            blocks = "\n".join(lines).split("\n\n")
            yield from (" ".join(line.split(" ")[0] for line in block.split("\n")) for block in blocks)


def strings_of(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from strings_of(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings_of(one)


def found_in(text: str, by_start: dict[str, list[str]], width: int) -> str | None:
    """Return a line that stands in the text; `by_start` groups lines by their first `width` characters."""
    for at in range(len(text) - width + 1):
        for line in by_start.get(text[at : at + width], ()):
            if text.startswith(line, at):
                return line
    return None


def grouped(lines: Iterator[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for line in {line.strip() for line in lines}:
        if len(line) > LONGER_THAN:
            groups.setdefault(line[: LONGER_THAN + 1], []).append(line)
    return groups


def test_the_search_finds_a_line() -> None:
    groups = grouped(iter(["  a line that is long enough to count \n", "short"]))
    assert (
        found_in("before a line that is long enough to count after", groups, LONGER_THAN + 1)
        == "a line that is long enough to count"
    )
    assert found_in("a line that is long enough to be something else", groups, LONGER_THAN + 1) is None


@pytest.mark.data
@pytest.mark.slow
def test_no_line_of_the_data_stands_in_a_tracked_file(shared_data: Path) -> None:
    groups = grouped(lines_of(shared_data))
    assert len(groups) > 10_000
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"], capture_output=True, check=True
    ).stdout
    names = [name for name in listed.decode().split("\0") if name]
    assert len(names) > 50
    for name in names:
        path = ROOT / name
        if path.is_file():
            line = found_in(path.read_bytes().decode("utf-8", errors="replace"), groups, LONGER_THAN + 1)
            assert line is None, f"{name} holds a line of the data: {line!r}"
