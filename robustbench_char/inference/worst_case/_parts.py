"""One part of a search: every n-th unit of a file, searched by one process; what it found, in memory or as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from robustbench_char.attack_sets.stream import Attack, Tally, attack_blocks
from robustbench_char.attacks.engine import Choice
from robustbench_char.attacks.keys import draw, text_keys, word_keys
from robustbench_char.attacks.search import Found, State, Value, search
from robustbench_char.attacks.suites import Strength
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_bytes
from robustbench_char.common.process import progress_bar
from robustbench_char.inference._answers import Answers
from robustbench_char.inference._defended import adapts, settled
from robustbench_char.inference._models import LoadedModel
from robustbench_char.inference.evaluate import Asking, Labelled, PredictionSource, read_labelled
from robustbench_char.inference.opening import open_model
from robustbench_char.inference.options import ModelOptions
from robustbench_char.inference.worst_case._certificate import bounded, certified
from robustbench_char.inference.worst_case._judge import Judge, Queries
from robustbench_char.inference.worst_case._plan import Plan
from robustbench_char.inference.worst_case._pool import found_by
from robustbench_char.inference.worst_case._units import Unit, together, units_of
from robustbench_char.metrics.base import METRICS
from robustbench_char.records.evaluation import DataInfo, SystemInfo
from robustbench_char.tasks.base import Example, NativeFile
from robustbench_char.tasks.labels import gold_of
from robustbench_char.tasks.sources import cache_folder

__all__ = ["Outcome", "Part", "Request", "read_part", "search_part", "write_part"]

_VERSION = 1
"""Raised by hand when what a judge says of the same text changes, so that answers on disk are asked for again."""


class Request(NamedTuple):
    """What is searched, as a worker process gets it.

    `model` is what `open_model` takes; what was found is written without it.
    """

    model: Any
    options: ModelOptions
    attack: Attack
    plan: Plan
    file: NativeFile
    limit: int | None
    batch_size: int = 32

    @property
    def drawn(self) -> Attack:
        """A random attack of as many edits a text as the search may make, among the same ones."""
        suite = self.attack.suite.model_copy(update={"strength": Strength(words=self.plan.edits)})
        return replace(self.attack, suite=suite)


class Outcome(NamedTuple):
    """What a search found for the examples of a unit: by row, and the edits of the worst case by row and field."""

    row: int
    examples: tuple[tuple[int, str], ...]
    options: int
    found: Found
    chosen: tuple[tuple[int, str, tuple[Choice, ...]], ...]
    certified: tuple[int, ...] = ()


class Part(NamedTuple):
    """What one process found in so many seconds, and the model that it asked."""

    outcomes: tuple[Outcome, ...]
    queries: Queries
    system: SystemInfo
    classes: tuple[str, ...] | None
    data: DataInfo
    guided_by: str
    device: str
    seconds: float


def write_part(path: Path, part: Part) -> None:
    """Write what a process found as JSON; edits hold characters of the data."""
    path.write_bytes(TypeAdapter(Part).dump_json(part))


def read_part(path: Path) -> Part:
    """Read what `write_part` wrote."""
    return TypeAdapter(Part).validate_json(path.read_bytes())


def search_part(request: Request, part: int = 0, parts: int = 1, *, progress: bool = True) -> Part:
    """Search the worst case of each unit of a part of the examples: of every `parts`-th one.

    A part that was stopped goes on from the answers that the model gave. Raises InputError for a model, a file, a suite
    and a search that do not fit together.
    """
    started, attack = time.monotonic(), request.attack
    source = open_model(request.model, attack.task, options=request.options)
    data = read_labelled(source, request.file, task=attack.task, limit=request.limit)
    _check(source, data, request.plan)
    drawn = request.drawn
    if adapts(source):
        source = settled(source, _under(drawn, data))
    judge = Judge(source, request.batch_size, _answers(source, data, drawn))
    groups, outcomes = together(attack, data.examples), list[Outcome]()
    if isinstance(source, Asking):
        _check_requests(source, request, groups)
    own = groups[part::parts]
    certify = _certifying(source, judge, partial(_answers, data=data, drawn=drawn), request.plan)
    with progress_bar(progress) as bar:
        shown = bar.add_task("searching", total=len(own))
        start = partial(_begun, request.plan, attack)
        units = units_of(attack, request.file, own)
        for unit, found in found_by(units, start, partial(_attacked, attack), judge.values):
            outcomes.append(_outcome(unit, found)._replace(certified=certify(unit)))
            bar.advance(shown)
    info, seconds = data.info(None, request.limit), time.monotonic() - started
    about = source.info, source.classes, info, judge.guided_by, source.device
    return Part(tuple(outcomes), judge.queries, *about, seconds)


def _under(drawn: Attack, data: Labelled) -> list[Example]:
    """Return the examples under a random attack: what a defence that adapts to its input has read."""
    blocks = attack_blocks(drawn, data.file, Tally(), lambda ledger: None)
    return list(islice(chain.from_iterable(block.examples() for block in blocks), len(data.examples)))


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


def _outcome(unit: Unit, found: Found) -> Outcome:
    state = found.worst.state
    names = tuple((example.row, example.id) for example in unit.examples)
    chosen = tuple((row, field, tuple(own)) for (row, field), own in unit.chosen(state).items())
    return Outcome(unit.examples[0].row, names, len(unit.space.options), found, chosen)


def _certifying(
    source: PredictionSource, judge: Judge, answers: Callable[[PredictionSource], Answers], plan: Plan
) -> Callable[[Unit], tuple[int, ...]]:
    """Return what certifies a unit, nothing where no certificate is asked for."""
    if plan.certify is None:
        return lambda unit: ()
    defence, plain = bounded(source)
    behind = Judge(plain, judge.batch_size, answers(plain))
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


def _check_requests(source: Asking, request: Request, groups: Sequence[tuple[Example, ...]]) -> None:
    """Raise InputError where a search may send an endpoint more requests than the user may expect.

    A number of examples says how many there are only together with a budget.
    """
    agreed = request.limit if request.plan.budget else None
    if agreed is None:
        units = units_of(request.attack, request.file, groups)
        source.check_requests([], None, sum(len(unit.examples) * (1 + request.plan.most(unit.space)) for unit in units))


def _answers(source: PredictionSource, data: Labelled, drawn: Attack) -> Answers:
    """Return the answers of earlier runs: of the same model, whose defence, if it adapts, had read the same."""
    about = [data.sha256, len(data.examples), drawn.suite.sha256, drawn.seed, *drawn.fields]
    read = about if adapts(source) else None
    model = [source.task.model_dump(mode="json"), source.info.all_weights, source.info.settings]
    identity = json.dumps(["worst_case", _VERSION, *model, read], sort_keys=True)
    return Answers(sha256_bytes(identity.encode()), cache_folder() / "worst_case")
