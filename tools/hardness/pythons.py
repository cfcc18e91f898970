"""The same attacks under several Pythons: bytes of attacked files, rows of ledgers, classes of all characters.

Run as `python -m tools.hardness.pythons --python PATH [PATH ...] --count N --seed S`: N seeds from S on. Each
interpreter needs the package's dependencies alone. Exit code 1 where two differ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robustbench_char.attacks import Suite

ROOT = Path(__file__).resolve().parents[2]
REAL = {
    "conll2003": "conll2003/test.txt", "qnli": "glue/QNLI/dev.tsv", "cola": "glue/CoLA/dev.tsv",
    "mrpc": "glue/MRPC/dev.tsv", "squad_v1": "squad/dev-v1.1.json", "squad_v2": "squad/dev-v2.0.json",
}  # fmt: skip
"""Files in the folder of real data."""
Hashes = dict[str, str]


def sources(scratch: Path, real: Path | None) -> Iterator[tuple[str, Path | None, str]]:
    """Yield task, file (None: mini) and a name of each source; one file has every character inside words."""
    from robustbench_char.tasks.registry import TASKS

    yield from ((task, None, f"mini {task}") for task in TASKS)
    yield "cola", characters(scratch / "characters.tsv"), "every character"
    for task, name in REAL.items() if real else ():
        if (path := (real or ROOT) / name).is_file():
            yield task, path, name


def characters(path: Path) -> Path:
    """Write a file for `cola` that has each character of two planes, and some of the others, in words and alone."""
    codes = [*range(0x21, 0x7F), *range(0xA1, 0xD800), *range(0xE000, 0x20000), *range(0x20000, 0x110000, 97)]
    words = [f"word{char}s isn't{char} {char}{char}ay" for char in map(chr, codes) if not char.isspace()]
    texts = [" ".join(words[at : at + 40]) for at in range(0, len(words), 40)]
    path.write_text("".join(f"x\t1\t\t{text}\n" for text in texts), encoding="utf-8", newline="\n")
    return path


def attacked(seeds: Sequence[int], real: Path | None, only: str = "") -> Hashes:
    """Return the hashes of all that this interpreter makes."""
    from robustbench_char.common import InputError

    found = dict(tables())
    with tempfile.TemporaryDirectory() as folder:
        for task, path, name in sources(Path(folder), real):
            if not f"{name} / ".startswith(only[: len(name) + 3]):
                continue
            for suite, seed in product(shipped(task), seeds):
                if not (key := f"{name} / {suite.name} / {seed}").startswith(only):
                    continue
                try:
                    found |= made(task, path, suite, seed, Path(folder) / "out", key)
                except InputError as error:
                    found[key] = f"refused: {error}".replace(folder, "")
    return found


def shipped(task: str) -> Iterator[Suite]:
    """Yield the shipped suites at all their strengths, but those of the worst case, and of files that are not here."""
    from robustbench_char.attacks import load_suites, suite_names
    from robustbench_char.common import InputError

    for name in suite_names():
        try:
            yield from (suite for suite in load_suites(name, task=task) if suite.search is None)
        except InputError as error:
            sys.stderr.write(f"{name} left out: {error}\n")


def made(task: str, path: Path | None, suite: Suite, seed: int, output: Path, key: str) -> Hashes:
    """Attack one file, and return the hashes of what is written and of the rows of its ledger."""
    import pyarrow.parquet as pq

    from robustbench_char.attack_sets import attack_file

    data = None if path else "mini"
    manifest = attack_file(task, path, data=data, suite=suite, seed=seed, output=output, overwrite=True)
    rows = pq.read_table(output / "edits.parquet").to_pylist()
    return {key: manifest.output.sha256, f"{key}, ledger": sha(json.dumps(rows).encode())}


def tables() -> Iterator[tuple[str, str]]:
    """Yield hashes of the classes and cases of all characters, and of the letters of each script."""
    import numpy as np

    from robustbench_char.text.characters import flags, lower_codes, upper_codes
    from robustbench_char.text.letters import script_letters, script_of

    every = np.array([code for code in range(0x110000) if not 0xD800 <= code < 0xE000], np.uint32)
    scripts = sorted({script_of(chr(code)) for code in range(0x10000) if not 0xD800 <= code < 0xE000})
    yield "classes", sha(flags(every).tobytes())
    yield "cases", sha(lower_codes(every).tobytes() + upper_codes(every).tobytes())
    yield "scripts", sha(repr([script_letters(script) for script in scripts]).encode())


def sha(data: bytes) -> str:
    """Return the SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def under(python: str, options: Sequence[str]) -> Hashes:
    """Return what another interpreter makes of this checkout."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tools.hardness.pythons import main; sys.exit(main())"
    done = subprocess.run([python, "-c", code, "--hashes", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{python}: {done.stderr[-2000:]}")
    found: Hashes = json.loads(done.stdout)
    return found


def differing(results: Mapping[str, Hashes]) -> list[str]:
    """Return what is not the same under all interpreters."""
    names = dict.fromkeys(name for result in results.values() for name in result)
    return [name for name in names if len({result.get(name) for result in results.values()}) > 1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print a table and what differs; return 1 if something does."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", nargs="+", default=[], help="other interpreters with the package's dependencies")
    parser.add_argument("--count", type=int, default=2, help="seeds")
    parser.add_argument("--seed", type=int, default=0, help="the first of them")
    parser.add_argument("--data", type=Path, default=None, help="a folder of real data sets beside mini")
    parser.add_argument("--only", default="", help="attacks whose names begin so, as `mini qnli / drop`")
    parser.add_argument("--hashes", action="store_true", help="print what this interpreter makes, and nothing else")
    options = parser.parse_args(arguments)
    if options.hashes:
        seeds = range(options.seed, options.seed + options.count)
        sys.stdout.write(json.dumps(attacked(seeds, options.data, options.only)))
        return 0
    given = [f"--count={options.count}", f"--seed={options.seed}", f"--only={options.only}"]
    given += [f"--data={options.data}"] if options.data else []
    results = {python: under(python, given) for python in (sys.executable, *options.python)}
    for python, hashes in results.items():
        refused = sum(one.startswith("refused") for one in hashes.values())
        sys.stdout.write(f"{len(hashes) - refused:6,} hashes, {refused} refused  {python}\n")
    differ = differing(results)
    sys.stdout.write("".join(f"  differs: {name}\n" for name in differ[:20]) + f"{len(differ)} differ\n")
    return min(len(differ), 1)


if __name__ == "__main__":
    raise SystemExit(main())
