"""The training loop: the Hugging Face Trainer with our order of examples, our checkpoints, one progress bar."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress
from safetensors import SafetensorError
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from robustbench_char.common import InputError
from robustbench_char.common.files import not_writable
from robustbench_char.common.options import Option
from robustbench_char.common.process import progress_bar, random_state_kept
from robustbench_char.models.attention import attention_for_training
from robustbench_char.models.checkpoints import quiet
from robustbench_char.training.batches import Collator, LengthGroupedSampler, PairCollator, divergence, length_of
from robustbench_char.training.checkpoints import last_checkpoint, mark_complete
from robustbench_char.training.features import TrainingSet
from robustbench_char.training.options import Settings

__all__ = ["Loop"]

T = TypeVar("T", bound="CheckpointTrainer")

LOGS = 50
"""Entries of the log of the loss, at least."""
_LOG_KEYS = ("step", "epoch", "loss", "learning_rate", "grad_norm")


@dataclass(frozen=True)
class Loop:
    """How training runs, none of which changes the result: where checkpoints stand, how often they are written."""

    folder: Path
    save_seconds: float
    progress: bool
    callbacks: tuple[TrainerCallback, ...] = ()

    def train(
        self,
        model: PreTrainedModel,
        data: TrainingSet,
        collator: Collator,
        settings: Settings,
        new: frozenset[str] = frozenset(),
    ) -> list[dict[str, float | None]]:
        """Train `model` in place, from the last complete checkpoint if there is one, and return the log of the loss.

        `new` names the parameters that `settings.new_learning_rate` is for. Process-wide random state is put back.
        """
        settings = settings.model_copy(update={"batch_size": data.batch_size(settings.batch_size)})
        if not (steps := data.steps(settings.epochs, settings.batch_size)):
            return []
        once = len(data.passes) > 1
        length = {"max_steps": steps} if once else {"num_train_epochs": settings.epochs}

        def make(bar: Bar) -> _Trainer:
            trainer = _Trainer(
                model=model,
                args=arguments_of(settings, self.folder, steps, **length),
                train_dataset=cast(Any, data.samples),
                data_collator=PairCollator(collator) if data.consistency else collator,
                callbacks=[Checkpoints(self.save_seconds), bar, *self.callbacks],
            )
            trainer.new, trainer.new_learning_rate = new, settings.new_learning_rate
            trainer.passes, trainer.consistency = data.passes, data.consistency
            return trainer

        trainer = self.run(make, last_checkpoint(self.folder))
        refuse_diverged(model, "learning_rate")
        entries = [entry for entry in trainer.state.log_history if "loss" in entry]
        if once:  # the Trainer took all epochs for one
            entries = [{**entry, "epoch": settings.epochs * entry["step"] / steps} for entry in entries]
        # JSON has no word for a number that is not finite
        return [{key: entry[key] if math.isfinite(entry[key]) else None for key in _LOG_KEYS} for entry in entries]

    def run(self, make: Callable[[Bar], T], start: Path | None) -> T:
        """Train with the Trainer that `make` returns, from a checkpoint if there is one, and return it."""
        with quiet(), random_state_kept(), torch.random.fork_rng(), progress_bar(self.progress) as bar:
            trainer = make(Bar(bar))
            trainer.remove_callback(PrinterCallback)
            with attention_for_training(cast(PreTrainedModel, trainer.model), bf16=trainer.args.bf16):
                trainer.train(resume_from_checkpoint=str(start) if start else None)
        return trainer


def arguments_of(settings: Any, folder: Path, steps: int, **more: Any) -> TrainingArguments:
    """Return what the Trainer is told of settings of either kind of training, with a log entry every few steps."""
    arguments = TrainingArguments(
        output_dir=str(folder),
        learning_rate=settings.learning_rate,
        per_device_train_batch_size=settings.batch_size,
        warmup_steps=math.ceil(settings.warmup * steps),
        weight_decay=settings.weight_decay,
        bf16=settings.bf16,
        seed=settings.seed,
        use_cpu=not torch.accelerator.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        logging_steps=max(1, steps // LOGS),
        save_strategy="no",  # Checkpoints decides by time
        report_to="none",
        disable_tqdm=True,
        log_level="error",
        **more,
    )
    # The Trainer would give each GPU a batch of its own: another training than was asked for.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def refuse_diverged(model: PreTrainedModel, *options: str) -> None:
    """Raise InputError, which names the options that set learning rates, when a weight is not a finite number."""
    if not all(weight.isfinite().all() for weight in model.parameters()):
        raise InputError(
            Option(options[0]),
            found="weights that are not numbers: training diverged",
            expected="a lower learning rate",
            fix=f"Lower {' or '.join(f'`{option}=`' for option in options)}.",
        )


class CheckpointTrainer(Trainer):
    """The Trainer; a store that cannot take a checkpoint is an InputError.

    Parameters named in `new` have the learning rate `new_learning_rate` (None: that of the others).
    """

    new: frozenset[str] = frozenset()
    new_learning_rate: float | None = None

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Give new parameters their own learning rate; neither biases nor norms decay."""
        if self.new_learning_rate is None:
            return super().create_optimizer()
        if self.optimizer is None:
            trained: Any = self.model
            decays = set(self.get_decay_parameter_names(trained))
            groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
            for name, weight in trained.named_parameters():
                if weight.requires_grad:
                    groups.setdefault((name in self.new, name in decays), []).append(weight)
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, trained)
            table = [
                {
                    "params": weights,
                    "lr": self.new_learning_rate if new else self.args.learning_rate,
                    "weight_decay": self.args.weight_decay if decay else 0.0,
                }
                for (new, decay), weights in sorted(groups.items())
            ]
            self.optimizer = kind(table, **options)
        return self.optimizer

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 0: nobody reads the count, which goes through all parameters in each step."""
        return 0

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        try:
            super()._save_checkpoint(model, trial)
        # torch and safetensors have their own errors for a full disk
        except (OSError, RuntimeError, SafetensorError) as error:
            raise not_writable(Path(str(self.args.output_dir)), error, "`store=`") from error


class _Trainer(CheckpointTrainer):
    """The Trainer with our own order of training examples, and `consistency` times the divergence in pairs."""

    passes: Sequence[npt.NDArray[np.int64]] = ()
    consistency: float = 0.0

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedSampler:
        samples: Any = self.train_dataset if train_dataset is None else train_dataset
        lengths = [length_of(sample) for sample in samples]
        return LengthGroupedSampler(lengths, self.args.train_batch_size, self.args.seed, self.passes)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the loss of the batch, with its outputs where they are asked for."""
        if not self.consistency:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        compared = inputs.pop("compared")
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        loss = loss + self.consistency * divergence(outputs["logits"], compared)
        return (loss, outputs) if return_outputs else loss


class Checkpoints(TrainerCallback):
    """Save when it is time, but only with a log entry: the losses since the last one are in no checkpoint."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.last = seconds, time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        due = time.monotonic() - self.last >= self.seconds
        if due and state.global_step % args.logging_steps == 0 and state.global_step < state.max_steps:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        mark_complete(Path(args.output_dir) / f"checkpoint-{state.global_step}")
        self.last = time.monotonic()


class Bar(TrainerCallback):
    """Show steps and the latest loss."""

    def __init__(self, bar: Progress) -> None:
        self.bar = bar
        self.task = bar.add_task("training", total=None)

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.bar.update(self.task, total=state.max_steps, completed=state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.bar.update(self.task, completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
        if logs and "loss" in logs:
            self.bar.update(self.task, description=f"training, loss {float(logs['loss']):.3f}")
