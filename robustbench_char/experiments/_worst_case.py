"""The key `worst_case:` of a spec: searches for the worst case of its systems, and what is wrong with their names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, PlainValidator

from robustbench_char.common.errors import nearest
from robustbench_char.common.options import all_optional
from robustbench_char.common.yaml_model import Mistake
from robustbench_char.inference.worst_case.options import SearchOptions

__all__ = ["WorstCasePart", "unknown", "worst_case_mistakes"]


def _listed(value: Any, expected: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value or not all(isinstance(name, str) for name in value):
        raise ValueError(expected)
    return tuple(value)


def _fields(value: Any) -> Any:
    expected = "a list of fields, or one by task"
    if isinstance(value, Mapping):
        return {task: _listed(names, expected) for task, names in value.items()}
    return value if value is None else _listed(value, expected)


def _systems(value: Any) -> Any:
    return value if isinstance(value, bool) else _listed(value, "true, false, or a list of systems")


class WorstCasePart(all_optional(SearchOptions)):  # type: ignore[misc]
    """A search for the worst case of `systems` on `tasks` (None: all), within the edits that `suite` allows.

    The first `limit` examples (None: those that the task scores) are shared by `parts` jobs. `fields` are those to
    attack (None: those of the task, or of the suite): of all tasks that have them, or by task. Each system of the task
    is scored on each worst case, or those that `transfer` lists, or (false) the one alone that it was searched for.
    Searches and scores are of the first training seed.
    """

    suite: str
    tasks: tuple[str, ...] | None = None
    systems: tuple[str, ...] | None = None
    fields: Annotated[Any, PlainValidator(_fields)] = None
    limit: int | None = Field(None, ge=1)
    parts: int = Field(1, ge=1, le=1024)
    transfer: Annotated[bool | tuple[str, ...], PlainValidator(_systems)] = True

    @property
    def searching(self) -> SearchOptions:
        """The options of the search."""
        return SearchOptions(**self.model_dump(include={*SearchOptions.model_fields}, exclude_none=True))

    def transfers_to(self, system: str) -> bool:
        """Return whether a system is scored on the worst cases of others."""
        return self.transfer if isinstance(self.transfer, bool) else system in self.transfer

    def fields_of(self, task: str, known: Iterable[str]) -> tuple[str, ...] | None:
        """Return the fields of a task to attack, of those that it is known to have (None: its suite's, or all)."""
        if isinstance(self.fields, Mapping):
            return self.fields.get(task)
        return tuple(name for name in self.fields or () if name in known) or None


def worst_case_mistakes(
    parts: Mapping[str, WorstCasePart], tasks: Iterable[str], systems: Iterable[str]
) -> Iterator[Mistake]:
    """Yield a mistake for each task and each system that a search names and the spec does not run."""
    for key, part in parts.items():
        place = f"worst_case.{key}"
        if "/" in key:
            yield Mistake(place, f"the name {key!r}", "a name without a slash", "Rename it.")
        yield from unknown(f"{place}.tasks", part.tasks, tasks)
        yield from unknown(f"{place}.systems", part.systems, systems)
        if isinstance(part.fields, Mapping):
            yield from unknown(f"{place}.fields", part.fields, part.tasks or tasks)
        if not isinstance(part.transfer, bool):
            yield from unknown(f"{place}.transfer", part.transfer, systems)


def unknown(key: str, names: Iterable[str] | None, known: Iterable[str]) -> Iterator[Mistake]:
    """Yield a mistake for each name that stands under `key` and is not known in this spec."""
    for name in names or ():
        if name not in known:
            yield Mistake(key, f"{name!r}, which this spec does not run", f"one of {', '.join(known)}",
                          f"Correct the name.{nearest(name, known)}")  # fmt: skip
