"""What a user asked a search for, resolved with what its suite says."""

from __future__ import annotations

from math import comb
from pathlib import Path
from typing import NamedTuple

from robustbench_char.attacks.search import SEARCHES, Space
from robustbench_char.attacks.search.searches import Search
from robustbench_char.attacks.search_info import SearchFile, SearchInfo
from robustbench_char.attacks.suites import Strength, Suite, load_suite_file
from robustbench_char.common import InputError
from robustbench_char.common.options import Option
from robustbench_char.inference.worst_case.options import SearchOptions
from robustbench_char.records.evaluation import SystemInfo

__all__ = ["Plan", "plan_of"]


class Plan(NamedTuple):
    """A resolved search: its registered name, the most edits of a text, its size, the most questions an example.

    `certify`: the most texts of a certificate (None: there is none).
    """

    name: str
    edits: int
    size: int
    budget: int | None
    certify: int | None = None

    @property
    def search(self) -> Search:
        """The search itself."""
        return SEARCHES.get(self.name)

    def most(self, space: Space) -> int:
        """Return the most questions that an exhaustive search of a space may ask, within the budget."""
        states = sum(comb(len(space.options), number) for number in range(1, self.edits + 1))
        return states if self.budget is None else min(states, self.budget)

    def suite(self, suite: Suite, system: SystemInfo, guided_by: str, *, seed: int, limit: int | None) -> Suite:
        """Return the suite of the attack set that this search of a suite makes for a system."""
        base = suite.name.rpartition("@")[0] or suite.name
        info = SearchInfo.model_validate({
            "name": system.shown, "model_sha256": system.model_sha256,
            "search": self.name, "edits": self.edits, "size": self.size, "budget": self.budget,
            "guided_by": guided_by, "seed": seed, "limit": limit,
        })  # fmt: skip
        name = f"worst_{base}@{self.edits} of {system.shown}"
        return suite.model_copy(update={"name": name, "strength": Strength(words=self.edits), "search": info})


def plan_of(asked: SearchOptions, suite: str | Path | Suite) -> Plan:
    """Return the search that was asked for, with what the suite says where nothing was.

    Raises InputError for an unknown search, a size that it does not have, and positions of another one than charmer.
    """
    own = None if isinstance(suite, Suite) else _declared(str(suite))
    edits = asked.edits or (own.edits if own else 1)
    text = asked.search or (own.search if own else "exhaustive" if edits == 1 else "greedy")
    name, at, width = text.partition(":")
    chosen = SEARCHES.get(name, place=Option("search"))
    if at and not (name == "beam" and width.isdecimal() and int(width) > 0):
        raise InputError(Option("search"), found=repr(text), expected="a search, or beam:N with a width from 1 on",
                         fix="Write beam:4, or the name alone.")  # fmt: skip
    if asked.positions and name != "charmer":
        raise InputError(Option("positions"), found=f"positions with the search {name}", expected="charmer, which has"
                         " them", fix="Leave it out, or add --search charmer.")  # fmt: skip
    size = int(width) if at else asked.positions or (own.size if own and own.search == name else None) or chosen.size
    return Plan(name, edits, size, asked.budget, asked.certify)


def _declared(name: str) -> SearchFile | None:
    is_path = name.endswith((".yaml", ".yml"))
    return load_suite_file(name if is_path else name.rpartition("@")[0] or name).worst_case
