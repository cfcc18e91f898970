"""Words attacked per second as users attack: `rbc.attack` on a data set, native files of each format, and the engine
alone, against nlpaug's counterparts on the same text, one edit per word.

All of it runs in one process, in turns, so that a busy machine is as busy for all; what is printed is the median of the
turns. A data set is timed with keys, attacked texts and the ledger as a data frame; a file with attacked file, ledger
and manifest on disk; the engine with keys, texts and the ledger as an Arrow table; nlpaug on `augment` alone.

    python benchmarks/speed/attack_throughput.py [--input FILE] [--words N] [--runs N]
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

CHUNK = 2000
TARGETS = {"keyboard": 10, "add": 10, "swap": 10, "drop": 10}
OTHERS = ("mixed", "charbert_2020", "pruthi_2019_random@1")
COMMON = "the of and to in a is that for it was on are as with his they at be this from have or by one had not but"
RARER = """
    morning window letter garden question teacher river carried answer bridge village mountain several children doctor
    between music number picture through company decided station believe kitchen thousand narrow winter engine remember
    straight brother language island probably market sentence captain science written travelled different important
    report Anna Martin Oslo Vienna London Tuesday Maria Peter Harbour College won't doesn't well-known co-operate 1984
    twenty-one
"""


def sentences(seed: int = 1) -> Iterator[str]:
    """Yield made-up sentences of 6 to 24 words, without end."""
    draw, common, rarer = random.Random(seed), COMMON.split(), RARER.split()
    while True:
        words = [draw.choice(common if draw.random() < 0.4 else rarer) for _ in range(draw.randint(6, 24))]
        words[draw.randrange(len(words) - 1)] += ","
        yield " ".join(words).capitalize() + "."


def engine(operator: str) -> Callable[[Sequence[str]], int]:
    """Return a function that attacks texts by one of our suites and counts the edits."""
    from robustbench_char.attacks.engine import Batch, attack_batch
    from robustbench_char.attacks.keys import text_keys
    from robustbench_char.attacks.ledger import Slot, ledger_table
    from robustbench_char.attacks.suites import load_suites

    (suite,) = load_suites(operator, task="qnli")

    def attack(texts: Sequence[str]) -> int:
        edits = 0
        for start in range(0, len(texts), CHUNK):
            chunk = texts[start : start + CHUNK]
            names = [str(start + number) for number in range(len(chunk))]
            keys = text_keys(names, seed=1, family=suite.family, task="qnli")
            outcome = attack_batch(Batch(chunk, keys), suite)
            attacked = outcome.texts
            slots = [Slot(start + number, name, "text") for number, name in enumerate(names)]
            edits += ledger_table(outcome, slots).num_rows
            assert len(attacked) == len(chunk)
        return edits

    return attack


def nlpaug(operator: str) -> Callable[[Sequence[str]], int]:
    """Return a function that attacks texts by nlpaug's counterpart; it keeps no count of its edits (0)."""
    attack = augmenter(operator)

    def augment(texts: Sequence[str]) -> int:
        random.seed(1)  # noqa: TID251 (nlpaug draws from it; this process is its own)
        assert len(attack.augment(list(texts))) == len(texts)
        return 0

    return augment


def augmenter(operator: str) -> Any:
    """Return nlpaug's augmenter for an operator, set to one edit in every word of its default length."""
    import nlpaug.augmenter.char as nac

    one_a_word = {"aug_word_p": 1.0, "aug_word_max": None, "aug_char_min": 1, "aug_char_max": 1}
    actions = {"add": "insert", "swap": "swap", "drop": "delete"}
    return (
        nac.KeyboardAug(**one_a_word) if operator == "keyboard" else nac.RandomCharAug(actions[operator], **one_a_word)
    )


def dataset(operator: str, texts: Sequence[str]) -> Callable[[Sequence[str]], int]:
    """Return a function that attacks a data set of texts as a user does, and counts the edits."""
    import datasets

    import robustbench_char as rbc

    whole = datasets.Dataset.from_dict({"sentence": texts, "label": [number % 2 for number in range(len(texts))]})

    def attack(some: Sequence[str]) -> int:
        data = whole if len(some) == len(texts) else whole.select(range(len(some)))
        return len(rbc.attack(data, task="cola", suite=operator, seed=1).ledger)

    return attack


