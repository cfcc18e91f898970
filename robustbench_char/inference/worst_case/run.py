"""Searching for the worst case of a model on a file: the attack set that is made of it, with its record."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_char.attack_sets.attack import OutputFormat, refuse_other_request, write_set
from robustbench_char.attack_sets.manifest import Manifest
from robustbench_char.attack_sets.stream import Attack
from robustbench_char.attacks.engine import Choice
from robustbench_char.attacks.keys import draw, text_keys, word_keys
from robustbench_char.attacks.search import Found, State, Value, constraints, search
from robustbench_char.attacks.suites import Suite
from robustbench_char.common import InputError
from robustbench_char.common.files import check_writable, sha256_bytes
from robustbench_char.common.process import progress_bar
from robustbench_char.common.provenance import provenance
from robustbench_char.inference._answers import Answers
from robustbench_char.inference._defended import settled
from robustbench_char.inference._models import LoadedModel
from robustbench_char.inference.asked import parted, task_named
from robustbench_char.inference.evaluate import Labelled, PredictionSource, read_labelled
from robustbench_char.inference.opening import open_model
from robustbench_char.inference.options import ModelKeywords, ModelOptions
from robustbench_char.inference.worst_case._certificate import bounded, certified
from robustbench_char.inference.worst_case._judge import Judge, Queries
from robustbench_char.inference.worst_case._plan import Plan, plan_of
from robustbench_char.inference.worst_case._pool import found_by
from robustbench_char.inference.worst_case._units import Unit, together, units_of
from robustbench_char.inference.worst_case.options import SearchKeywords, SearchOptions
from robustbench_char.metrics.base import METRICS
from robustbench_char.records.evaluation import DataInfo, SystemInfo
from robustbench_char.records.worst_case import STEP_COLUMNS, WORST_CASE, QueryCounts, WorstCases, write_worst_cases
from robustbench_char.tasks.base import Example, NativeFile, Task
from robustbench_char.tasks.labels import gold_of
from robustbench_char.tasks.sources import Input, NamedSource, cache_folder, open_source

__all__ = ["WorstCase", "worst_case"]

_VERSION = 1
"""Raised by hand when what a judge says of the same text changes, so that answers on disk are asked for again."""


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
    `edits` a text. With scores a search is guided by how sure the model is of the gold labels; what decides is the
    task's metric. Beside attacked file, ledger and manifest stand `worst_case.json` and `worst_case.parquet`. A search
    that was stopped goes on from the answers that the model gave; the bytes are the same for any batch size and number
    of `workers` (processes). Of examples beyond `limit` nothing is changed. Raises InputError for bad input, and where
    `output` holds something else (unless `overwrite`); nothing half-written stays.

    >>> import robustbench_char as rbc
    >>> kind = rbc.predictor(lambda batch: ["1" if "harbour" in one["sentence"] else "0" for one in batch], name="k")
    >>> rows = [{"sentence": "The harbour was quiet.", "label": 1}]
    >>> worst = worst_case("cola", rows, model=kind, suite="drop", output="worst", progress=False)
    >>> worst.found.score(edits=0).value, worst.found.broken().value
    (0.0, 100.0)
    """
    named, asked, searching = parted(options, ModelOptions, SearchOptions)
    plan, chosen = plan_of(searching, suite), task_named(task, [model])
    file, attack = open_source(chosen, input=input, **named), Attack.of(chosen, suite, seed, fields)
    check_writable(Path(output))
    request = _Request(model, asked, attack, plan, file, limit, batch_size)
    return _written(request, Path(output), workers, format, overwrite, progress)


def _written(
    request: _Request, folder: Path, workers: int, format: OutputFormat, overwrite: bool, progress: bool
) -> WorstCase:
    """Search, and write what was found."""
    started, attack, found = time.monotonic(), request.attack, list[WorstCases]()
    parts = _parts(request, workers, progress)
    first, outcomes = parts[0], sorted((one for part in parts for one in part.outcomes), key=lambda one: one.row)
    if not any(one.options for one in outcomes):
        raise InputError(f"suite {attack.suite.name}", found=f"no edit of any of {len(outcomes)} examples",
                         expected="texts that it can change", fix="Choose another suite, or other fields.")  # fmt: skip
    suite = request.plan.suite(attack.suite, first.system, first.guided_by, seed=attack.seed, limit=request.limit)
    done = replace(attack, suite=suite, chosen={slot: own for one in outcomes for slot, own in one.chosen.items()})
    refuse_other_request(done, folder, format, overwrite)

    def beside(scratch: Path) -> None:
        record = _record(request, suite, parts, outcomes, time.monotonic() - started)
        found.append(write_worst_cases(scratch, record, _steps(request, first, outcomes)))

    options: dict[str, Any] = {"format": format, "overwrite": overwrite, "beside": beside, "volatile": (WORST_CASE,)}
    return WorstCase(write_set(done, request.file, folder, **options), *found)


class _Request(NamedTuple):
    """What is searched, as a worker process gets it."""

    model: Any
    options: ModelOptions
    attack: Attack
    plan: Plan
    file: NativeFile
    limit: int | None
    batch_size: int


class _Outcome(NamedTuple):
    """What a search found for the examples of a unit: by row, and the edits of the worst case by row and field."""

    row: int
    examples: tuple[tuple[int, str], ...]
    options: int
    found: Found
    chosen: dict[tuple[int, str], list[Choice]]
    certified: tuple[int, ...] = ()


