"""The training loop of pre-training: the Hugging Face Trainer on a stream of blocks, on one process or several.

Held-out text is scored on the way: MLM loss and perplexity, NLM loss, hit@1 and hit@5 of the original word.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState  # type: ignore[import-untyped]
from accelerate.utils import broadcast_object_list  # type: ignore[import-untyped]
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, TrainerCallback

from robustbench_char.common import InputError
from robustbench_char.models.charbert.modeling import gates_of
from robustbench_char.training.checkpoints import last_checkpoint, run_folder
from robustbench_char.training.loop import Bar, Checkpoints, CheckpointTrainer, Loop, arguments_of, refuse_diverged
from robustbench_char.training.pretraining._blocks import Block, BlockCollator, Blocks, Place, Position
from robustbench_char.training.pretraining._models import Built
from robustbench_char.training.pretraining._noise import IGNORED
from robustbench_char.training.pretraining.options import PretrainSettings

_POSITION = "position.json"
_LOSSES = (("mlm_loss", "labels"), ("nlm_loss", "nlm_labels"))


@dataclass(frozen=True)
class Log:
    """The log of a training: entries of training and of held-out text, seconds of both, passes begun."""

    training: list[dict[str, Any]]
    heldout: list[dict[str, Any]]
    wall_seconds: float
    passes: int


@dataclass(frozen=True)
class PretrainLoop(Loop):
    """How training runs, none of which changes the result. `checkpoint`: where it goes on from, if it was stopped."""

    checkpoint: Path | None = None

    def pretrain(
        self, built: Built, blocks: Blocks, collator: BlockCollator, heldout: HeldOut, settings: PretrainSettings
    ) -> Log:
        """Train the model in place, and return the log. Process-wide random state is put back.

        Raises InputError when training diverges, or when the store is full.
        """
        seconds = 0.0
        if settings.steps == 0:
            return Log([], [], seconds, 0)
        if self.checkpoint:
            blocks.start, seconds = _read_position(self.checkpoint)

        def make(bar: Bar) -> _Trainer:
            trainer = _Trainer(built, blocks, collator, settings, self.folder)
            trainer.seconds, trainer.resumed = seconds, self.checkpoint
            scoring = _HeldOut(trainer, heldout, settings)
            for callback in (scoring, _Save(trainer, self.save_seconds), bar, *self.callbacks):
                trainer.add_callback(callback)
            return trainer

        trainer = self.run(make, self.checkpoint)
        refuse_diverged(built.model, "learning_rate", "new_learning_rate")
        history: list[Any] = trainer.state.log_history
        return Log(
            [entry for entry in history if "mlm_loss" in entry],
            [{"step": entry["step"], **entry["heldout"]} for entry in history if "heldout" in entry],
            trainer.seconds,
            trainer.position().number,
        )


class _Trainer(CheckpointTrainer):
    """The Trainer with two losses, two learning rates, and a log that says what each loss is."""

    def __init__(
        self, built: Built, blocks: Blocks, collator: BlockCollator, settings: PretrainSettings, folder: Path
    ) -> None:
        # Every process reads the stream and takes its share of each step; what one process sent would have to be of
        # one shape, and the characters of a batch are not.
        each: dict[str, Any] = {"max_steps": settings.steps, "accelerator_config": {"dispatch_batches": False}}
        # `ignore_data_skip`: the stream itself starts where the checkpoint was written
        arguments = arguments_of(settings, folder, settings.steps, ignore_data_skip=True, **each)
        super().__init__(model=built.model, args=arguments, train_dataset=blocks, data_collator=collator)
        self.blocks, self.settings = blocks, settings
        self.new, self.new_learning_rate = built.new, settings.new_learning_rate
        self.sums: dict[str, torch.Tensor] = {}
        self.seconds, self.clock, self.logged = 0.0, time.monotonic(), 0
        self.resumed: Path | None = None
        self.first_step: int | None = None

    @property
    def tokens_per_step(self) -> int:
        """Sub-words that all processes see in one step."""
        return self.settings.block_size * self.settings.batch_size * int(self.args.world_size)

    def training_step(self, *arguments: Any, **named: Any) -> torch.Tensor:
        """Before the first step after a stop, put random state back: opening the stream has drawn from it."""
        if self.resumed:
            self._load_rng_state(str(self.resumed))
            self.resumed = None
        return super().training_step(*arguments, **named)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return MLM + NLM loss, each a mean over the targets of all processes."""
        inputs = merged(inputs)
        outputs = model(**inputs)
        parts = {name: self._over_all(outputs[name], inputs[labels]) for name, labels in _LOSSES if labels in inputs}
        for name, loss in parts.items():
            self.sums[name] = self.sums.get(name, torch.zeros_like(loss)) + loss.detach()
        loss = torch.stack(list(parts.values())).sum()
        return (loss, outputs) if return_outputs else loss

    def _over_all(self, loss: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Weigh a process's mean loss so that the mean over processes is the mean over all their targets."""
        if self.args.world_size == 1:
            return loss
        count = (labels != IGNORED).sum()
        everywhere = self.accelerator.reduce(count, reduction="sum").clamp(min=1)
        weighed: torch.Tensor = loss * (count * self.args.world_size / everywhere)
        return weighed

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Replace the entry of an interval by ours; Trainer's summary at the end is left out."""
        if "loss" not in logs:
            return
        steps, seconds = self.state.global_step - self.logged, self.tick()
        means = {name: self.accelerator.reduce(total, reduction="mean") / steps for name, total in self.sums.items()}
        entry: dict[str, Any] = {"step": self.state.global_step, "loss": logs["loss"]}
        entry |= {name: float(value) for name, value in means.items()}
        entry["learning_rate"] = logs["learning_rate"]
        entry = {key: value if math.isfinite(value) else None for key, value in entry.items()}
        for stream, gates in (gates_of(self.accelerator.unwrap_model(self.model)) or {}).items():
            entry[f"gates_{stream}"] = sum(map(abs, gates)) / len(gates)
        entry["tokens"] = self.state.global_step * self.tokens_per_step
        entry["tokens_per_second"] = steps * self.tokens_per_step / max(seconds, 1e-9)
        self.sums, self.logged = {}, self.state.global_step
        self.state.log_history.append(entry)
        self.control = self.callback_handler.on_log(self.args, self.state, self.control, logs)

    def tick(self) -> float:
        """Return the seconds since the last call, and count them."""
        now = time.monotonic()
        seconds, self.clock = now - self.clock, now
        self.seconds += seconds
        return seconds

    def position(self) -> Position:
        """Return where the stream stands after the steps done."""
        given = (self.state.global_step - (self.first_step or 0)) * self.settings.batch_size * self.args.world_size
        return self.blocks.position(given)


class _HeldOut(TrainerCallback):
    """Score held-out text before training, every so many steps, and at the end; the main process does it."""

    def __init__(self, trainer: _Trainer, heldout: HeldOut, settings: PretrainSettings) -> None:
        self.trainer, self.heldout, self.every = trainer, heldout, settings.evaluate_every

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.trainer.first_step = self.trainer.logged = state.global_step
        if state.global_step == 0:
            self._score(state)
        self.trainer.tick()

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if state.global_step % self.every == 0 or state.global_step == state.max_steps:
            self._score(state)

    def _score(self, state: Any) -> None:
        trainer = self.trainer
        if state.is_world_process_zero:
            began = time.monotonic()
            model = trainer.accelerator.unwrap_model(trainer.model)
            scores = self.heldout.scores(model, trainer.accelerator.autocast())
            state.log_history.append({"step": state.global_step, "heldout": scores})
            spent = time.monotonic() - began
            trainer.clock, trainer.seconds = trainer.clock + spent, trainer.seconds + spent


class _Save(Checkpoints):
    """Save when the main process's clock says so, with the place in the text."""

    def __init__(self, trainer: _Trainer, seconds: float) -> None:
        super().__init__(seconds)
        self.trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.trainer.position()  # in every process: what the stream remembers of the way does not grow with the text
        if state.global_step == state.max_steps:
            control.should_log = True  # the last interval may be a short one
        elif state.global_step % args.logging_steps == 0:
            due = [time.monotonic() - self.last >= self.seconds]
            control.should_save = broadcast_object_list(due)[0]

    def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.trainer.accelerator.wait_for_everyone()  # each process writes its own random state
        if state.is_world_process_zero:
            self.trainer.tick()
            text = json.dumps({**self.trainer.position()._asdict(), "seconds": self.trainer.seconds})
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / _POSITION).write_text(text, encoding="utf-8")
            super().on_save(args, state, control, **others)
        self.last = time.monotonic()


