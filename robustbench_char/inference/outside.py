"""Evaluating a predictor, which another package registers, like a system of ours. No model library is loaded here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from robustbench_char.attack_sets.write import source_sha256
from robustbench_char.common.progress import progress_bar
from robustbench_char.inference.attack_set import AttackSet, attack_set_of
from robustbench_char.inference.predictors import Said, predict
from robustbench_char.inference.results import Scored, check_task, data_info, done_before, keep, write_result
from robustbench_char.metrics.metrics import Gold
from robustbench_char.records.evaluation import Record
from robustbench_char.records.predictors import load_predictor
from robustbench_char.tasks.base import Example, NativeFile, Task
from robustbench_char.tasks.golds import labelled

__all__ = ["evaluate_predictor"]

_DEVICE = "unknown device"
"""What records name as the device: where a predictor computes is its own affair."""


def evaluate_predictor(
    name: str,
    task: Task,
    file: NativeFile,
    *,
    output: Path | None = None,
    source: str | None = None,
    limit: int | None = None,
    batch_size: int = 32,
    overwrite: bool = False,
    progress: bool = True,
) -> Record:
    """Score a registered predictor on a native file, write record, predictions and counts, return the record.

    `source` is how the record calls the file (default: its name); `limit` keeps the first examples. Raises InputError
    for a predictor that cannot be loaded, does not serve the task or returns what is no prediction, and for data as
    `evaluate` does.
    """
    started = time.monotonic()
    predictor = load_predictor(name)
    predictor.check_serves(task)
    sha256 = source_sha256(file.path)
    attack = attack_set_of(file.path, sha256)
    check_task(task, "as --task says", file, None, attack)
    examples = list(islice(file.examples(), limit))
    golds = labelled(task, file, examples)
    data = data_info(file, sha256, examples, attack, source=source, limit=limit)
    again = done_before(output, task, predictor.system, data, overwrite=overwrite)
    with progress_bar(progress) as bar:
        shown = bar.add_task("predicting", total=len(examples))
        said = predict(
            predictor, task, examples, batch_size=batch_size, advance=lambda count: bar.advance(shown, count)
        )
    scored = _scored(task, examples, golds, said, attack)

    def write(target: Path) -> Record:
        seconds = time.monotonic() - started
        return write_result(target, task, predictor.system, data, scored, device=_DEVICE, wall_seconds=seconds)

    return keep(output, write, inputs=(file.path,), overwrite=overwrite, again=again)


def _scored(
    task: Task, examples: Sequence[Example], golds: Sequence[Gold], said: Said, attack: AttackSet | None
) -> Scored:
    """Score; without no-answer scores there are no best thresholds to seek (`best_*` of SQuAD 2.0)."""
    scored = Scored.of(
        task, examples, golds, said.values, attack, labels=task.labels, pieces=None, seconds=said.seconds
    )
    if said.with_odds:
        return scored
    clean = scored.clean_gold_scores
    return replace(scored, scores=_final(scored.scores), clean_gold_scores=None if clean is None else _final(clean))


def _final(scores: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in scores.items() if not name.startswith("best_")}
