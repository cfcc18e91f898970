"""TextAttack's search for the worst case: how many texts per second it asks a classifier about.

It runs in an environment of its own, with Python 3.11 (a CPU build of PyTorch will do), and downloads nothing:

    python3.11 -m venv textattack-env
    textattack-env/bin/pip install textattack==0.3.11 -c benchmarks/speed/textattack-constraints.txt
    textattack-env/bin/python benchmarks/speed/worst_case_textattack.py MODEL TEXTS.tsv [--edits N] [--max-length N]

MODEL is the folder of a classifier as `finetune` writes it. TEXTS.tsv has the columns `sentence` and `label` (a number,
as the model numbers its labels). --stop-words is a file with one word per line; without it there are none.

The attack is TextAttack's recipe `Pruthi2019`: greedy, at most one edit in each of --edits words. A batch holds texts
of one example alone, each padded to --max-length sub-words; TextAttack pads to what the tokenizer allows at most, which
for BERT's is 512, the default.

Printed as JSON, without TextAttack's cache and with it: `queries` as TextAttack counts them, `texts` that the model was
given, how many of these are `distinct` within their example, and the seconds by wall clock and of the processor.
Loading does not count.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Meter:
    """A model wrapper that keeps the texts of each batch and counts the seconds."""

    def __init__(self, wrapper: Any) -> None:
        self.model, self.wrapper = wrapper.model, wrapper
        self.batches, self.seconds = list[list[str]](), dict.fromkeys(CLOCKS, 0.0)

    def __call__(self, texts: list[str]) -> Any:
        started = now()
        scores = self.wrapper(texts)
        self.seconds = {name: self.seconds[name] + spent for name, spent in since(started).items()}
        self.batches.append(texts)
        return scores


def now() -> dict[str, float]:
    """Return what each clock says."""
    return {name: clock() for name, clock in CLOCKS.items()}


def since(started: dict[str, float]) -> dict[str, float]:
    """Return the seconds of each clock since it said so."""
    return {name: end - started[name] for name, end in now().items()}


def offline(folder: Path, stop_words: Path | None, threads: int) -> None:
    """Give TextAttack and NLTK a folder in which nothing is missing, before they are imported."""
    words = folder / "corpora/stopwords/english"
    words.parent.mkdir(parents=True)
    words.write_text(stop_words.read_text(encoding="utf-8") if stop_words else "", encoding="utf-8")
    (folder / "post_install_check_3").touch()  # TextAttack's sign that NLTK's data are there
    os.environ |= dict.fromkeys(("TA_CACHE_DIR", "NLTK_DATA"), str(folder))
    os.environ |= {"HF_HUB_OFFLINE": "1", "RAYON_NUM_THREADS": str(threads)}


def measure(wrapper: Any, rows: list[dict[str, str]], cache: bool, options: argparse.Namespace) -> dict[str, Any]:
    """Attack one example after the other."""
    import textattack

    textattack.shared.utils.set_seed(1)
    meter, ends, queries, distinct = Meter(wrapper), list[str](), 0, 0
    attack = textattack.attack_recipes.Pruthi2019.build(meter, options.edits)
    attack.goal_function.batch_size, attack.goal_function.use_cache = options.batch_size, cache
    given, started = meter.batches, now()
    for row in rows:
        before = len(given)
        ends.append(type(attack.attack(row["sentence"], int(row["label"]))).__name__.removesuffix("AttackResult"))
        queries += attack.goal_function.num_queries
        distinct += len({text for batch in given[before:] for text in batch})
    times = {
        name: {"seconds": seconds, "seconds_in_model": meter.seconds[name], "queries_per_second": queries / seconds}
        for name, seconds in since(started).items()
    }
    counts = {"queries": queries, "texts": sum(map(len, given)), "distinct": distinct, "batches": len(given)}
    counts |= {name.lower(): ends.count(name) for name in ("Skipped", "Successful", "Failed")}
    return {"cache": cache, **counts, **times}


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure each setting with one model."""
    import textattack
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.set_num_threads(options.threads)
    tokenizer = AutoTokenizer.from_pretrained(options.model, model_max_length=options.max_length)
    model = AutoModelForSequenceClassification.from_pretrained(options.model)
    wrapper = textattack.models.wrappers.HuggingFaceModelWrapper(model, tokenizer)
    lines = options.texts.read_text(encoding="utf-8").split("\n")
    rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))[: options.examples]
    if not rows or {"sentence", "label"} - rows[0].keys():
        sys.exit(f"{options.texts}: found {lines[0]!r}; expected the columns sentence and label, and rows below them")
    wrapper([row["sentence"] for row in rows[: options.batch_size]])
    settings = [measure(wrapper, rows, cache, options) for cache in (False, True)]
    asked = {name: getattr(options, name) for name in ("edits", "batch_size", "max_length", "threads")}
    versions = {name: version(name) for name in ("textattack", "transformers", "torch")}
    return {**versions, "examples": len(rows), **asked, "settings": settings}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "texts", "--stop-words"):
        parser.add_argument(name, type=Path)
    numbers = {"examples": 20, "edits": 1, "batch-size": 32, "max-length": 512, "threads": 1}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        offline(Path(folder), options.stop_words, options.threads)
        print(json.dumps(run(options), indent=2))


if __name__ == "__main__":
    main()
