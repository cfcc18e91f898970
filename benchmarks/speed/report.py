"""Times `report` on made-up evaluations: 5 systems x 8 tasks x 6 suites, with predictions and counts.

`python report.py` writes them to a temporary folder (280 evaluations of 2,000 examples each, one training seed), then
makes the report with examples and without, each in a process of its own, and prints wall and CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from robustbench_char.common.provenance import provenance
from robustbench_char.metrics.base import METRICS
from robustbench_char.records.counts import write_counts
from robustbench_char.records.evaluation import (
    AttackInfo,
    DataInfo,
    Record,
    SystemInfo,
    write_predictions,
    write_record,
)

SYSTEMS = ("bert", "bert_mlm", "advbert", "bert_wordrec", "charbert")
SUITES = ("charbert_2020", "drop", "add", "swap", "keyboard", "pruthi_2019_random")
TASKS = {  # task: family, metric, headline, labels
    "qnli": ("classification", "accuracy", "accuracy", ("entailment", "not_entailment")),
    "cola": ("classification", "matthews", "matthews", ("0", "1")),
    "mrpc": ("classification", "accuracy_f1", "accuracy", ("0", "1")),
    "qqp": ("classification", "accuracy_f1", "accuracy", ("0", "1")),
    "conll2003": ("tagging", "entity_f1", "f1", ()),
    "ptb_pos": ("tagging", "tag_accuracy", "accuracy", ()),
    "squad_v1": ("question_answering", "squad_v1", "f1", ()),
    "squad_v2": ("question_answering", "squad_v2", "f1", ()),
}
CELLS = {"pieces": ("Word", "Subword"), "operator": ("drop", "none"), "text_length": ("1-10", "11-20", "21-30", "31+")}
SENTENCE = "The ferry left the harbour before sunrise , and number {row} of the crew stayed behind ."
MADE = provenance()


def counts(metric: str, columns: tuple[str, ...], share: float, examples: int, seed: int) -> pd.DataFrame:
    """Return a table of counts of a system that gets `share` right."""
    rng = np.random.default_rng(seed)
    sums = np.zeros((examples, len(columns)))
    right = rng.random(examples) < share
    if metric in ("matthews", "accuracy_f1"):  # one of four cells each
        gold = rng.random(examples) < 0.5
        places = np.array([[0, 1], [2, 3]]) if metric == "matthews" else np.array([[3, 1], [2, 0]])
        sums[np.arange(examples), places[gold.astype(int), np.where(right, gold, ~gold).astype(int)]] = 1
    elif metric.startswith("squad"):
        sums[:] = np.stack([np.where(right, 1.0, rng.integers(0, 8, examples) / 9), right, np.ones(examples)], axis=1)
    elif metric == "entity_f1":
        gold = rng.integers(1, 4, examples)
        sums[:] = np.stack([rng.binomial(gold, share), gold, gold], axis=1)
    else:
        total = np.ones(examples) if metric == "accuracy" else rng.integers(5, 40, examples)
        sums[:] = np.stack([rng.binomial(total.astype(int), share), total], axis=1)
    rows = np.arange(examples, dtype=np.int32)
    parts = [pd.DataFrame({"row": rows, "dimension": "all", "value": "all"})]
    inside = [slice(None)]
    for dimension, values in CELLS.items():
        which = np.random.default_rng(7).integers(0, len(values), examples)
        for number, value in enumerate(values):
            parts.append(pd.DataFrame({"row": rows[which == number], "dimension": dimension, "value": value}))
            inside.append(which == number)
    frame = pd.concat(parts, ignore_index=True)
    return pd.concat(
        [frame, pd.DataFrame(np.concatenate([sums[one] for one in inside]), columns=list(columns))], axis=1
    )


def predictions(task: str, suite: str | None, share: float, examples: int, seed: int) -> pd.DataFrame:
    """Return predictions on made-up sentences, of which each attacked one has one edit."""
    family, _, _, labels = TASKS[task]
    right = np.random.default_rng(seed).random(examples) < share
    edit = {"field": "sentence", "word": 4, "operator": "drop", "start_clean": 23, "start_attacked": 23, "removed": "u",
            "inserted": "", "word_before": "harbour", "word_after": "harbor"}  # fmt: skip
    rows = []
    for row in range(examples):
        text = SENTENCE.format(row=row)
        text = text.replace("harbour", "harbor") if suite else text
        if family == "tagging":
            tags = ["O"] * len(text.split())
            values = ({"tokens": text.split()}, tags, tags if right[row] else ["B-LOC", *tags[1:]])
        elif family == "classification":
            values = ({"sentence": text}, labels[row % 2], labels[(row + (not right[row])) % 2])
        else:
            said = "the crew" if right[row] else "a ferry"
            values = ({"question": "Who stayed behind ?", "context": text}, ["the crew"],
                      {"text": said, "best_text": said, "null_odds": 0.0})  # fmt: skip
        own = [edit | {"field": next(reversed(values[0]))}] if suite else []
        rows.append((row, f"{task}-{row}", *map(json.dumps, values), float(right[row]), json.dumps(own)))
    return pd.DataFrame(rows, columns=["row", "id", "fields", "gold", "prediction", "score", "edits"])


def write(root: Path, task: str, system: str, suite: str | None, examples: int) -> None:
    """Write one evaluation."""
    family, metric, headline, labels = TASKS[task]
    place = SYSTEMS.index(system)
    share = 0.9 - 0.02 * place if suite is None else 0.5 + 0.04 * place
    folder = root / system / task / (suite or "clean")
    folder.mkdir(parents=True)
    seed = 100 * place + (1 + SUITES.index(suite) if suite else 0)
    columns = METRICS.get(metric).columns(labels)
    table = counts(metric, columns, share, examples, seed)
    whole = table.loc[table["dimension"] == "all", list(columns)].to_numpy().sum(0)
    attack = AttackInfo(
        suite=suite, suite_sha256="5" * 64, seed=1, clean_sha256=task, requested_strength=1.0, effective_strength=0.95,
        eligible_words=5 * examples, edits=5 * examples, words=16 * examples, no_op_share=0.05,
        counts_by_operator={suite if suite in SUITES[1:5] else "drop": 5 * examples},
    ) if suite else None  # fmt: skip
    sha = write_predictions(folder, predictions(task, suite, share, examples, seed))
    record = Record(
        task=task, family=family, metric=metric, headline=headline,
        system=SystemInfo(name=system, base="minilm", parameters=22_713_216, training_seed=0, training_sha256="7" * 64,
                          settings={"epochs": 2}, weights_sha256=f"{system} {task}", extra_parameters=0),
        data=DataInfo(source=f"{task}.txt", sha256=f"{task} {suite}" if suite else task, examples=examples,
                      attack=attack),
        scores={headline: float(METRICS.get(metric).score(whole))}, counts={"examples": examples},
        predictions_sha256=sha, counts_sha256=write_counts(folder, table), wall_seconds=1.0, device="cpu",
        created="2026-01-01T00:00:00+00:00", provenance=MADE,
    )  # fmt: skip
    write_record(folder, record)


def timed(root: Path, output: Path, option: str) -> str:
    """Make the report in a process of its own, and say what it took and how large the page is."""
    code = (
        "import sys, resource; from robustbench_char.cli.main import app; app(sys.argv[1:], standalone_mode=False); "
        "used = resource.getrusage(resource.RUSAGE_SELF); "
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)"
    )
    start = time.perf_counter()
    line = [sys.executable, "-c", code, "report", str(root), "--output", str(output), option]
    done = subprocess.run(line, check=True, capture_output=True, text=True)
    cpu, memory = map(float, done.stdout.split()[-2:])
    size = (output / "index.html").stat().st_size / 2**20
    wall = time.perf_counter() - start
    return f"{option:14} {wall:6.1f} s wall, {cpu:6.1f} s CPU, {memory:5.0f} MB of memory, a page of {size:.1f} MB"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--examples", type=int, default=2_000, help="of each evaluation")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "runs"
        for task in TASKS:
            for system in SYSTEMS:
                for suite in (None, *SUITES):
                    write(root, task, system, suite, asked.examples)
        print(f"{len(SYSTEMS)} systems x {len(TASKS)} tasks x {len(SUITES)} suites, {asked.examples:,} examples each")
        for option in ("--no-examples", "--examples"):
            print(timed(root, Path(folder) / option.strip("-"), option), flush=True)


if __name__ == "__main__":
    main()
