"""What the three families share: how examples become windows and targets, and how a model's outputs become predictions.

Shape legend: T sub-words of one window, L labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from robustbench_char.common import InputError
from robustbench_char.metrics.base import Prediction
from robustbench_char.models.inputs import IntArray, Window
from robustbench_char.models.system import System
from robustbench_char.tasks.base import Example, Family, Task
from robustbench_char.tasks.labels import place_of
from robustbench_char.training.options import Settings

__all__ = [
    "Outputs",
    "Recipe",
    "encoded",
    "label_names",
    "make_recipe",
    "text_of",
    "tokens_of",
    "training_features",
]

Outputs = Mapping[str, npt.NDArray[np.float32]]
"""The logits of one window by name; those of sub-words go on over the padding of the batch."""

_CHUNK = 1000  # examples encoded at a time: what the tokenizer returns is many times larger than what is kept of it


class Recipe(Protocol):
    """One family on one task: the only code that knows its labels."""

    def windows(self, system: System, examples: Sequence[Example]) -> Iterator[Window]:
        """Encode examples; the windows of one example follow each other."""
        ...

    def targets(self, window: Window, example: Example) -> dict[str, IntArray | int]:
        """Return what the model shall say about a window of a labelled example, by the name of the model's argument."""
        ...

    def read(self, window: Window, outputs: Outputs) -> Any:
        """Reduce a window's outputs to what `predict` needs."""
        ...

    def predict(self, example: Example, readings: Sequence[Any]) -> Prediction:
        """Return the prediction for an example from the readings of its windows, in order."""
        ...


def make_recipe(task: Task, labels: Sequence[str], settings: Settings) -> Recipe:
    """Return the recipe of a task's family."""
    from robustbench_char.training.classification import Classification
    from robustbench_char.training.question_answering import QuestionAnswering
    from robustbench_char.training.tagging import Tagging

    recipes: dict[Family, Any] = {
        "classification": Classification,
        "tagging": Tagging,
        "question_answering": QuestionAnswering,
    }
    recipe: Recipe = recipes[task.family](task, tuple(labels), settings)
    return recipe


def label_names(task: Task, examples: Iterable[Example]) -> tuple[str, ...]:
    """Return the classes in the task's order, or those found in the examples, sorted; none for question answering."""
    if task.family == "question_answering":
        return ()
    if task.labels is not None:
        return task.labels
    found = {
        label
        for example in examples
        for label in ((example.label,) if isinstance(example.label, str) else example.label or ())
    }
    return tuple(sorted(found))


def encoded(recipe: Recipe, system: System, examples: Sequence[Example]) -> Iterator[Window]:
    """Encode examples chunk by chunk; `row` of a window is the position of its example in `examples`."""
    for start in range(0, len(examples), _CHUNK):
        for window in recipe.windows(system, examples[start : start + _CHUNK]):
            yield window._replace(row=start + window.row)


def training_features(
    recipe: Recipe, system: System, examples: Sequence[Example]
) -> tuple[list[dict[str, IntArray | int]], int]:
    """Return inputs and targets of every window, and the number of examples that the length limit cut."""
    features: list[dict[str, IntArray | int]] = []
    cut: set[int] = set()
    for window in encoded(recipe, system, examples):
        features.append({**window.inputs, **recipe.targets(window, examples[window.row])})
        if window.truncated:
            cut.add(window.row)
    return features, len(cut)


def text_of(example: Example, field: str) -> str:
    """Return a text field. Raises InputError when the example has none of that name."""
    value = example.fields.get(field)
    if not isinstance(value, str):
        raise _no_field(example, field)
    return value


def tokens_of(example: Example, field: str) -> tuple[str, ...]:
    """Return a field of tokens. Raises InputError when the example has none of that name."""
    value = example.fields.get(field)
    if not isinstance(value, tuple):
        raise _no_field(example, field)
    return value


def _no_field(example: Example, field: str) -> InputError:
    return InputError(
        place_of(example),
        found=f"fields {', '.join(example.fields)}",
        expected=f"a field {field!r}",
        fix="The data belong to another task: check the task and the file.",
    )