def file(task: str, suite: str, path: Path) -> Callable[[Sequence[str]], int]:
    """Return a function that attacks a file of a task, whatever the texts, and counts its words."""
    from robustbench_char.attack_sets import attack_file

    def attack(texts: Sequence[str]) -> int:
        with tempfile.TemporaryDirectory() as folder:
            return attack_file(task, path, suite=suite, seed=1, output=Path(folder) / "attacked").counts.words

    return attack


def write_files(texts: Sequence[str], folder: Path) -> dict[str, Path]:
    """Write texts in the native format of each family, and as trees; return the files by task."""
    rows = [text.split(" ") for text in texts]
    squad = [
        {"context": " ".join(texts[at : at + 8]), "qas": [
            {"id": f"{at}-{number}", "question": f"{text[:-1]}?", "answers": [{"text": text, "answer_start": 0}]}
            for number, text in enumerate(texts[at : at + 1] * 4)
        ]}
        for at in range(0, len(texts) // 12 * 8, 8)
    ]  # fmt: skip
    written = {
        "conll2003": "".join("".join(f"{word} O\n" for word in row[:-1]) + f"{row[-1]} B-LOC\n\n" for row in rows),
        "ptb_pos": "".join("".join(f"{word}\tNN\n" for word in row) + "\n" for row in rows),
        "cola": "".join(f"made\t{number % 2}\t\t{text}\n" for number, text in enumerate(texts)),
        "squad_v1": json.dumps({"version": "1.1", "data": [{"title": "made", "paragraphs": squad}]}),
    }
    paths = {task: folder / f"{task}.txt" for task in written}
    for task, content in written.items():
        paths[task].write_text(content, encoding="utf-8")
    paths["ptb_pos trees"] = trees = folder / "trees"
    (trees / "00").mkdir(parents=True)
    for at in range(0, len(rows), 20):
        sentences = ("".join(f"\n    (NP (NN {word}))" for word in row) for row in rows[at : at + 20])
        content = "".join(f"( (S{nodes}))\n" for nodes in sentences)
        (trees / "00" / f"wsj_{at // 20:04}.mrg").write_text(content, encoding="utf-8")
    return paths


def timed(contestants: dict[str, Callable[[Sequence[str]], int]], texts: Sequence[str], runs: int) -> dict[str, float]:
    """Return the median seconds of each contestant; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for attack in contestants.values():
        attack(texts[:100])
    for _ in range(runs):
        for name, attack in contestants.items():
            start = time.perf_counter()
            attack(texts)
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def compare(texts: Sequence[str], runs: int) -> None:
    """Print the words per second of all ways, and their ratio to nlpaug's."""
    words = sum(len(text.split()) for text in texts)
    print(f"{words:,} words, median of {runs} turns, words per second")
    for operator, target in TARGETS.items():
        ways = {"nlpaug": nlpaug(operator), "engine": engine(operator), "rbc.attack": dataset(operator, texts)}
        seconds = timed(ways, texts, runs)
        rates = "  ".join(
            f"{name} {words / each:>9,.0f} ({seconds['nlpaug'] / each:.1f} x)" for name, each in seconds.items()
        )
        print(f"{operator:22} {rates}  (target {target} x)", flush=True)
    for suite in OTHERS:
        seconds = timed({"engine": engine(suite), "rbc.attack": dataset(suite, texts)}, texts, runs)
        print(f"{suite:22} " + "  ".join(f"{name} {words / each:>9,.0f}" for name, each in seconds.items()), flush=True)


def compare_files(texts: Sequence[str], runs: int) -> None:
    """Print the words per second from native file to attacked file, ledger and manifest, for each format."""
    with tempfile.TemporaryDirectory() as folder:
        for task, path in write_files(texts, Path(folder)).items():
            for suite in ("keyboard", "charbert_2020"):
                attack = file(task.split()[0], suite, path)
                words = attack(texts)
                (seconds,) = timed({task: attack}, texts, runs).values()
                print(f"{task + ' file':22} {suite:14} {words / seconds:>9,.0f} ({words:,} words)", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=" ".join((__doc__ or "").split("\n\n")[0].split()))
    parser.add_argument("--input", type=Path, help="a text file, one text per line (default: made-up sentences)")
    parser.add_argument("--words", type=int, default=200_000, help="how many words to make up")
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    made = list(islice(sentences(), asked.words // 15))
    texts = asked.input.read_text(encoding="utf-8").split("\n") if asked.input else made
    compare(texts, asked.runs)
    compare_files(texts, asked.runs)


if __name__ == "__main__":
    main()
