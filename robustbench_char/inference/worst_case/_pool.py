"""Many searches at once, which share the batches of one model; what each finds does not depend on the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from robustbench_char.attacks.search import Found, State, Value
from robustbench_char.inference.worst_case._units import Unit
from robustbench_char.tasks.base import Example

__all__ = ["found_by", "summed"]

_ACTIVE = 64
"""Searches that are under way at a time."""
_QUESTIONS = 4096
"""Examples that the model is asked about at a time, unless one search asks about more."""

Asking = Generator[list[State], list[Value], Found]


@dataclass
class _Running:
    unit: Unit
    asking: Asking
    states: list[State]

    @property
    def questions(self) -> int:
        return len(self.states) * len(self.unit.examples)


def found_by(
    units: Iterable[Unit],
    start: Callable[[Unit], Asking],
    attacked: Callable[[Unit, State], list[Example]],
    values: Callable[[Sequence[Example]], list[Value]],
) -> Iterator[tuple[Unit, Found]]:
    """Yield each unit with what its search found, in the order in which they end.

    `start` begins the search of a unit, `attacked` makes its examples of a state, `values` says how well the model does
    on them.
    """
    waiting, running = iter(units), deque[_Running]()
    while True:
        for unit in islice(waiting, _ACTIVE - len(running)):
            asking = start(unit)
            running.append(_Running(unit, asking, next(asking)))
        if not running:
            return
        taken = [running.popleft()]
        while running and sum(run.questions for run in (*taken, running[0])) <= _QUESTIONS:
            taken.append(running.popleft())
        examples = [one for run in taken for state in run.states for one in attacked(run.unit, state)]
        said = iter(values(examples))
        for run in taken:
            size = len(run.unit.examples)
            answers = [summed(list(islice(said, size))) for _ in run.states]
            try:
                run.states = run.asking.send(answers)
                running.append(run)
            except StopIteration as ended:
                yield run.unit, ended.value


def summed(values: Sequence[Value]) -> Value:
    """Return the value of examples that are attacked together: their sums."""
    if len(values) == 1:
        return values[0]
    left = tuple(sum(column) for column in zip(*(value.left for value in values), strict=True))
    counts = tuple(own for value in values for own in value.counts)
    return Value(left, round(sum(value.sure for value in values), 3), counts)
