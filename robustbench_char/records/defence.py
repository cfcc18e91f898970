"""What records hold of the defence before a system, and how those of older records are read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field

from robustbench_char.common.frozen import Frozen

__all__ = ["KEYS", "DefenceInfo", "StoredDefence"]

KEYS = AliasChoices("defence", "recogniser")
"""The key that holds a defence, and its name in older files."""


class DefenceInfo(Frozen):
    """A defence, and what it knows of attacks.

    `kind` says how it works, `name` is how reports call it. `sha256` is the hash of what decides what it does (of a
    word recogniser, that of its weights), `parameters` the number of its weights, 0 for tables. `operators`, `suites`
    and `edits`, the number of edits in a word, are those that it was trained under or assumes (None: any number, or
    not known). `settings` holds its options.
    """

    kind: str
    name: str
    sha256: str
    parameters: int = 0
    operators: tuple[str, ...] = Field((), strict=False)
    edits: int | None = None
    suites: tuple[str, ...] = Field((), strict=False)
    settings: dict[str, Any] = Field(default_factory=dict)


_OWN = {"suite", "operators", "parameters", "weights_sha256"}


def _of_recogniser(value: Any) -> Any:
    """Return what an older record holds of a word recogniser with the fields of today; all else as it is."""
    if not isinstance(value, dict) or not value.keys() >= _OWN:
        return value
    settings = {key: one for key, one in value.items() if key not in _OWN and one is not None}
    return DefenceInfo(
        kind="wordrec",
        name="wordrec",
        sha256=value["weights_sha256"],
        parameters=value["parameters"],
        operators=value["operators"],
        suites=(value["suite"],),
        settings=settings,
    )


StoredDefence = Annotated[DefenceInfo, BeforeValidator(_of_recogniser)]
"""A defence as records of any version hold it."""
