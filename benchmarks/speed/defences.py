"""What defences without a network cost: words corrected per second, and time and memory of building a noisy channel.

    python benchmarks/speed/defences.py --text FILE [--input FILE] [--runs N] [--json]

The channel is built from the lines of --text (3.8 million words or so) with a lexicon of 100,000 words, in a process of
its own. --input is a CoNLL file (words first; by default the first 40,000 words of the text); it is corrected as it
stands and under `charbert_2020`, by the channel (up to two edits, and up to one) and by the spelling checker. Seconds
are those of one core: the processor time of one thread, the best of several runs.

Exit code 1 where a target is missed: 200,000 words per second on --input as it stands, 30 s and 1 GB to build.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

WORDS = 100_000
SPEED, BUILD_SECONDS, BUILD_GB = 200_000, 30, 1.0
_BUILD = "--build"


def build(text: str, folder: str, edits: str) -> None:
    """Build a channel, and print the seconds and the peak memory in GB of this process."""
    from robustbench_char.defences.channel import train_channel

    started = time.process_time()
    train_channel(text=text, output=folder, max_edits=2 if edits == "2" else 1, vocabulary=WORDS)
    print(json.dumps([time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6]))


def read(path: Path) -> list[list[str]]:
    """Return the words of a CoNLL file, by sentence."""
    blocks = "\n".join(line.split(" ")[0] for line in path.read_text(encoding="utf-8").splitlines()).split("\n\n")
    return [block.split() for block in blocks if block.split()]


def first_words(text: Path, number: int = 40_000) -> list[list[str]]:
    """Return the first words of a text, by line."""
    sentences: list[list[str]] = []
    with text.open(encoding="utf-8") as lines:
        while sum(map(len, sentences)) < number and (line := next(lines, "")):
            sentences.append(line.split())
    return sentences


def attacked(sentences: list[list[str]]) -> list[list[str]]:
    """Attack sentences by `charbert_2020`."""
    from robustbench_char.attacks.suites import load_suites
    from robustbench_char.defences.wordrec.sentences import attacked as attack

    (suite,) = load_suites("charbert_2020", task="conll2003")
    return [list(words) for words in attack(list(map(tuple, sentences)), suite, seed=1, stream="speed")]


def per_second(defence: object, sentences: list[list[str]], runs: int) -> float:
    """Return the words that a defence corrects per second of processor time, in its best run."""
    times = []
    for _ in range(runs):
        started = time.process_time()
        defence.correct(sentences)
        times.append(time.process_time() - started)
    return sum(map(len, sentences)) / min(times)


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, float]:
    """Return all that is measured."""
    from robustbench_char.defences.channel import Channel
    from robustbench_char.defences.spell import Spell

    sets = {"clean": read(options.input) if options.input else first_words(options.text)}
    sets["attacked"] = attacked(sets["clean"])
    result: dict[str, float] = {"words": sum(map(len, sets["clean"]))}
    for edits in (2, 1):
        folder = str(scratch / f"channel_{edits}")
        command = [sys.executable, __file__, _BUILD, str(options.text), folder, str(edits)]
        seconds, memory = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        result |= {f"channel_{edits}_build_seconds": seconds, f"channel_{edits}_build_gb": memory}
        channel = Channel.load(Path(folder))
        result[f"channel_{edits}_known_words"] = len(channel.lexicon)
        for name, sentences in sets.items():
            result[f"channel_{edits}_{name}_words_per_second"] = per_second(channel, sentences, options.runs)
    for name, sentences in sets.items():
        # a fresh one each time: it remembers the words that it has seen
        result[f"spell_{name}_words_per_second"] = max(
            per_second(Spell.ready(), sentences, 1) for _ in range(options.runs)
        )
    return result


def main() -> None:
    """Measure and print; exit code 1 where a target is missed."""
    if sys.argv[1:2] == [_BUILD]:
        build(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--input", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        result = measure(options, Path(scratch))
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        for name, value in result.items():
            print(f"{name:>36}  {value:,.2f}" if value < 100 else f"{name:>36}  {value:,.0f}")
    fast = result["channel_2_clean_words_per_second"] >= SPEED
    small = result["channel_2_build_seconds"] <= BUILD_SECONDS and result["channel_2_build_gb"] <= BUILD_GB
    sys.exit(not (fast and small))


if __name__ == "__main__":
    main()
