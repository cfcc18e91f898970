"""Kill a command, or fail its writes, at every call that touches the disk; then run it again, and compare.

    python -m tools.hardness.crashes [SCENARIO ...] [--faults kill,full] [--every] [--kills 1000]

For each scenario (see `_scenarios.py`) the command is run whole once, and its calls are counted: writes, creations,
renames, removals, flushes, of whatever library. Then it is run again from the start, once per call and fault:

    kill, torn          the process is killed before the call; a write is half done
    full                the disk is full from this call on, after half a write
    error, dead         this call fails with an I/O error; all calls from here on do
    unreadable          opening, listing or reading fails

What is asked: a failed command says so, with a code other than 0 and no traceback; what it leaves is whole; and the
same command then ends with the results of the unbroken one, and leaves nothing else. Of many calls of one kind at one
place (writes of a file, files of one folder of tables) the first two and the last are tried, or with `--every` all.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from robustbench_char.experiments.store import Store
from tools.hardness._injected import FAULTS, Ended, Fault, counted, ended, import_as, killed, preload
from tools.hardness._outcomes import outcome, units
from tools.hardness._scenarios import SCENARIOS, TRAINED, Scenario

__all__ = ["Trial", "main"]

_REASONS = (
    *("No space left", "Input/output error", "disk I/O error", "disk is full", "unable to open database"),
    *("database disk image is malformed", "(No such file or directory: "),
)
"""The last two: what SQLite says where it reads less than there is, and safetensors where it cannot open a file."""
_OF_A_PART = ("out/report", "store/report")
_MEMORY = Path("/dev/shm")  # a disk that flushes at once


@dataclass
class Trial:
    """One scenario in a folder of its own: `template` is what it starts from, `whole` what it ends with."""

    scenario: Scenario
    top: Path
    failures: list[str] = field(default_factory=list)
    borne: Counter[str] = field(default_factory=Counter)
    points: int = 0

    def __post_init__(self) -> None:
        self.box, self.beside, self.template = self.top / "box", self.top / "beside", self.top / "template"
        self.command = ("robustbench-char", *self.scenario.command)
        for folder in (self.beside, self.box):
            folder.mkdir(parents=True)
        self.scenario.write(self.box)
        for command in self.scenario.before:
            self._whole(("robustbench-char", *command))
        self.box.rename(self.template)
        self.begun = self._fresh()
        import_as(self.command, self.box, self.beside)
        self._fresh()
        self._whole(self.command)
        self.whole = outcome(self.box)
        self._fresh()
        self._whole(self.command)
        if differs := _differs(self.whole, outcome(self.box)):
            raise RuntimeError(f"{self.scenario.name}: two whole runs differ in {differs}")

    def _whole(self, command: tuple[str, ...]) -> None:
        done = ended(command, self.box, self.beside)
        if done.code:
            raise RuntimeError(f"{command} ended with code {done.code}: {done.printed}")

    def _fresh(self) -> dict[str, str]:
        shutil.rmtree(self.box, ignore_errors=True)
        shutil.copytree(self.template, self.box)
        return outcome(self.box)

    def calls(self, fault: Fault) -> list[str]:
        """Return the calls of a whole run that a fault would count."""
        self._fresh()
        return counted(self.command, self.box, self.beside, fault).calls

    def at(self, fault: Fault, number: int) -> None:
        """Have one fault happen, and look at what is left; then run the command again, and compare."""
        self._fresh()
        stopped = ended(self.command, self.box, self.beside, fault, number)
        if not stopped.calls:
            return  # fewer calls this time: the sizes of logs vary
        self.points += 1
        where = f"{self.scenario.name}, {fault.name} at {stopped.calls[0].replace(str(self.box) + '/', '')}"
        left = outcome(self.box)
        whole = not _differs(_visible(self.whole), _visible(left))
        for wrong in (
            *_spoken(fault, stopped, whole),
            *self._half(left),
            *self._damaged(),
            *self._scratch(fault, left),
        ):
            self._fail(where, wrong, stopped)
        if not fault.kills and whole and stopped.code == 0:
            self.borne[_place(stopped.calls[0], self.box)] += 1
        self._ends(where, stopped)

    def _differs_in_the_end(self) -> list[str]:
        """Return what differs from a whole run, but for reports that were made while something was missing."""
        keys = {name.split("/")[2] for name in self.whole if name.startswith("store/report/")}
        differs = _differs(self.whole, outcome(self.box))
        return [
            name
            for name in differs
            if not name.startswith("store/report/") or name.split("/")[2].lstrip(".")[:64] in keys
        ]

    def at_random(self, kills: int, longest: float) -> None:
        """Kill the command, or a worker of it first, at random moments, one time after another in the same folder.

        After each twenty kills it may end, and is compared; it also is where it ends before its moment.
        """
        generator, ends = np.random.default_rng(0), 0
        while self.points < kills:
            whom, moment = ("runner", "worker")[self.points % 2], float(generator.uniform(0.0, longest))
            stopped = killed(self.command, self.box, self.beside, moment, whom)
            self.points += stopped.code == -signal.SIGKILL
            for wrong in self._damaged():
                self._fail(f"{self.scenario.name}, {whom} killed after {moment:.2f} s", wrong, stopped)
            if stopped.code == -signal.SIGKILL and self.points % 20:
                continue
            ends += 1
            self._ends(f"{self.scenario.name}, after {self.points} kills", stopped)
            self._fresh()
        _say(f"{self.scenario.name}: {self.points} kills at random moments, {ends} runs that ended")

    def _ends(self, where: str, stopped: Ended) -> None:
        """Run the command again, and compare with the whole run."""
        again = ended(self.command, self.box, self.beside)
        if again.code:
            self._fail(where, f"the next run ended with code {again.code}", again)
        elif differs := self._differs_in_the_end():
            self._fail(where, f"the next run differs in {differs}", stopped)

    def _half(self, left: dict[str, str]) -> Iterator[str]:
        """Yield what is neither as before nor as after: a folder with a part of its files, a file with other bytes."""
        begun, whole = units(self.begun), units(self.whole)
        for folder, files in units(left).items():
            if files in (begun.get(folder), whole.get(folder)) or _on_its_way(folder):
                continue
            if folder.startswith(_OF_A_PART):
                continue  # on what there is: what `_damaged` looks at
            known = {**{name: {content} for name, content in begun.get(folder, {}).items()}}
            for name, content in whole.get(folder, {}).items():
                known.setdefault(name, set()).add(content)
            wrong = [name for name, content in files.items() if content not in known.get(name, set())]
            if wrong or not _grows(folder):
                yield f"half written: {folder} ({', '.join(wrong or files)})"

    def _damaged(self) -> Iterator[str]:
        """Yield results in the store that are not whole."""
        store = Store(self.box / "store")
        for file in store.folder.glob("*/*/job.json"):
            if damage := store.damage(file.parent.parent.name, file.parent.name):
                yield f"damaged: {file.parent.parent.name}: {damage}"

    def _scratch(self, fault: Fault, left: dict[str, str]) -> Iterator[str]:
        if fault.name == "full":  # there removing works
            hidden = [name for name in left if name.rpartition("/")[2].startswith(".") and name not in self.begun]
            if hidden:
                yield f"left behind: {hidden}"

    def _fail(self, where: str, wrong: str, told: Ended) -> None:
        line = re.sub("([0-9a-f]{6})[0-9a-f]{58}", r"\1", f"{where}: {wrong}")
        self.failures.append(line)
        _say(f"FAILED {line[:400]}\n    code {told.code}; {told.printed[-1000:]}")


def _grows(folder: str) -> bool:
    """Whether files appear one after another here: at the top, in a run's folder, in a published set."""
    return folder in ("", "out", "public", "public/report", "scored") or folder.startswith("cache")


