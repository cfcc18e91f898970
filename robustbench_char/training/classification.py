"""Classification of a text or a pair of texts: one window an example, the longer text cut first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from robustbench_char.models.inputs import IntArray, Window
from robustbench_char.models.system import System
from robustbench_char.tasks.base import Example, Task
from robustbench_char.training.families import Outputs, text_of
from robustbench_char.training.options import Settings

__all__ = ["Classification"]


@dataclass(frozen=True)
class Classification:
    """The recipe of classification; see `recipes.Recipe`."""

    task: Task
    labels: tuple[str, ...]
    settings: Settings

    def windows(self, system: System, examples: Sequence[Example]) -> Iterator[Window]:
        """Encode the task's first field, paired with the others (joined by spaces where there are several)."""
        first, *rest = self.task.fields
        second = [" ".join(text_of(example, field) for field in rest) for example in examples] if rest else None
        return system.text_windows(
            [text_of(example, first) for example in examples], second, max_length=self.settings.max_length
        )

    def targets(self, window: Window, example: Example) -> dict[str, IntArray | int]:
        """Return the index of the class."""
        return {"labels": self.labels.index(str(example.label))}

    def read(self, window: Window, outputs: Outputs) -> int:
        """Return the index of the most likely class from logits [L]."""
        return int(outputs["logits"].argmax())

    def predict(self, example: Example, readings: Sequence[int]) -> str:
        """Return the class name."""
        return self.labels[readings[0]]
