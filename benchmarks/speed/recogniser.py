"""Words recognised per second: all sentences in one call, against one sentence at a time.

Three ways over the same sentences, with the same network:
  one call    `Recogniser.correct(sentences)`
  one by one  `Recogniser.correct([sentence])`, sentence after sentence
  plain       as the reference implementation of ScRNN does it (Pruthi et al. 2019): a list of numbers a word, filled
              character by character, a batch of one sentence, all logits, then the best word position by position

    python benchmarks/speed/recogniser.py [--recogniser DIR] [--input FILE] [--sentences N] [--threads N]
        [--device cpu|cuda] [--runs N]

Without --recogniser, one of 10,000 words is trained on made-up sentences first, in a minute or so. --input is a file of
CoNLL columns (words first) or plain lines; by default the made-up sentences, attacked. Sentences that occur twice are
taken once, so that none is answered from memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

TARGET = 100
WORDS = 10_000


def made_up(count: int, seed: int = 1) -> list[tuple[str, ...]]:
    """Return sentences of 4 to 36 made-up words, drawn by Zipf's law, with some punctuation and numbers."""
    draw = np.random.default_rng(seed)
    syllables = ["".join(pair) for pair in zip("btkdsmnrlpgfhvwz" * 5, "aeiou" * 16, strict=True)]
    known: dict[str, None] = {}
    while len(known) < WORDS:
        known["".join(draw.choice(syllables, draw.integers(1, 5))) + draw.choice(["", "n", "s", "r", "ng"])] = None
    words = [*known, ",", "1996-08-22"]
    share = 1 / (2 + np.arange(len(words)))
    share[-2:] = share[0] / 2
    lengths = draw.integers(4, 37, count)
    drawn = iter(draw.choice(len(words), lengths.sum(), p=share / share.sum()).tolist())
    return [(*(words[next(drawn)] for _ in range(length)), ".") for length in lengths.tolist()]


def read(path: Path) -> list[tuple[str, ...]]:
    """Read CoNLL columns, or plain lines."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if "" not in lines:
        return [tuple(line.split()) for line in lines]
    blocks = "\n".join(line.split(" ")[0] for line in lines).split("\n\n")
    return [tuple(block.split()) for block in blocks if block.split()]


def trained(folder: Path) -> Path:
    """Train a recogniser on made-up sentences."""
    from robustbench_char.defences.wordrec import train_recogniser

    text = folder / "text.txt"
    text.write_text("\n".join(" ".join(words) for words in made_up(8_000)), encoding="utf-8")
    return train_recogniser(output=folder / "recogniser", text=[text], steps=400)


def attacked(sentences: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Attack sentences by `mixed`."""
    from robustbench_char.attacks.suites import load_suites
    from robustbench_char.defences.wordrec.sentences import attacked as attack

    (suite,) = load_suites("mixed", task="conll2003")
    return attack(list(sentences), suite, seed=2, stream="benchmark")


def plain(recogniser: object) -> Callable[[Sequence[str]], list[str]]:
    """Return a function that corrects one sentence the plain way; lower-cased, as there."""
    characters, words = recogniser.file.characters, recogniser.file.words
    network, device = recogniser.network, recogniser.network.output.weight.device

    def one_hot(character: str) -> list[float]:
        return [1.0 if one == character else 0.0 for one in characters]

    def vector(word: str) -> list[float]:
        if len(word) <= 2:
            return one_hot(word[0]) + [0.0 for _ in characters] + one_hot(word[-1])
        return one_hot(word[0]) + [float(word[1:-1].count(one)) for one in characters] + one_hot(word[-1])

    @torch.no_grad()
    def correct(sentence: Sequence[str]) -> list[str]:
        lowered = [word.lower() for word in sentence]
        inputs = torch.from_numpy(np.array([[vector(word) for word in lowered]])).float().to(device)
        packed = torch.nn.utils.rnn.pack_padded_sequence(inputs, [len(lowered)], batch_first=True)
        states, _ = torch.nn.utils.rnn.pad_packed_sequence(network.lstm(packed)[0], batch_first=True)
        logits = network.output(states).transpose(1, 2).cpu().numpy()[0]
        best = [int(np.argmax(logits[:, place])) for place in range(len(lowered))]
        return [words[kind] if kind < len(words) else word for kind, word in zip(best, lowered, strict=True)]

    return correct


def seconds(work: Callable[[], object], runs: int) -> float:
    """Return the best time of several runs."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def agreement(recogniser: object, sentences: Sequence[tuple[str, ...]]) -> float:
    """Return the share of recognised words for which the plain way says the same.

    Longer sentences than the recogniser reads at once are left out: the plain way never cuts any.
    """
    sentences = [words for words in sentences if len(words) <= recogniser.file.max_words]
    correct, same, total = plain(recogniser), 0, 0
    for sentence, fast in zip(sentences, recogniser.correct(sentences), strict=True):
        for given, one, other in zip(sentence, fast, correct(sentence), strict=True):
            if any(map(str.isalpha, given)):
                total += 1
                same += one.lower() == other.lower()
    return same / total


def main() -> None:
    """Measure and print; exit code 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recogniser", type=Path)
    parser.add_argument("--input", type=Path)
    parser.add_argument("--sentences", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu", help="cpu or cuda: where both ways run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as scratch:
        result = measure(options, options.recogniser or trained(Path(scratch)))
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        for name, value in result.items():
            print(f"{name:>28}  {value:,.4g}" if value < 1 else f"{name:>28}  {value:,.1f}")
    sys.exit(result["ratio_to_plain"] < TARGET)


def measure(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Return words per second of the three ways, and their ratios."""
    from robustbench_char.defences.wordrec import Recogniser

    recogniser = Recogniser.load(folder).to(options.device)
    given = read(options.input) if options.input else attacked(made_up(options.sentences, seed=3))
    sentences = list(dict.fromkeys(given))[: options.sentences]
    some = sentences[:: max(1, len(sentences) // 300)]
    correct = plain(recogniser)
    fast = sum(map(len, sentences)) / seconds(lambda: recogniser.correct(sentences), options.runs + 1)
    single = sum(map(len, some)) / seconds(lambda: [recogniser.correct([one]) for one in some], options.runs)
    slow = sum(map(len, some)) / seconds(lambda: [correct(one) for one in some], options.runs)
    return {
        "sentences": len(sentences),
        "words": sum(map(len, sentences)),
        "threads": options.threads,
        "words_per_second_one_call": fast,
        "words_per_second_one_by_one": single,
        "words_per_second_plain": slow,
        "ratio_to_one_by_one": fast / single,
        "ratio_to_plain": fast / slow,
        "same_words_as_plain": agreement(recogniser, some),
    }


if __name__ == "__main__":
    main()
