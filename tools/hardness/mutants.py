"""Mutation testing: how many small changes of the code do the quick tests notice?

`python -m tools.hardness.mutants --count 1000` takes a random sample of the mutants of four rooms, and runs on each the
tests that reach the changed line, then, if they pass, all tests of the room. Each result is a line of results.jsonl; a
further call goes on from there. Since the order is random, the share of any beginning estimates the share of all.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

import coverage
import numpy  # noqa: F401 - with the next, what tests import: once here, not in each child
import pandas  # noqa: F401
import pyarrow.parquet  # noqa: F401
import pydantic  # noqa: F401
import pytest
import seqeval.metrics  # noqa: F401
import sklearn.metrics  # noqa: F401
from scipy import stats  # noqa: F401

from tools.hardness._mutations import Mutant, mutants

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "robustbench_char"
ROOMS = ("attacks", "tasks", "attack_sets", "metrics")
QUICK = ["-q", "-m", "not slow and not data", "-p", "no:cacheprovider"]
SECONDS = 60.0
"""A mutant that keeps the tests of its line busy for longer does not end: it is noticed."""


class Reach:
    """Which tests reach a line, with the seconds that each takes."""

    def __init__(self, folder: Path) -> None:
        self.seconds: dict[str, float] = json.loads((folder / "seconds.json").read_text())
        self._data = coverage.CoverageData(str(folder / "coverage"))
        self._data.read()

    def tests(self, mutant: Mutant) -> list[str]:
        """Return the tests, quickest first; of a line that runs at import or in a fixture, those of whole files."""
        contexts = self._data.contexts_by_lineno(str(ROOT / mutant.file)).get(mutant.line, [])
        reached = {name for context in contexts if (name := context.rpartition("|")[0])}
        files = {name.partition("::")[0] for name in reached if f"{name}|setup" in contexts}
        if "" in contexts or not reached:
            files |= {name.partition("::")[0] for name in self.seconds if f"/{_room(mutant)}/" in name}
        return sorted(
            (name for name in self.seconds if name in reached or name.partition("::")[0] in files),
            key=lambda name: self.seconds[name],
        )


class _Seconds:
    """Notes how long each test takes."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration  # type: ignore[assignment]


class _Only:
    """Keeps the tests named, in the order named."""

    def __init__(self, names: Sequence[str]) -> None:
        self._order = {name: place for place, name in enumerate(names)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._order), key=lambda item: self._order[item.nodeid]
        )