class _Part(NamedTuple):
    """What one process found, and the model that it asked."""

    outcomes: list[_Outcome]
    queries: Queries
    system: SystemInfo
    classes: tuple[str, ...] | None
    data: DataInfo
    guided_by: str
    device: str


def _parts(request: _Request, workers: int, progress: bool) -> list[_Part]:
    """Search in one process, or in several that each load the model."""
    if workers <= 1:
        return [_searched(request, 0, 1, progress)]
    if not isinstance(request.model, str | Path):
        raise InputError("--workers", found=f"{workers} processes and a model made in Python", expected="one process",
                         fix="Save the model to a folder and name that.")  # fmt: skip
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(_searched, request, part, workers, False) for part in range(workers)]
        return [one.result() for one in waiting]


def _searched(request: _Request, part: int, parts: int, progress: bool) -> _Part:
    """Search the worst case of each unit of a part of the examples."""
    attack, plan = request.attack, request.plan
    source = open_model(request.model, attack.task, options=request.options)
    data = read_labelled(source, request.file, task=attack.task, limit=request.limit)
    _check(source, data, plan)
    source = settled(source, data.examples)
    judge = Judge(source, request.batch_size, _answers(source, data))
    own, outcomes = together(attack, data.examples)[part::parts], list[_Outcome]()
    certify = _certifying(source, judge, data, plan)
    with progress_bar(progress) as bar:
        shown = bar.add_task("searching", total=len(own))
        start = partial(_begun, plan, attack)
        units = units_of(attack, request.file, own)
        for unit, found in found_by(units, start, partial(_attacked, attack), judge.values):
            outcomes.append(_outcome(unit, found)._replace(certified=certify(unit)))
            bar.advance(shown)
    info = data.info(None, request.limit)
    return _Part(outcomes, judge.queries, source.info, source.classes, info, judge.guided_by, source.device)


def _attacked(attack: Attack, unit: Unit, state: State) -> list[Example]:
    return unit.attacked(attack, state)


def _begun(plan: Plan, attack: Attack, unit: Unit) -> Generator[list[State], list[Value], Found]:
    """Begin the search of a unit: it has enough where nothing is right any more."""
    metric, golds = METRICS.get(attack.task.metric), [gold_of(attack.task, example) for example in unit.examples]
    most = sum(float(len(gold)) if isinstance(gold, tuple) else 1.0 for gold in golds)
    key = text_keys([unit.examples[0].key], seed=attack.seed, family="worst_case", task=attack.task.name)
    return search(
        unit.space, plan.search, plan.edits, size=plan.size, budget=plan.budget,
        enough=lambda value: not metric.endless and value.left[0] <= -most + 1e-9,
        order=partial(_shuffled, key),
    )  # fmt: skip


def _shuffled(key: NDArray[np.uint64], states: list[State]) -> list[State]:
    """Return states in an order that is drawn from a key [1]."""
    drawn = draw(word_keys(key.repeat(len(states)), np.arange(len(states))), 0)
    return [states[at] for at in np.argsort(drawn, kind="stable")]


def _outcome(unit: Unit, found: Found) -> _Outcome:
    state = found.worst.state
    names = tuple((example.row, example.id) for example in unit.examples)
    return _Outcome(unit.examples[0].row, names, len(unit.space.options), found, unit.chosen(state))


def _certifying(
    source: PredictionSource, judge: Judge, data: Labelled, plan: Plan
) -> Callable[[Unit], tuple[int, ...]]:
    """Return what certifies a unit, nothing where no certificate is asked for."""
    if plan.certify is None:
        return lambda unit: ()
    defence, plain = bounded(source)
    behind = Judge(plain, judge.batch_size, _answers(plain, data))
    return lambda unit: certified(defence, unit, plan.edits, plan.certify or 0, behind.values)


def _check(source: PredictionSource, data: Labelled, plan: Plan) -> None:
    """Raise InputError for a model, a file or a search that do not fit together."""
    if data.attack is not None:
        raise InputError(data.file.path, found="an attacked file", expected="the clean one",
                         fix="Name the file that was attacked.")  # fmt: skip
    if plan.certify is not None:
        bounded(source)
    if plan.search.guided and not isinstance(source, LoadedModel):
        raise InputError(f"model {source.info.shown}", found="labels alone", expected=f"scores, which {plan.name} goes"
                         " by", fix="Search exhaustively, within a budget if need be: --search exhaustive --budget"
                         " 200.")  # fmt: skip


def _answers(source: PredictionSource, data: Labelled) -> Answers:
    """Return the answers of earlier runs: those of the same model, behind a defence that has read the same file."""
    bare = isinstance(source, LoadedModel) and source.kind.defence is None
    read = None if bare else [data.sha256, len(data.examples)]
    model = [source.task.model_dump(mode="json"), source.info.all_weights, source.info.settings]
    identity = json.dumps(["worst_case", _VERSION, *model, read], sort_keys=True)
    return Answers(sha256_bytes(identity.encode()), cache_folder() / "worst_case")


def _steps(request: _Request, part: _Part, outcomes: Sequence[_Outcome]) -> pd.DataFrame:
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
    request: _Request, suite: Suite, parts: Sequence[_Part], outcomes: Sequence[_Outcome], seconds: float
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