def _on_its_way(folder: str) -> bool:
    """Whether this is no result: checkpoints."""
    return folder.startswith("store/unfinished") or (folder.startswith("store/") and "checkpoint-" in folder)


def _spoken(fault: Fault, stopped: Ended, whole: bool) -> Iterator[str]:
    if fault.kills:
        if stopped.code != -9:
            yield f"ended with code {stopped.code}, not by the kill"
        return
    if stopped.code < 0:
        yield "it died of a signal"
    if "Traceback" in stopped.printed:
        yield "a traceback"
    if stopped.code == 0 and not whole:
        yield "code 0 without the result"
    if stopped.code > 0 and not any(word in stopped.printed for word in ("error: ", "FAILED", "failed: ")):
        yield "no error is told"
    if stopped.code > 0 and not any(
        word in stopped.printed
        for word in (*_REASONS, "MB free on that disk")  # torch keeps the reason to itself
    ):
        yield "the error does not tell the reason"


def _visible(found: dict[str, str]) -> dict[str, str]:
    """Return what is not hidden: where a scratch folder could not be removed, the next command does it.

    Nor what is kept for the next run: a cache that cannot be written is done without.
    """
    return {
        name: content
        for name, content in found.items()
        if name != "cache"
        and not name.startswith("cache/")
        and not any(part.startswith(".") for part in name.split("/"))
    }


