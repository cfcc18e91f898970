"""In which order the states of a space are tried.

A search yields lists of states that it asks about, and is sent their values, in the same order; the lower a value, the
worse for the model. What it does depends on values alone, never on how they were come by. `search` runs one within a
budget and keeps the worst state that was ever seen: so a larger budget never hurts, nor does a wider beam.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from robustbench_char.attacks.search.space import Space, State
from robustbench_char.common import Registry

__all__ = ["SEARCHES", "Found", "Search", "Step", "Value", "search"]


@dataclass(frozen=True, order=True)
class Value:
    """How well a model does on a state: first by the metric of the task, then by how sure it is of the gold labels.

    `left`: its errors (see `Metric.errors`) with their signs changed, `sure`: see `objectives`. `counts`: those of the
    metric for each example that the state concerns, which play no part in the order.
    """

    left: tuple[float, ...]
    sure: float
    counts: tuple[tuple[float, ...], ...] = field(default=(), compare=False)


Asking: TypeAlias = Generator[list[State], list[Value], None]


@dataclass(frozen=True)
class Search:
    """A search: (space, edits, `size`) -> what it asks. `size` is the width of a beam, or a number of positions.

    `guided`: it goes where values lead, so that a model has to give more than labels.
    """

    ask: Callable[[Space, int, int], Asking]
    size: int = 1
    guided: bool = True


def exhaustive(space: Space, edits: int, size: int) -> Asking:
    """Ask about every state: the exact worst case."""
    for number in range(1, edits + 1):
        yield list(space.states(number))


def beam(space: Space, edits: int, size: int) -> Asking:
    """Extend the worst states by one edit at a time.

    Beams are nested: the n-th place of a level goes to the worst extension of the first n states before that is not
    yet placed, so that a wider beam sees all that a narrower one sees. A beam of 1 is greedy search.
    """
    kept: list[State] = [()]
    for _ in range(edits):
        seen, placed = dict[State, Value](), list[State]()
        for place in range(size):
            fresh = [more for more in space.extensions(kept[place]) if more not in seen] if place < len(kept) else []
            if fresh:
                seen.update(zip(fresh, (yield fresh), strict=True))
            left = seen.keys() - placed
            if left:
                placed.append(min(left, key=lambda state: (seen[state], state)))
        kept = placed
        if not kept:
            return


def charmer(space: Space, edits: int, size: int) -> Asking:
    """Find by one probe each the `size` places that hurt most, try every edit there, take the worst, go on from it.

    Source: Abad Rocamora et al., Revisiting Character-level Adversarial Attacks (ICML 2024), algorithm 1. There the
    probe is a fixed character; here it is the first edit that the suite has for a place.
    """
    state: State = ()
    for _ in range(edits):
        places: dict[tuple[int, int, bool], list[State]] = {}
        for more in space.extensions(state):
            places.setdefault(space.slot(state, more), []).append(more)
        if not places:
            return
        probes = [own[0] for own in places.values()]
        seen = dict(zip(probes, (yield probes), strict=True))
        worst = sorted(places.values(), key=lambda own: (seen[own[0]], own[0]))[:size]
        rest = sorted(more for own in worst for more in own[1:])
        if rest:
            seen.update(zip(rest, (yield rest), strict=True))
        state = min(seen, key=lambda more: (seen[more], more))


SEARCHES: Registry[Search] = Registry("search")
SEARCHES.register("exhaustive", Search(exhaustive, guided=False))
SEARCHES.register("greedy", Search(beam))
SEARCHES.register("beam", Search(beam, 4))
SEARCHES.register("charmer", Search(charmer, 20))


class Step(NamedTuple):
    """A state that is worse than all before it, and after how many questions it was found (the clean text is none)."""

    asked: int
    state: State
    value: Value


@dataclass(frozen=True)
class Found:
    """What a search found: each state that was the worst so far, the first of them the clean text.

    `asked` counts its questions. `complete`: it was not stopped by its budget.
    """

    steps: tuple[Step, ...]
    asked: int
    complete: bool

    @property
    def worst(self) -> Step:
        """The worst state."""
        return self.steps[-1]

    def within(self, edits: int) -> Step:
        """Return the worst state of at most so many edits."""
        return [step for step in self.steps if len(step.state) <= edits][-1]


def search(
    space: Space,
    chosen: Search,
    edits: int,
    *,
    size: int | None = None,
    budget: int | None = None,
    enough: Callable[[Value], bool] = lambda value: False,
    order: Callable[[list[State]], list[State]] | None = None,
) -> Generator[list[State], list[Value], Found]:
    """Run a search of a space: yield states, be sent their values, return what was found.

    The clean text comes first, and is no question. `budget` is the most questions (None: any number). What is `enough`
    ends the search: nothing is worse. A search that is not guided asks in another `order` where its budget does not
    suffice for all of the next states, so that those it asks about are no special ones.
    """
    (clean,) = yield [()]
    steps, asked = [Step(0, (), clean)], 0
    plan = chosen.ask(space, edits, size or chosen.size)
    states = [] if enough(clean) else next(plan, [])
    while states:
        whole = len(states)
        if budget is not None and whole > (room := budget - asked):
            states = (order(states) if order and not chosen.guided else states)[:room]
        values = yield states
        for number, (state, value) in enumerate(zip(states, values, strict=True), start=asked + 1):
            if value < steps[-1].value:
                steps.append(Step(number, state, value))
        asked += len(values)
        if len(values) < whole:
            return Found(tuple(steps), asked, complete=False)
        states = [] if enough(steps[-1].value) else _next(plan, values)
    return Found(tuple(steps), asked, complete=True)


def _next(plan: Asking, values: Iterable[Value]) -> list[State]:
    try:
        return plan.send(list(values))
    except StopIteration:
        return []
