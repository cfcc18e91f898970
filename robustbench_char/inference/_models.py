"""Predictions of a model of Transformers that is loaded: ours or another, with or without a defence before it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from robustbench_char.common import InputError
from robustbench_char.common.process import progress_bar
from robustbench_char.inference.results import Predictions
from robustbench_char.metrics.base import Prediction
from robustbench_char.models.batching import Batching, measured, probe_words
from robustbench_char.models.inputs import Window, pad
from robustbench_char.models.system import System
from robustbench_char.records.evaluation import SystemInfo
from robustbench_char.tasks.base import Example, Task
from robustbench_char.training.families import Outputs, Recipe

__all__ = ["LoadedModel", "device_name"]


class Judged(NamedTuple):
    """What a model says of examples, how sure it is of their labels, and how many windows it read."""

    predictions: list[Prediction]
    sure: list[float]
    windows: int


class LoadedModel:
    """A model on the best device there is, in single precision: windows in, predictions out."""

    kind: System
    recipe: Recipe
    info: SystemInfo
    inputs: tuple[Path, ...]
    batching = Batching()

    def place(self, model: Any) -> None:
        """Move the model to the device."""
        self._device = torch.accelerator.current_accelerator() or torch.device("cpu")
        self.device = device_name(self._device)
        self.model: Any = model.to(self._device)
        self.model.eval()

    def measure(self, place: object) -> None:
        """Find out how windows may share a batch, before a defence stands in front.

        Raises InputError for a model whose outputs are drawn at random.
        """
        windows: dict[int, Window] = {}
        for window in self.recipe.windows(self.kind, _probes(self.recipe.task)):
            windows.setdefault(window.row, window)
        self.batching = measured(self.forward, list(windows.values()), self.batching, place)

    def predict(self, examples: Sequence[Example], *, batch_size: int = 32, progress: bool = True) -> Predictions:
        """Return one prediction per example, in the order given, and count what the length limit cut.

        Labels are not looked at. The seconds are from text to predictions, the work of a defence included.
        """
        if batch_size < 1:
            raise InputError("--batch-size", found=str(batch_size), expected="at least 1", fix="Correct the number.")
        started = time.perf_counter()
        windows = list(self.recipe.windows(self.kind, examples))
        by_example: list[list[Any]] = [[] for _ in examples]
        for window, reading in zip(windows, self._readings(windows, batch_size, progress), strict=True):
            by_example[window.row].append(reading)
        values = [self.said(example, own) for example, own in zip(examples, by_example, strict=True)]
        counts = {
            "truncated_examples": len({window.row for window in windows if window.truncated}),
            "pieces": sum(len(window.inputs["input_ids"]) for window in windows),
        }
        return Predictions(values, time.perf_counter() - started, counts)

    def said(self, example: Example, readings: Sequence[Any]) -> Prediction:
        """Return the prediction for an example from the readings of its windows."""
        return self.recipe.predict(example, readings)

    def _readings(self, windows: Sequence[Window], batch_size: int, progress: bool) -> list[Any]:
        """Return the reading of every window, in order; the model sees them longest first, so that little is padded."""
        readings: list[Any] = [None] * len(windows)
        with progress_bar(progress) as bar:
            shown = bar.add_task("predicting", total=len(windows))
            for chosen in self._batches(windows, batch_size):
                outputs = self.forward([windows[index] for index in chosen])
                for index, output in zip(chosen, outputs, strict=True):
                    readings[index] = self.recipe.read(windows[index], output)
                bar.advance(shown, len(chosen))
        return readings

    def judged(self, examples: Sequence[Example], *, batch_size: int = 32) -> Judged:
        """Return the prediction for each labelled example, and how sure the model is of the gold label.

        Windows whose inputs are equal, as those of different texts that a defence corrects alike, are read once.
        """
        distinct, pairs, outputs = dict[bytes, Window](), list[tuple[Window, bytes]](), dict[bytes, Outputs]()
        for window in self.recipe.windows(self.kind, examples):
            pairs.append((window, name := _bytes(window)))
            distinct.setdefault(name, window)
        names, asked = list(distinct), list(distinct.values())
        for chosen in self._batches(asked, batch_size):
            read = self.forward([asked[index] for index in chosen])
            outputs.update(zip((names[index] for index in chosen), read, strict=True))
        by_example: list[list[tuple[Window, Outputs]]] = [[] for _ in examples]
        for window, name in pairs:
            by_example[window.row].append((window, outputs[name]))
        readings = ([self.recipe.read(*pair) for pair in own] for own in by_example)
        said = list(map(self.said, examples, readings))
        return Judged(said, list(map(self.recipe.sureness, examples, by_example)), len(asked))

    def _batches(self, windows: Sequence[Window], batch_size: int) -> Iterator[list[int]]:
        return self.batching.batches([len(window.inputs["input_ids"]) for window in windows], batch_size)

    @torch.inference_mode()
    def forward(self, windows: Sequence[Window]) -> list[Outputs]:
        """Return the logits of each window: [L] for a class, [T, L] for tags, start and end [T] for answers."""
        tables = pad([window.inputs for window in windows], self.kind.padding(), least=self.batching.least)
        batch = {name: torch.from_numpy(table) for name, table in tables.items()}
        output = self.model(**{name: tensor.to(self._device) for name, tensor in batch.items()})
        logits = {name: tensor.float().cpu().numpy() for name, tensor in output.items() if name.endswith("logits")}
        return [{name: table[row] for name, table in logits.items()} for row in range(len(windows))]


def _bytes(window: Window) -> bytes:
    return b"".join(values.tobytes() for values in window.inputs.values())


def _probes(task: Task) -> list[Example]:
    """Return examples of different lengths, the longest last; of questions, those of the contexts."""
    first, *rest = task.fields
    examples = []
    for row, words in enumerate(probe_words()):
        text: Any = words if task.family == "tagging" else " ".join(words)
        own = {**dict.fromkeys(rest, text), first: "a b" if task.family == "question_answering" else text}
        examples.append(Example(row, str(row), str(row), own))
    return examples


def device_name(device: torch.device) -> str:
    """Return how records call a device: `cpu`, or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