def _differs(one: dict[str, str], other: dict[str, str]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _place(call: str, box: Path) -> str:
    return "/".join(_kind(call, box).split("/")[:2])


def chosen(calls: Sequence[str], box: Path, *, every: bool) -> list[int]:
    """Return the numbers of the calls to try: all, or of calls of one kind the first two and the last."""
    if every:
        return list(range(1, len(calls) + 1))
    seen: dict[str, list[int]] = {}
    for number, call in enumerate(calls, 1):
        seen.setdefault(_kind(call, box), []).append(number)
    return sorted({number for same in seen.values() for number in (*same[:2], same[-1])})


def _kind(call: str, box: Path) -> str:
    """Return a call without what differs between such calls: keys, names of scratch folders, names of tables."""
    _, name, path = call.split(" ", 2)
    kept = re.sub(r"[0-9a-f]{64}", "KEY", path.replace(f"{box}/", ""))
    kept = re.sub(r"(\.|unfinished-|replaced-|tmp)[a-z0-9_]{8}(?=/|$)", "X", kept)
    return f"{name} {re.sub('(tables|figures)/[^/]*$', 'tables', kept)}"


def _try(trial: Trial, faults: Sequence[str], *, every: bool, step: int, started: float) -> None:
    """Try the points of one scenario, and tell how it went."""
    name = trial.scenario.name
    for fault in faults:
        numbers = chosen(calls := trial.calls(FAULTS[fault]), trial.box, every=every)[::step]
        before, failed = trial.points, len(trial.failures)
        for number in numbers:
            trial.at(FAULTS[fault], number)
        tried, wrong = trial.points - before, len(trial.failures) - failed
        _say(
            f"{name}, {fault}: {len(calls)} calls, {tried} tried, {wrong} failures; {time.monotonic() - started:.0f} s"
        )
    _say(f"{name}: borne without an error: {dict(trial.borne)}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Try scenarios; end with code 1 where one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", help=f"of {', '.join([*SCENARIOS, *TRAINED])} (default: all)")
    parser.add_argument("--faults", default=",".join(FAULTS), help="default: %(default)s")
    parser.add_argument("--every", action="store_true", help="every call, also of many writes in a row to one file")
    parser.add_argument("--kills", type=int, default=0, help="instead: so many kills at random moments")
    parser.add_argument("--within", type=float, default=1.5, help="seconds until the latest of these moments")
    parser.add_argument("--step", type=int, default=1, help="try every STEP-th of these calls only")
    asked = parser.parse_args()
    preload()
    known, points, started = {**SCENARIOS, **TRAINED}, 0, time.monotonic()
    failures: list[str] = []
    for name in asked.scenarios or known:
        # not a TemporaryDirectory, which forked processes remove as they end
        top = Path(tempfile.mkdtemp(prefix="crashes-", dir=_MEMORY if _MEMORY.is_dir() else None)).resolve()
        try:
            trial = Trial(known[name], top)
            if asked.kills:
                trial.at_random(asked.kills, asked.within)
            else:
                _try(trial, asked.faults.split(","), every=asked.every, step=asked.step, started=started)
        finally:
            shutil.rmtree(top)
        failures += trial.failures
        points += trial.points
    sys.stdout.write(f"{points} points, {len(failures)} failures\n")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
