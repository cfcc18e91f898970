"""Words attacked per second: our engine against nlpaug's counterparts, one edit a word, on the same text.

Each contestant runs in a process of its own, one after another, and reports the best of several runs. Ours is timed
with all that a user gets: keys, attacked texts and the edit ledger as an Arrow table. nlpaug is timed on `augment`
alone.

    python benchmarks/speed/attack_throughput.py [--input FILE] [--words N] [--runs N]
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

CHUNK = 2000
TARGETS = {"keyboard": 15, "add": 15, "swap": 15, "drop": 10}
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


def ours(operator: str) -> Callable[[Sequence[str]], int]:
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


def contest(contestant: str, operator: str, path: Path, runs: int) -> None:
    """Be one contestant: print the best time over the texts of a file, one a line, as JSON."""
    texts = path.read_text(encoding="utf-8").split("\n")
    attack = {"ours": ours, "nlpaug": nlpaug}[contestant](operator)
    edits, times = attack(texts[:100]), []
    for _ in range(runs):
        start = time.perf_counter()
        edits = attack(texts)
        times.append(time.perf_counter() - start)
    if contestant == "nlpaug":  # counted outside the clock: the words that are long enough, one edit each
        tool = augmenter(operator)
        edits = sum(len(word) >= tool.min_char for text in texts for word in tool.tokenizer(text))
    print(json.dumps({"seconds": min(times), "edits": edits}))


def run(contestant: str, operator: str, path: Path, runs: int) -> dict[str, float]:
    """Run one contestant in a process of its own."""
    options = {"--contestant": contestant, "--operator": operator, "--input": str(path), "--runs": str(runs)}
    command = [sys.executable, __file__, *(part for option in options.items() for part in option)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def compare(path: Path, runs: int) -> None:
    """Print both contestants' words per second for each operator, and their ratio."""
    words = len(path.read_text(encoding="utf-8").split())
    print(f"{words:,} words, best of {runs} runs, words per second (edits)")
    for operator, target in TARGETS.items():
        mine, other = run("ours", operator, path, runs), run("nlpaug", operator, path, runs)
        rates = [f"{words / one['seconds']:>11,.0f} ({int(one['edits']):,})" for one in (mine, other)]
        ratio = other["seconds"] / mine["seconds"]
        print(f"{operator:22} ours {rates[0]}  nlpaug {rates[1]}  ratio {ratio:5.1f} (target {target})", flush=True)
    for suite in OTHERS:
        mine = run("ours", suite, path, runs)
        print(f"{suite:22} ours {words / mine['seconds']:>11,.0f} ({int(mine['edits']):,})", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--input", type=Path, help="a text file, one text a line (default: made-up sentences)")
    parser.add_argument("--words", type=int, default=200_000, help="how many words to make up")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--contestant", choices=("ours", "nlpaug"), help=argparse.SUPPRESS)
    parser.add_argument("--operator", default="mixed", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.contestant:
        contest(asked.contestant, asked.operator, asked.input, asked.runs)
    elif asked.input:
        compare(asked.input, asked.runs)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "text.txt"
            path.write_text("\n".join(islice(sentences(), asked.words // 15)), encoding="utf-8")
            compare(path, asked.runs)


if __name__ == "__main__":
    main()
