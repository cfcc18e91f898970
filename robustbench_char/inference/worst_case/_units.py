"""The examples of a file with all that a suite may do to them: what a search works on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from robustbench_char.attack_sets.stream import Attack, texts_of
from robustbench_char.attacks.engine import Choice
from robustbench_char.attacks.search import Space, State, spaces
from robustbench_char.tasks.base import Block, Example, ExampleSource
from robustbench_char.tasks.registry import follow
from robustbench_char.text.edits import Moves

__all__ = ["Unit", "together", "units_of"]

_TOGETHER = 50


@dataclass(frozen=True)
class Unit:
    """Examples whose texts are attacked together: one, or all questions of a context that is attacked.

    `slots`: row and field of each text of the space.
    """

    examples: tuple[Example, ...]
    slots: tuple[tuple[int, str], ...]
    space: Space

    def attacked(self, attack: Attack, state: State) -> list[Example]:
        """Return the examples as they are in a state, their labels where they now belong."""
        if not state:
            return list(self.examples)
        texts = dict(zip(self.slots, self.space.attacked(state), strict=True))
        edits = dict(zip(self.slots, self.space.edits(state), strict=True))
        made, known = list[Example](), dict[tuple[object, object], Moves]()
        for example in self.examples:
            fields, changes = dict[str, str | tuple[str, ...]](), {}
            for name in attack.fields:
                slot = self._slot(example, name)
                whole = isinstance(example.fields[name], str)
                fields[name] = texts[slot] if whole else tuple(texts[slot].split(" "))
                changes[name] = edits[slot]
            made.append(follow(attack.task, example, fields, changes, known))
        return made

    def chosen(self, state: State) -> dict[tuple[int, str], list[Choice]]:
        """Return the edits of a state by row and field."""
        own: dict[tuple[int, str], list[Choice]] = {}
        for number in state:
            option = self.space.options[number]
            own.setdefault(self.slots[option.text], []).append((option.word, option.operator, option.edit))
        return own

    def _slot(self, example: Example, field: str) -> tuple[int, str]:
        own = example.row, field
        return own if own in self.slots else (self.examples[0].row, field)


def together(attack: Attack, examples: Sequence[Example]) -> list[tuple[Example, ...]]:
    """Return the examples that are attacked together, in file order."""
    groups: dict[object, list[Example]] = {}
    for example in examples:
        shared = example.context_key if "context" in attack.fields else None
        groups.setdefault(example.row if shared is None else shared, []).append(example)
    return list(map(tuple, groups.values()))


def units_of(attack: Attack, source: ExampleSource, groups: Sequence[tuple[Example, ...]]) -> Iterator[Unit]:
    """Yield the units of groups of examples of a source; the edits of some groups at a time are held.

    Raises InputError for a suite whose edits cannot be listed.
    """
    some = [groups[start : start + _TOGETHER] for start in range(0, len(groups), _TOGETHER)]
    blocks = (Block.of([example for group in part for example in group]) for part in some)
    for part, (slots, batch) in zip(some, texts_of(attack, source, blocks), strict=True):
        names = ((slot.row, slot.field) for slot in slots)
        own = dict(zip(names, spaces(batch, attack.suite), strict=True))
        yield from (_unit(group, own) for group in part)


def _unit(examples: tuple[Example, ...], own: dict[tuple[int, str], Space]) -> Unit:
    slots = tuple((example.row, name) for example in examples for name in example.fields if (example.row, name) in own)
    return Unit(examples, slots, Space.joined([own[slot] for slot in slots]))
