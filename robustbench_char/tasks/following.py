"""How labels follow an attack: one dispatcher over the three families."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from robustbench_char.tasks import classification, question_answering, tagging
from robustbench_char.tasks.base import Edit, Example, Task

__all__ = ["follow"]

_FAMILIES = {
    "classification": classification.follow,
    "tagging": tagging.follow,
    "question_answering": question_answering.follow,
}


def follow(
    task: Task,
    example: Example,
    attacked_fields: Mapping[str, str | tuple[str, ...]],
    edits_by_field: Mapping[str, Sequence[Edit]],
) -> Example:
    """Return the attacked example: its texts replaced, its labels where they now belong.

    `edits_by_field` counts in code points of the clean texts. Raises ValueError where tokens were split or joined.
    """
    return _FAMILIES[task.family](example, attacked_fields, edits_by_field)