class _Mutated(MetaPathFinder, SourceFileLoader):  # type: ignore[misc]
    """Loads one module from other source than its file has."""

    def __init__(self, name: str, path: str, source: bytes) -> None:
        super().__init__(name, path)
        self._source = source

    def find_spec(self, fullname: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return how to load the module, if it is this one."""
        return (
            importlib.util.spec_from_file_location(fullname, self.path, loader=self) if fullname == self.name else None
        )

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the mutant, which is kept nowhere."""
        return compile(self._source, self.path, "exec", dont_inherit=True)


def in_child(work: Callable[[], int], seconds: float | None = None) -> int | None:
    """Return the exit code of a forked child that does the work in silence, None if it took longer."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        code = 70
        try:
            code = work()
        finally:
            os._exit(code)
    end = time.monotonic() + (seconds or 1e9)
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def measure_reach(rooms: Sequence[str], folder: Path) -> None:
    """Run the tests of the rooms once, unchanged, and keep which lines each reaches, and the seconds."""
    tests = [f"tests/{room}" for room in rooms] + ["tests/properties"] * ("attacks" in rooms)

    def work() -> int:
        seconds = _Seconds()
        measured = [f"--cov={PACKAGE}.{room}" for room in rooms]
        os.environ["COVERAGE_FILE"] = str(folder / "coverage")
        few = "--hypothesis-profile=few"  # noting the test of every line makes tests many times slower
        code = pytest.main([*QUICK, few, *measured, "--cov-context=test", "--cov-report=", *tests], plugins=[seconds])
        (folder / "seconds.json").write_text(json.dumps(seconds.seconds))
        return int(code)

    if code := in_child(work):
        raise SystemExit(f"the tests fail as they stand (pytest's exit code {code})")


def survives(mutant: Mutant, tests: Sequence[str], seconds: float) -> bool:
    """Say whether all tests pass with the mutant in the place of its file."""
    parts = mutant.file.removesuffix(".py").removesuffix("/__init__").split("/")
    source = mutant.apply((ROOT / mutant.file).read_bytes())

    def work() -> int:
        sys.meta_path.insert(0, _Mutated(".".join(parts), str(ROOT / mutant.file), source))
        files = dict.fromkeys(name.partition("::")[0] for name in tests)
        return int(pytest.main([*QUICK, "-x", *files], plugins=[_Only(tests)]))

    return in_child(work, seconds) in (0, 5)


def judge(mutant: Mutant, reach: Reach) -> str:
    """Return `killed`, or `survived` if the tests of the line, and then of the room, all pass."""
    tests = reach.tests(mutant)
    if not survives(mutant, tests, SECONDS + sum(reach.seconds[name] for name in tests)):
        return "killed"
    others = [name for name in reach.seconds if f"/{_room(mutant)}/" in name and name not in set(tests)]
    return "survived" if survives(mutant, others, SECONDS + sum(reach.seconds.values())) else "killed"


def _room(mutant: Mutant) -> str:
    return mutant.file.split("/")[1]


def sample(rooms: Sequence[str], seed: int) -> list[Mutant]:
    """Return all mutants of the rooms, in a random order."""
    files = (path for room in rooms for path in sorted((ROOT / PACKAGE / room).rglob("*.py")))
    found = [mutant for path in files for mutant in mutants(ROOT, path.relative_to(ROOT).as_posix())]
    random.Random(seed).shuffle(found)
    return found


def known(output: Path) -> dict[str, dict[str, object]]:
    """Return the results so far, by what was changed."""
    lines = output.read_text(encoding="utf-8").splitlines() if output.exists() else []
    return {_name(row): row for row in map(json.loads, lines)}


def _name(row: Mapping[str, object]) -> str:
    return json.dumps([row[key] for key in ("file", "line", "start", "end", "text")])


def run(asked: Sequence[Mutant], reach: Reach, output: Path) -> Iterator[dict[str, object]]:
    """Judge each mutant that OUTPUT does not know, and write it there."""
    done = known(output)
    for mutant in asked:
        row: dict[str, object] = {**vars(mutant)}
        if _name(row) not in done:
            source = (ROOT / mutant.file).read_bytes()
            row |= {"was": source[mutant.start : mutant.end].decode(), "result": judge(mutant, reach)}
            with output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        yield done.get(_name(row), row)


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Return the counts by room, and the survivors."""
    lines = [f"{'room':<12}{'mutants':>8}{'killed':>8}{'share':>8}"]
    for room in (*ROOMS, ""):
        of = [row["result"] for row in rows if str(row["file"]).startswith(f"{PACKAGE}/{room}")]
        if of:
            killed = of.count("killed")
            lines.append(f"{room or 'all':<12}{len(of):>8}{killed:>8}{100 * killed / len(of):>7.1f}%")
    left = (row for row in rows if row["result"] == "survived")
    return "\n".join([*lines, *(f"{row['file']}:{row['line']}: {row['was']} -> {row['text']}" for row in left)])


def main() -> int:
    """Run what the command line asks for; 1 if less than 90% are noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="mutants to try")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--room", choices=ROOMS, action="append", help="only this room; may be repeated")
    parser.add_argument("--output", type=Path, default=Path("mutants"), help="folder of what is known")
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    rooms = asked.room or ROOMS
    if not (asked.output / "seconds.json").exists():
        measure_reach(rooms, asked.output.resolve())
    chosen = sample(rooms, asked.seed)[: asked.count]
    rows = list(run(chosen, Reach(asked.output), asked.output / "results.jsonl"))
    print(table(rows))  # noqa: T201
    return int(sum(row["result"] == "killed" for row in rows) < 0.9 * len(rows))


if __name__ == "__main__":
    sys.exit(main())
