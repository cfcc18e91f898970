"""Fine-tuned systems that predict: loaded from a folder, in single precision, whatever they were trained in."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel

from robustbench_char.common import InputError
from robustbench_char.common.progress import progress_bar
from robustbench_char.common.systems import SYSTEMS
from robustbench_char.defences.wordrec import Recogniser
from robustbench_char.metrics.metrics import Prediction
from robustbench_char.models.folders import weights_sha256
from robustbench_char.models.inputs import Window
from robustbench_char.models.system import System as Kind
from robustbench_char.tasks.base import Example
from robustbench_char.training.batches import Collator
from robustbench_char.training.families import Outputs, Recipe, encoded, make_recipe
from robustbench_char.training.saved_system import RECOGNISER, SystemFile, read_system

__all__ = ["Predictions", "System", "SystemParts", "device_name", "load_system", "open_parts"]


class Predictions(NamedTuple):
    """One prediction an example, in the order given, the number of examples that the length limit cut, and the cost.

    `pieces` counts the sub-words fed to the encoder, special ones and overlapping windows included; `seconds` is the
    time from text to predictions, a recogniser's work included.
    """

    values: list[Prediction]
    truncated_examples: int
    pieces: int
    seconds: float


class SystemParts:
    """A fine-tuned system without its weights: its record (`file`), its tokenizer, and its way to read examples."""

    def __init__(self, file: SystemFile, kind: Kind) -> None:
        self.file, self.kind = file, kind
        self.recipe: Recipe = make_recipe(file.task, file.labels, file.settings)


class System(SystemParts):
    """A fine-tuned system with its model on the best device there is."""

    def __init__(self, file: SystemFile, kind: Kind, model: PreTrainedModel) -> None:
        super().__init__(file, kind)
        self.device = torch.accelerator.current_accelerator() or torch.device("cpu")
        self.model: Any = model.to(self.device)  # type: ignore[arg-type]
        self.model.eval()

    def predict(self, examples: Sequence[Example], *, batch_size: int = 32, progress: bool = True) -> list[Prediction]:
        """Return one prediction an example, in the order given. Labels are not looked at."""
        return self.run(examples, batch_size=batch_size, progress=progress).values

    def run(self, examples: Sequence[Example], *, batch_size: int = 32, progress: bool = True) -> Predictions:
        """Predict, and count what the length limit cut."""
        if batch_size < 1:
            raise InputError("--batch-size", found=str(batch_size), expected="at least 1", fix="Correct the number.")
        started = time.perf_counter()
        windows = list(encoded(self.recipe, self.kind, examples))
        readings = self._readings(windows, batch_size, progress)
        by_example: list[list[Any]] = [[] for _ in examples]
        for window, reading in zip(windows, readings, strict=True):
            by_example[window.row].append(reading)
        values = [self.recipe.predict(example, found) for example, found in zip(examples, by_example, strict=True)]
        truncated = len({window.row for window in windows if window.truncated})
        pieces = sum(len(window.inputs["input_ids"]) for window in windows)
        return Predictions(values, truncated, pieces, time.perf_counter() - started)

    def _readings(self, windows: Sequence[Window], batch_size: int, progress: bool) -> list[Any]:
        """Return the reading of every window, in order; the model sees them longest first, so that little is padded."""
        order = sorted(range(len(windows)), key=lambda index: -len(windows[index].inputs["input_ids"]))
        readings: list[Any] = [None] * len(windows)
        collator = Collator(self.kind.padding())
        with progress_bar(progress) as bar:
            task = bar.add_task("predicting", total=len(windows))
            for start in range(0, len(order), batch_size):
                chosen = order[start : start + batch_size]
                for index, outputs in zip(
                    chosen, self._forward([windows[index] for index in chosen], collator), strict=True
                ):
                    readings[index] = self.recipe.read(windows[index], outputs)
                bar.advance(task, len(chosen))
        return readings

    @torch.inference_mode()
    def _forward(self, windows: Sequence[Window], collator: Collator) -> list[Outputs]:
        """Return the logits of each window: [L] for a class, [T, L] for tags, start and end [T] for answers."""
        batch = collator([window.inputs for window in windows])
        output = self.model(**{name: tensor.to(self.device) for name, tensor in batch.items()})
        logits = {name: tensor.float().cpu().numpy() for name, tensor in output.items() if name.endswith("logits")}
        return [{name: table[row] for name, table in logits.items()} for row in range(len(windows))]


def load_system(folder: Path) -> System:
    """Load a folder that `finetune` wrote. Raises InputError for a file that is missing, damaged, altered, too new."""
    file = read_system(folder)
    found = weights_sha256(folder)
    if found != file.weights_sha256:
        raise InputError(
            folder,
            found=f"weights with SHA-256 {found}",
            expected=f"{file.weights_sha256}, as system.json says",
            fix="The weights were altered after training: copy the folder again, or fine-tune again.",
        )
    kind = _open(folder, file, _recogniser(folder, file))
    return System(file, kind, kind.load(folder, file.task.family))


def open_parts(folder: Path, *, label: str | None = None) -> SystemParts:
    """Open a folder that `finetune` wrote without loading its weights: enough to score what it predicted before.

    `label` is how records call it (default: as system.json says).
    """
    file = read_system(folder)
    if label is not None:
        file = file.model_copy(update={"label": label})
    return SystemParts(file, _open(folder, file, None))


def _open(folder: Path, file: SystemFile, recogniser: Recogniser | None) -> Kind:
    kind: type[Kind] = SYSTEMS.get(file.system, place=f"{folder / 'system.json'}: system")
    return kind.open(folder, words=file.task.family == "tagging", recogniser=recogniser)


def _recogniser(folder: Path, file: SystemFile) -> Recogniser | None:
    """Return the recogniser in front of a system. Raises InputError when it is not the one it was saved with."""
    if file.recogniser is None:
        return None
    recogniser = Recogniser.load(folder / RECOGNISER)
    if recogniser.file.weights_sha256 != file.recogniser.weights_sha256:
        raise InputError(
            folder / RECOGNISER,
            found=f"weights with SHA-256 {recogniser.file.weights_sha256}",
            expected=f"{file.recogniser.weights_sha256}, as system.json says",
            fix="The recogniser was exchanged after training: copy the folder again, or fine-tune again.",
        )
    return recogniser


def device_name(device: torch.device) -> str:
    """Return how records call a device: `cpu`, or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
