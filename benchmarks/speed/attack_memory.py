"""Peak memory and time of attacking a file of many sentences.

Run it as `python benchmarks/speed/attack_memory.py [--sentences N] [--workers N]`.

The file is made here from mini's sentences with a number added, so that no two are equal. The attack runs as a user
runs it, in a
process of its own, whose peak resident memory (and that of its workers, each by itself) is what is printed.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from robustbench_char.tasks.sources import mini_path


def write_sentences(path: Path, count: int) -> None:
    """Write `count` lines in CoLA's format."""
    lines = itertools.cycle(mini_path("cola", "train").read_text(encoding="utf-8").splitlines())
    with path.open("w", encoding="utf-8", newline="\n") as out:
        out.writelines(f"{line} No {number}.\n" for number, line in enumerate(itertools.islice(lines, count)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sentences", type=int, default=1_000_000)
    parser.add_argument("--suite", default="mixed")
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.tsv"
        write_sentences(path, asked.sentences)
        started = time.perf_counter()
        command = [
            Path(sys.executable).with_name("robustbench-char"),
            "attack",
            "cola",
            "--input",
            path,
            "--suite",
            asked.suite,
            "--output",
            Path(folder) / "out",
            "--workers",
            str(asked.workers),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(done.stdout.strip().partition(": ")[2])
    print(
        f"{asked.sentences:,} sentences, {asked.workers} workers: {seconds:.1f} s, "
        f"peak memory of a process {peak:.0f} MiB"
    )


if __name__ == "__main__":
    main()
