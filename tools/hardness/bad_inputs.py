"""Mutated inputs of every kind, given to the commands that read them.

Each ends with one clear error (code 2), or is accepted and the result is right: data that are accepted come back byte
for byte, and an attack on them is verified. No traceback, nothing written outside the output, nothing left of an
output that was refused, bounded memory and time. Commands run in a process of this script, which is replaced when it
dies; every --outside-th case runs them in processes of their own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

from tools.hardness._calls import MEGABYTES, Call, Place, bound, call, call_outside
from tools.hardness._damage import mutated
from tools.hardness._materials import make_materials
from tools.hardness._script import Kept, parser, reason, show
from tools.hardness._targets import Target, draw

LONGEST = (400_000, 20_000)
"""Characters that a command may print, `show` for example texts of any length; and that a message may have."""
BATCH = 500
"""Cases of one process."""


def lay_out(target: Target, rng: Random, work: Path) -> str:
    """Write the files of a target with one of them mutated; return which and how."""
    for name, source in target.files.items():
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, bytes):
            path.write_bytes(source)
        elif source.is_dir():
            shutil.copytree(source, path)
        else:
            shutil.copyfile(source, path)
    victim = work / rng.choice(target.mutated)
    if victim.is_dir():
        victim = rng.choice(sorted(path for path in victim.rglob("*") if path.is_file()))
        if rng.random() < 0.05:
            return _replaced(victim, rng)
    victim.write_bytes(mutated(victim.read_bytes(), victim.name, rng))
    return str(victim.relative_to(work))


def _replaced(victim: Path, rng: Random) -> str:
    """Put no file, a folder or a link in the place of a file."""
    victim.unlink()
    kind = rng.choice(("gone", "folder", "loop", "link"))
    if kind == "folder":
        victim.mkdir()
    elif kind == "loop":
        victim.symlink_to(victim.name)
    elif kind == "link":
        victim.symlink_to("/proc/self/environ")
    return f"{victim.name}: {kind}"


def wrong_with(found: Call, target: Target) -> str | None:
    """Return what is wrong with how a command ended, or None."""
    outputs = (*(f"work/{name}" for name in target.outputs), "home/cache")  # answers, and locks of the hub
    beside = [name for name in found.wrote if not name.startswith(outputs) and name != "work"]
    if found.error is not None:
        return found.error.strip().splitlines()[-1] + "\n" + found.error
    if found.code not in target.codes:
        return f"ended with code {found.code}\n{found.output}"
    if beside:
        return f"wrote {', '.join(beside[:5])}\n{found.output}"
    left = [name for name in found.wrote if not name.startswith("home/cache")]
    if found.code == 2 and left and "store" not in target.outputs:
        return f"left {', '.join(left[:5])} of what it refused\n{found.output}"
    if found.code == 2 and not any(word in found.output for word in ("error: ", "Error", "Usage")):
        return f"no message with code 2\n{found.output}"
    if "Traceback (most" in found.output or len(found.output) > LONGEST[found.code == 2] or "\x1b" in found.output:
        return f"a traceback, a raw escape or {len(found.output):,} characters in the output\n{found.output[:9000]}"
    return f"took {found.megabytes} MB more" if found.megabytes > MEGABYTES else None


def run_case(number: int, seed: int, materials: Path, place: Place, outside: int) -> dict[str, Any]:
    """Run one case and say how it ended."""
    rng = Random(f"{seed}/{number}")
    place.clear()
    target, codes = draw(rng, materials), list[int | None]()
    victim = lay_out(target, rng, place.work)
    case = {"number": number, "target": target.name, "victim": victim, "codes": codes, "wrong": None}
    for command in target.commands:
        found = (call_outside if number % outside == outside - 1 else call)(place, command)
        codes.append(found.code)
        if wrong := wrong_with(found, target):
            return case | {"wrong": f"{' '.join(command)}: {wrong}"}
        if found.code:
            return case
    try:
        return case | {"wrong": target.right(place.work)}
    except Exception as error:
        return case | {"wrong": f"checking what was accepted: {reason(error)}"}


def _work(given: Any) -> None:
    """Run a batch of cases, and write down each before it begins and when it has ended."""
    bound()
    for module in ("systems", "transformers_models"):  # before the first case, which the time limit would cut short
        import_module(f"robustbench_char.inference.{module}")
    place = Place(given.folder / "place")
    kept = Kept(given.keep)
    with (given.folder / "log.jsonl").open("a", encoding="utf-8") as log:
        for number in range(given.first, given.first + given.count):
            print(json.dumps({"number": number}), file=log, flush=True)
            case = run_case(number, given.seed, given.folder / "materials", place, given.outside)
            if case["wrong"]:
                os.chdir("/")
                kept.keep(f"{given.seed}-{number}", f"{case['target']}, {case['victim']}: {case['wrong']}", place.work)
            print(json.dumps(case), file=log, flush=True)
    os.chdir("/")


def _batches(given: Any, folder: Path) -> Iterator[dict[str, Any]]:
    """Run all cases in processes, one at a time; of one that dies the case that it was at counts as failed."""
    log, first, last = folder / "log.jsonl", given.first, given.first + given.count
    while first < last:
        log.write_text("", encoding="utf-8")
        options = {"--first": first, "--count": min(BATCH, last - first), "--seed": given.seed, "--folder": folder,
                   "--keep": given.keep.resolve(), "--outside": given.outside}  # fmt: skip
        command = [
            sys.executable,
            "-m",
            "tools.hardness.bad_inputs",
            *(str(part) for pair in options.items() for part in pair),
        ]
        ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        yield from (line for line in lines if "target" in line)
        first += sum("target" in line for line in lines)
        if ended.returncode:
            if not lines or "target" in lines[-1]:
                raise RuntimeError(f"the process of the cases could not work: {ended.stderr[-3000:]}")
            why = f"the process ended with {ended.returncode}\n{ended.stderr[-3000:]}"
            Kept(given.keep).keep(f"{given.seed}-{first}", why, folder / "place/work")
            yield {"number": first, "target": "?", "codes": [None], "wrong": why}
            first += 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script."""
    asked = parser("tools.hardness.bad_inputs", __doc__, 10_000)
    asked.add_argument("--outside", type=int, default=200, help="each such case in processes of its own (default: 200)")
    asked.add_argument("--folder", type=Path, help="used by the script for the processes that it starts")
    given = asked.parse_args(arguments)
    if given.folder:
        _work(given)
        return 0
    ended, failed, kept = Counter[tuple[str, str]](), Counter[str](), Kept(given.keep)
    with tempfile.TemporaryDirectory() as name:
        make_materials(Path(name) / "materials")
        for case in _batches(given, Path(name)):
            kind = case["target"].partition(" ")[0]
            ended[kind, "accepted" if not case["codes"][-1] else "refused"] += 1
            if case["wrong"]:
                failed[kind] += 1
                kept.reasons[f"{given.seed}-{case['number']}"] = case["wrong"]
            if (case["number"] + 1 - given.first) % BATCH == 0:
                sys.stderr.write(f"{case['number'] + 1:,} cases, {len(kept.reasons):,} failed\n")
    kinds = sorted({kind for kind, _ in ended})
    show([("what was mutated", "accepted", "refused", "failed"), *(
        (kind, ended[kind, "accepted"], ended[kind, "refused"], failed[kind]) for kind in kinds)])  # fmt: skip
    return kept.end()


if __name__ == "__main__":
    sys.exit(main())
