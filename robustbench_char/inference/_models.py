"""Predictions of a model of Transformers that is loaded: ours or another, with or without a defence before it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from robustbench_char.common import InputError
from robustbench_char.common.process import progress_bar
from robustbench_char.inference.results import Predictions
from robustbench_char.metrics.base import Prediction
from robustbench_char.models.inputs import Window
from robustbench_char.models.system import System
from robustbench_char.tasks.base import Example
from robustbench_char.training.families import Outputs, Recipe, encoded
from robustbench_char.training.loop import Collator

__all__ = ["LoadedModel", "device_name"]


class LoadedModel:
    """A model on the best device there is, in single precision: windows in, predictions out.

    `alike` says that windows of one length alone share a batch, for models whose results depend on padding.
    """

    kind: System
    recipe: Recipe
    alike = False

    def place(self, model: Any) -> None:
        """Move the model to the device."""
        self._device = torch.accelerator.current_accelerator() or torch.device("cpu")
        self.device = device_name(self._device)
        self.model: Any = model.to(self._device)
        self.model.eval()

    def predict(self, examples: Sequence[Example], *, batch_size: int = 32, progress: bool = True) -> Predictions:
        """Return one prediction per example, in the order given, and count what the length limit cut.

        Labels are not looked at. The seconds are from text to predictions, the work of a recogniser included.
        """
        if batch_size < 1:
            raise InputError("--batch-size", found=str(batch_size), expected="at least 1", fix="Correct the number.")
        started = time.perf_counter()
        windows = list(encoded(self.recipe, self.kind, examples))
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

    def _batches(self, windows: Sequence[Window], batch_size: int) -> Iterator[list[int]]:
        lengths = [len(window.inputs["input_ids"]) for window in windows]
        batch: list[int] = []
        for index in sorted(range(len(windows)), key=lambda index: -lengths[index]):
            if batch and (len(batch) == batch_size or (self.alike and lengths[batch[0]] != lengths[index])):
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    @torch.inference_mode()
    def forward(self, windows: Sequence[Window]) -> list[Outputs]:
        """Return the logits of each window: [L] for a class, [T, L] for tags, start and end [T] for answers."""
        batch = Collator(self.kind.padding())([window.inputs for window in windows])
        output = self.model(**{name: tensor.to(self._device) for name, tensor in batch.items()})
        logits = {name: tensor.float().cpu().numpy() for name, tensor in output.items() if name.endswith("logits")}
        return [{name: table[row] for name, table in logits.items()} for row in range(len(windows))]


def device_name(device: torch.device) -> str:
    """Return how records call a device: `cpu`, or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
