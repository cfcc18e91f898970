"""Seeds: whole numbers from 0 to 4,294,967,295 everywhere, which every generator takes and every record can hold."""

from __future__ import annotations

from operator import index
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from robustbench_char.common.errors import InputError
from robustbench_char.common.options import Option

__all__ = ["SEEDS", "Seed", "StoredSeed", "as_whole", "is_seed", "seed_of"]

SEEDS = 2**32 - 1
"""The largest seed."""


def as_whole(value: Any) -> Any:
    """Return an integer of any library, such as numpy's, as Python's; anything else, truth values too, as it is."""
    if isinstance(value, bool) or "bool" in str(getattr(value, "dtype", "")) or not hasattr(value, "__index__"):
        return value
    try:
        return index(value)
    except TypeError:  # an array of several numbers, of numbers that are not whole
        return value


Seed = Annotated[int, BeforeValidator(as_whole), Field(ge=0, le=SEEDS)]
"""A seed in an option or a spec."""

StoredSeed = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""The seed of an attack in a manifest or a record: of an earlier version, it may be any that a table can hold."""


def is_seed(value: Any) -> bool:
    """Return whether a value is one of Python's own numbers, and within the bounds."""
    return type(value) is int and 0 <= value <= SEEDS


def seed_of(value: Any, option: str = "seed") -> int:
    """Return a seed that a user gave. Raises InputError for another type, a negative number and one above SEEDS."""
    seed: int = as_whole(value)
    if not is_seed(seed):
        raise InputError(Option(option), found=repr(value), expected=f"a whole number from 0 to {SEEDS}",
                         fix="Give the seed as such a number.")  # fmt: skip
    return seed
