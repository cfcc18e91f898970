"""The search for the worst case against bare forward passes on its candidates, and against TextAttack's search.

    python benchmarks/speed/worst_case.py [--families F ...] [--turns N] [--textattack PYTHON] [--quick]

For each family, BERT is fine-tuned on mini. `share`: the seconds of bare passes over all candidates, encoded and put in
batches of like length beforehand, divided by those of the whole search, from the file to what was found (exhaustive,
one edit of `pruthi_2019`, nothing answered before). Both take turns in one process; median and range over turns.

--textattack is the Python of TextAttack's environment: `worst_case_textattack.py` says how to set it up. Its recipe
`Pruthi2019` attacks the same examples with the same classifier, batch size and number of edits as our greedy search of
that paper's suite, padded to each of --lengths (512 is what TextAttack does by itself). `queries` are the texts that a
search asks about, the clean ones among them; `distinct` those that differ, in ours within the file, in TextAttack's
within an example. Candidates are not the same, so `ratio` is that of queries per second: ours over a search before and
one after, TextAttack's with its cache or without, whichever is faster.

Prints JSON. Exit code 1 where, by --clock, a median share is below 85%, or the first length's ratio below 3.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from _systems import CLOCKS
from prediction import bare, padded

SHARE, RATIO = 0.85, 3.0
TASKS = {"classification": ("cola", 3), "tagging": ("conll2003", 1)}
"""Task, and how many examples make a turn of seconds."""
SUITE = "pruthi_2019"
TEXTATTACK = Path(__file__).with_name("worst_case_textattack.py")


def requested(task: str, examples: int, scratch: Path, options: argparse.Namespace, **search: Any) -> Any:
    """Return the request for a search of the first examples of mini by a system that is fine-tuned on it."""
    import robustbench_char as rbc
    from robustbench_char.attack_sets.stream import Attack
    from robustbench_char.inference.options import ModelOptions
    from robustbench_char.inference.systems import load_system
    from robustbench_char.inference.worst_case import Request, SearchOptions, plan_of
    from robustbench_char.tasks.sources import open_source

    if not (scratch / task).exists():
        how = {"limit": 16 if options.quick else 300, "epochs": 1, "learning_rate": 3e-4, "batch_size": 8}
        rbc.finetune(task, data="mini", base=options.base, output=scratch / task, progress=False, **how)
    model = load_system(scratch / task)
    attack, file = Attack.of(model.task, SUITE, 0, None), open_source(model.task, data="mini", split="test")
    plan = plan_of(SearchOptions(**search), SUITE)
    return Request(model, ModelOptions(), attack, plan, file, examples, options.batch_size)


def searched(request: Any) -> Any:
    """Search with an empty store of answers."""
    from robustbench_char.inference.worst_case import _parts

    with tempfile.TemporaryDirectory() as folder, patch.object(_parts, "cache_folder", return_value=Path(folder)):
        return _parts.search_part(request, progress=False)


def timed(work: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """Return the seconds of some work by each clock, and its result."""
    started = {name: clock() for name, clock in CLOCKS.items()}
    result = work()
    return {name: clock() - started[name] for name, clock in CLOCKS.items()}, result


def shares(request: Any, turns: int) -> dict[str, Any]:
    """Return the share by each clock, and what was searched."""
    windows, model = list[Any](), request.model
    forward = model.forward
    model.forward = lambda own: windows.extend(own) or forward(own)
    part = searched(request)
    del model.forward
    batches = padded(model, windows, request.batch_size)
    work = {"bare": lambda: bare(model.model, batches), "search": lambda: searched(request)}
    times: dict[str, list[dict[str, float]]] = {name: [] for name in work}
    for turn in range(turns):
        for name in sorted(work, reverse=bool(turn % 2)):
            times[name].append(timed(work[name])[0])
    pieces = statistics.mean(len(window.inputs["input_ids"]) for window in windows)
    result = {"task": model.task.name, "examples": request.limit, **vars(part.queries), "pieces_per_window": pieces}
    for clock in CLOCKS:
        each = [free[clock] / ours[clock] for free, ours in zip(*times.values(), strict=True)]
        rates = (part.queries.total / ours[clock] for ours in times["search"])
        spread = {"share": statistics.median(each), "least": min(each), "most": max(each)}
        result[clock] = {**spread, "queries_per_second": statistics.median(rates)}
    return result


def against(request: Any, scratch: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return both searches for each length that TextAttack pads to."""
    from robustbench_char.text import STOP_WORDS

    texts, words, task = scratch / "texts.tsv", scratch / "stop_words.txt", request.attack.task
    lines = [f"{one.fields['sentence']}\t{task.labels.index(one.label)}" for one in request.file.examples()]
    texts.write_text("\n".join(["sentence\tlabel", *lines]), encoding="utf-8")
    words.write_text("\n".join(STOP_WORDS), encoding="utf-8")
    command = [options.textattack, TEXTATTACK, scratch / task.name, texts, "--stop-words", words]
    for name in ("examples", "edits", "batch_size", "threads"):
        command += [f"--{name.replace('_', '-')}", vars(options)[name]]
    results = []
    for length in options.lengths:
        before, part = timed(lambda: searched(request))
        run = subprocess.run(map(str, [*command, "--max-length", length]), check=True, stdout=subprocess.PIPE)
        after, _ = timed(lambda: searched(request))
        ours, theirs, ratio = dict[str, Any](vars(part.queries)), json.loads(run.stdout), {}
        for clock in CLOCKS:
            seconds = (before[clock] + after[clock]) / 2
            rate, distinct = part.queries.total / seconds, part.queries.distinct / seconds
            ours[clock] = {"seconds": seconds, "queries_per_second": rate, "distinct_per_second": distinct}
            ratio[clock] = rate / max(setting[clock]["queries_per_second"] for setting in theirs["settings"])
        results.append({"max_length": length, "ratio": ratio, "ours": ours, "textattack": theirs})
    return results


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="minilm")
    parser.add_argument("--families", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--textattack", metavar="PYTHON")
    parser.add_argument("--lengths", nargs="+", type=int, default=[512, 64, 16])
    for name, default in {"turns": 15, "examples": 5, "edits": 1, "batch-size": 32, "threads": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: processor time, on a busy machine")
    parser.add_argument("--quick", action="store_true", help="one turn, with hardly any training: to see that it runs")
    options = parser.parse_args()
    options.turns = 1 if options.quick else options.turns
    torch.set_num_threads(options.threads)
    os.environ["RAYON_NUM_THREADS"] = str(options.threads)  # of tokenizers
    from robustbench_char.common.provenance import provenance

    settings = {name: vars(options)[name] for name in ("base", "turns", "batch_size", "threads")}
    result = {"provenance": provenance().model_dump(mode="json"), "suite": SUITE, **settings, "bare": {}}
    with tempfile.TemporaryDirectory() as folder:
        for family in options.families:
            request = requested(*TASKS[family], Path(folder), options, edits=1, search="exhaustive")
            result["bare"][family] = shares(request, options.turns)
        if options.textattack:
            greedy = {"edits": options.edits, "search": "greedy"}
            request = requested("cola", options.examples, Path(folder), options, **greedy)
            result["textattack"] = against(request, Path(folder), options)
    print(json.dumps(result, indent=2))
    slow = any(one[options.clock]["share"] < SHARE for one in result["bare"].values())
    sys.exit(slow or any(one["ratio"][options.clock] < RATIO for one in result.get("textattack", [])[:1]))


if __name__ == "__main__":
    main()