def _read_position(checkpoint: Path) -> tuple[Position, float]:
    value = json.loads((checkpoint / _POSITION).read_text(encoding="utf-8"))
    return Position(value["number"], Place(*value["place"]), value["behind"]), value["seconds"]


def processes() -> int:
    """Return how many processes train together, and join the others, where `torchrun` or `accelerate` started them."""
    return int(PartialState(cpu=not torch.accelerator.is_available()).num_processes)


def is_main() -> bool:
    """Return whether this process is the one that writes."""
    return bool(PartialState().is_main_process)


@contextmanager
def shared_run_folder(store: Path, key: str) -> Iterator[tuple[Path, Path | None]]:
    """Give all processes the folder of a run and its last checkpoint; the main process alone holds the lock.

    Raises InputError, in all of them, when the main process cannot have the folder.
    """
    with ExitStack() as stack:
        shared: list[Any] = [None]
        if is_main():
            try:
                shared = [last_checkpoint(stack.enter_context(run_folder(store, key)))]
            except InputError as error:
                shared = [error]
        broadcast_object_list(shared)
        if isinstance(shared[0], InputError):
            raise shared[0]
        yield store / key, shared[0]


Scores = dict[str, float | None]


def merged(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a batch as the model takes it: what stands for noised words becomes a target beside the masked pieces.

    `nlm_labels` stay where there are character inputs.
    """
    labels, originals = batch["labels"], batch["originals"]
    inputs = {name: value for name, value in batch.items() if name not in ("originals", "nlm_labels")}
    inputs["labels"] = torch.where(labels == IGNORED, originals, labels)
    if "char_input_ids" in batch:
        inputs["nlm_labels"] = batch["nlm_labels"]
    return inputs


@dataclass
class _Mean:
    total: float = 0.0
    count: int = 0

    def add(self, values: torch.Tensor) -> None:
        self.total, self.count = self.total + float(values.double().sum()), self.count + values.numel()

    @property
    def value(self) -> float | None:
        return self.total / self.count if self.count and math.isfinite(self.total) else None


@dataclass(frozen=True)
class HeldOut:
    """Blocks that are never trained on, noised and masked once."""

    blocks: Sequence[Block]
    collator: BlockCollator
    batch_size: int

    def scores(self, model: PreTrainedModel, autocast: AbstractContextManager[None]) -> Scores:
        """Score a model, in evaluation mode; its mode is put back. A score that is not finite is None.

        `mlm_loss` and `perplexity` (its exponential) are over masked pieces; `noised_loss` over the pieces of noised
        words (`advbert`); `nlm_loss`, `hit_at_1`, `hit_at_5` over the pieces of noised words that are among the terms
        (`charbert`). Losses are in nats, hits are shares.
        """
        means = {name: _Mean() for name in ("mlm_loss", "noised_loss", "nlm_loss", "hit_at_1", "hit_at_5")}
        training = model.training
        model.train(False)
        with torch.no_grad(), autocast:
            for first in range(0, len(self.blocks), self.batch_size):
                self._add(means, model, self.collator(self.blocks[first : first + self.batch_size]))
        model.train(training)
        scores: Scores = {name: mean.value for name, mean in means.items() if mean.count}
        loss = scores.get("mlm_loss")
        return {"perplexity": math.exp(min(loss, 700.0)) if loss is not None else None} | scores

    def _add(self, means: dict[str, _Mean], model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> None:
        batch = {name: value.to(model.device) for name, value in batch.items()}
        inputs = merged(batch)
        outputs = model(**inputs)
        targets = inputs["labels"][inputs["labels"] != IGNORED]
        masked = (batch["labels"] != IGNORED)[inputs["labels"] != IGNORED]
        losses = cross_entropy(outputs["logits"].float(), targets, reduction="none")
        means["mlm_loss"].add(losses[masked])
        means["noised_loss"].add(losses[~masked])
        if "nlm_labels" in inputs:
            terms = inputs["nlm_labels"][inputs["nlm_labels"] != IGNORED]
            logits = outputs["nlm_logits"].float()
            means["nlm_loss"].add(cross_entropy(logits, terms, reduction="none"))
            hits = logits.topk(min(5, logits.shape[-1])).indices == terms[:, None]
            means["hit_at_1"].add(hits[:, 0])
            means["hit_at_5"].add(hits.any(1))
