"""Searching for the worst case of a model on a file: the attack set that is made of it, with its record."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import pandas as pd

from robustbench_char.attack_sets.attack import OutputFormat, refuse_other_request, write_set
from robustbench_char.attack_sets.manifest import Manifest
from robustbench_char.attack_sets.stream import Attack
from robustbench_char.attacks.search import constraints
from robustbench_char.attacks.suites import Suite
from robustbench_char.common import InputError
from robustbench_char.common.files import check_writable
from robustbench_char.common.provenance import provenance
from robustbench_char.inference.asked import parted, task_named
from robustbench_char.inference.options import ModelKeywords, ModelOptions
from robustbench_char.inference.worst_case._judge import Queries
from robustbench_char.inference.worst_case._parts import Outcome, Part, Request, search_part
from robustbench_char.inference.worst_case._plan import plan_of
from robustbench_char.inference.worst_case.options import SearchKeywords, SearchOptions
from robustbench_char.metrics.base import METRICS
from robustbench_char.records.worst_case import STEP_COLUMNS, WORST_CASE, QueryCounts, WorstCases, write_worst_cases
from robustbench_char.tasks.base import Task
from robustbench_char.tasks.sources import Input, NamedSource, as_read, open_source

__all__ = ["WorstCase", "worst_case", "write_parts"]


class WorstCase(NamedTuple):
    """What a search wrote: the manifest of its attack set, and what it found."""

    manifest: Manifest
    found: WorstCases


class WorstCaseKeywords(NamedSource, ModelKeywords, SearchKeywords, total=False):
    """Where data come from other than `input`, the options of the model and of the search."""


def worst_case(
    task: str | Path | Task | None = None,
    input: Input | None = None,
    *,
    model: Any,
    suite: str | Path | Suite,
    output: str | Path,
    seed: int = 0,
    fields: Iterable[str] | None = None,
    limit: int | None = None,
    batch_size: int = 32,
    workers: int = 1,
    format: OutputFormat = "native",
    overwrite: bool = False,
    progress: bool = True,
    **options: Unpack[WorstCaseKeywords],
) -> WorstCase:
    """Search for the edits that hurt a model most, each example by itself; write them as an attacked set to `output`.

    `model` is what `evaluate` takes, its defence in front of it; the edits are those that `suite` allows, at most
    `edits` a text. What decides is the task's metric, then how sure the model is of the gold labels. Beside attacked
    file, ledger and manifest stand `worst_case.json` and `worst_case.parquet`. A search that was stopped goes on from
    the model's answers; the bytes are the same for any batch size and number of `workers` (processes). Examples beyond
    `limit` stay as they are. Raises InputError for bad input, and where `output` holds something else (unless
    `overwrite`); nothing half-written stays.

    >>> import robustbench_char as rbc
    >>> kind = rbc.predictor(lambda batch, task: [task.labels["harbour" in one["sentence"]] for one in batch], name="k")
    >>> rows = [{"sentence": "The harbour was quiet.", "label": 1}]
    >>> worst = worst_case("cola", rows, model=kind, suite="drop", output="worst", progress=False)
    >>> worst.found.score(edits=0).value, worst.found.broken().value
    (0.0, 100.0)
    """
    named, asked, searching = parted(options, ModelOptions, SearchOptions)
    plan, chosen = plan_of(searching, suite), as_read(task_named(task, [model]), named)
    file, attack = open_source(chosen, input=input, **named), Attack.of(chosen, suite, seed, fields)
    check_writable(Path(output))
    request, started = Request(model, asked, attack, plan, file, limit, batch_size), time.monotonic()
    parts = _searched(request, workers, progress)
    return write_parts(request, parts, output, time.monotonic() - started, format=format, overwrite=overwrite)


def write_parts(
    request: Request,
    parts: Sequence[Part],
    output: str | Path,
    seconds: float,
    *,
    format: OutputFormat = "native",
    overwrite: bool = False,
) -> WorstCase:
    """Write what all parts of a search found, which took so many seconds, as `worst_case` does."""
    attack, found = request.attack, list[WorstCases]()
    first, outcomes = parts[0], sorted((one for part in parts for one in part.outcomes), key=lambda one: one.row)
    if not any(one.options for one in outcomes):
        raise InputError(f"suite {attack.suite.name}", found=f"no edit of any of {len(outcomes)} examples",
                         expected="texts that it can change", fix="Choose another suite, or other fields.")  # fmt: skip
    suite = request.plan.suite(attack.suite, first.system, first.guided_by, seed=attack.seed, limit=request.limit)
    chosen = {(row, field): own for one in outcomes for row, field, own in one.chosen}
    done = replace(attack, suite=suite, chosen=chosen)
    refuse_other_request(done, Path(output), format, overwrite)

    def beside(scratch: Path) -> None:
        record = _record(request, suite, parts, outcomes, seconds)
        found.append(write_worst_cases(scratch, record, _steps(request, first, outcomes)))

    options: dict[str, Any] = {"format": format, "overwrite": overwrite, "beside": beside, "volatile": (WORST_CASE,)}
    return WorstCase(write_set(done, request.file, Path(output), **options), *found)


def _searched(request: Request, workers: int, progress: bool) -> list[Part]:
    """Search in one process, or in several that each load the model."""
    if workers <= 1:
        return [search_part(request, progress=progress)]
    if not isinstance(request.model, str | Path):
        raise InputError("--workers", found=f"{workers} processes and a model made in Python", expected="one process",
                         fix="Save the model to a folder and name that.")  # fmt: skip
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(search_part, request, part, workers, progress=False) for part in range(workers)]
        return [one.result() for one in waiting]


def _steps(request: Request, part: Part, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Return the table of `records.worst_case`."""
    columns = METRICS.get(request.attack.task.metric).columns(part.classes)
    rows = [
        (row, name, one.options, one.found.asked, one.found.complete, list(one.certified), step.asked,
         len(step.state), step.value.sure, *step.value.counts[at])
        for one in outcomes
        for at, (row, name) in enumerate(one.examples)
        for step in one.found.steps
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=[*STEP_COLUMNS, *columns])
    return table.sort_values(["row", "asked"], kind="stable", ignore_index=True)


def _record(
    request: Request, suite: Suite, parts: Sequence[Part], outcomes: Sequence[Outcome], seconds: float
) -> dict[str, Any]:
    task, first, queries = request.attack.task, parts[0], Queries()
    for part in parts:
        queries.add(part.queries)
    whole = all(one.found.complete for one in outcomes) and not request.plan.search.guided
    return {
        "task": task.name, "family": task.family, "metric": task.metric, "headline": task.headline,
        "classes": first.classes, "system": first.system, "data": first.data, "suite": request.attack.suite.name,
        "suite_sha256": suite.sha256, "constraints": constraints(suite, request.attack.fields),
        "search": suite.search, "exact": whole, "queries": QueryCounts(**vars(queries)),
        "wall_seconds": seconds, "device": first.device,
        "created": datetime.now(UTC).isoformat(timespec="seconds"), "provenance": provenance(),
    }  # fmt: skip
