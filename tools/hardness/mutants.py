"""Mutation testing: how many small changes of the code do the quick tests notice?

`python -m tools.hardness.mutants --count 1000` takes a random sample of the mutants of four rooms, and runs on each the
tests that reach the changed line, and where they pass all tests of the room. Each result is a line of results.jsonl; a
further call goes on from there. Since the order is random, the share of any beginning estimates the share of all.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
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

from tools.hardness._forks import forked, waited
from tools.hardness._live import Changed, changed_functions
from tools.hardness._mutations import Mutant, mutants

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "robustbench_char"
ROOMS = ("attacks", "tasks", "attack_sets", "metrics")
BESIDE = {"attacks": ("properties",), "metrics": ("records", "analysis")}
"""Whose tests are those of a room too."""
QUICK = ["-q", "-m", "not slow and not data", "-p", "no:cacheprovider"]
SECONDS = 60.0
"""Added to five times what the tests take; a mutant that keeps them busy for longer does not end, and is noticed."""


class Reach:
    """Which tests reach a line, with the seconds that each takes."""

    def __init__(self, folder: Path) -> None:
        self.seconds: dict[str, float] = json.loads((folder / "seconds.json").read_text())
        self._contexts: dict[str, dict[str, list[str]]] = json.loads((folder / "contexts.json").read_text())

    def tests(self, mutant: Mutant) -> list[str]:
        """Return the tests, quickest first; of a line that runs at import or in a fixture, those of whole files."""
        contexts = self._contexts.get(mutant.file, {}).get(str(mutant.line), [])
        reached = {name for context in contexts if (name := context.rpartition("|")[0])}
        files = {name.partition("::")[0] for name in reached if f"{name}|setup" in contexts}
        if "" in contexts or not reached:
            files |= {name.partition("::")[0] for name in self.seconds if _is_of(name, mutant)}
        return sorted(
            (name for name in self.seconds if name in reached or name.partition("::")[0] in files),
            key=lambda name: self.seconds[name],
        )

    def limit(self, tests: Sequence[str]) -> float:
        """Return the seconds after which tests that still run do not end."""
        return SECONDS + 5 * sum(self.seconds[name] for name in tests)


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

    def silently() -> int:
        os.setpgid(0, 0)
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        return work()

    child = forked(silently)
    code = waited(child, seconds)
    if code is None:
        os.killpg(child, signal.SIGKILL)
        waited(child)
    return code


def measure_reach(rooms: Sequence[str], folder: Path) -> None:
    """Run the tests of the rooms once, unchanged, and keep which lines each reaches, and the seconds."""
    tests = [f"tests/{name}" for room in rooms for name in (room, *BESIDE.get(room, ()))]
    few = "--hypothesis-profile=few"  # noting the test of every line makes tests many times slower

    def work() -> int:
        seconds = _Seconds()
        measured = [f"--cov={PACKAGE}.{room}" for room in rooms]
        os.environ["COVERAGE_FILE"] = str(folder / "coverage")
        code = pytest.main([*QUICK, few, *measured, "--cov-context=test", "--cov-report=", *tests], plugins=[seconds])
        data = coverage.CoverageData(str(folder / "coverage"))
        data.read()
        contexts = {
            Path(name).relative_to(ROOT).as_posix(): data.contexts_by_lineno(name) for name in data.measured_files()
        }
        (folder / "contexts.json").write_text(json.dumps(contexts))
        (folder / "seconds.json").write_text(json.dumps(seconds.seconds))
        return int(code)

    if code := in_child(work):
        raise SystemExit(f"the tests fail as they stand (pytest's exit code {code})")


class _Loop:
    """In the place of pytest's loop over tests: for each mutant, a fork that runs the tests of its line, if it can.

    Modules and tests are loaded once. Noticed mutants go to `killed`; the others are not judged by this, since a value
    may be cached, and what runs at import did run.
    """

    def __init__(self, asked: Sequence[Mutant], reach: Reach, killed: Callable[[Mutant], None]) -> None:
        self._asked, self._reach, self._killed = asked, reach, killed

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        for mutant in self._asked:
            before = (ROOT / mutant.file).read_bytes()
            functions = changed_functions(str(ROOT / mutant.file), before, mutant.apply(before))
            names = [name for name in self._reach.tests(mutant) if name in items]
            work = partial(self._try, functions, [items[name] for name in names])
            if functions and in_child(work, self._reach.limit(names)) != 0:
                self._killed(mutant)
        return True

    @staticmethod
    def _try(functions: Changed, items: Sequence[pytest.Item]) -> int:
        for function, code in functions:
            function.__code__ = code
        for item, following in itertools.zip_longest(items, items[1:]):
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        return 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            os._exit(1)


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
    """Return `killed`, or `survived` if the tests of the line, and of the room, all pass with the changed module."""
    tests = reach.tests(mutant)
    tests += [name for name in reach.seconds if _is_of(name, mutant) and name not in set(tests)]
    return "survived" if survives(mutant, tests, reach.limit(tests)) else "killed"


def _is_of(test: str, mutant: Mutant) -> bool:
    """Return whether a test is one of the room of a mutant."""
    room = mutant.file.split("/")[1]
    return any(f"/{name}/" in test for name in (room, *BESIDE.get(room, ())))


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


def run(asked: Sequence[Mutant], reach: Reach, output: Path) -> list[dict[str, object]]:
    """Judge each mutant that OUTPUT does not know, write it there, and return the results of all."""

    def write(mutant: Mutant, result: str) -> None:
        was = (ROOT / mutant.file).read_bytes()[mutant.start : mutant.end].decode()
        with output.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**vars(mutant), "was": was, "result": result}) + "\n")

    def quickly() -> int:
        loop = _Loop(left(), reach, lambda mutant: write(mutant, "killed"))
        return int(pytest.main([*QUICK, *{name.partition("::")[0] for name in reach.seconds}], plugins=[loop]))

    def left() -> list[Mutant]:
        done = known(output)
        return [mutant for mutant in asked if _name(vars(mutant)) not in done]

    if len(left()) > 1:
        in_child(quickly)
    for mutant in left():
        write(mutant, judge(mutant, reach))
    done = known(output)
    return [done[_name(vars(mutant))] for mutant in asked]


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
    rows = run(chosen, Reach(asked.output), asked.output / "results.jsonl")
    print(table(rows))  # noqa: T201
    return int(sum(row["result"] == "killed" for row in rows) < 0.9 * len(rows))


if __name__ == "__main__":
    sys.exit(main())
