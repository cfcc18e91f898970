"""What tells how far a job of training is: callbacks of the Trainer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustbench_char.common.process import write_status
from robustbench_char.experiments._jobs import Call

if TYPE_CHECKING:
    from transformers import TrainerCallback

__all__ = ["callbacks_of"]


def callbacks_of(call: Call) -> list[TrainerCallback]:
    """Return what a training job tells while it runs: its status, and event files where they are asked for."""
    callbacks = [_status_writer(call.status)]
    return callbacks if call.events is None else [*callbacks, _tensorboard(call.events)]


def _status_writer(path: Path) -> TrainerCallback:
    """Return what writes step, steps in all and the latest loss as JSON, about once per second, for the live view."""
    from transformers import TrainerCallback

    class StatusWriter(TrainerCallback):
        loss: float | None = None
        last = 0.0

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
            self.loss = (logs or {}).get("loss", self.loss)

        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            if time.monotonic() - self.last >= 1.0:
                self.last = time.monotonic()
                write_status(path, step=state.global_step, steps=state.max_steps, loss=self.loss)

    return StatusWriter()


def _tensorboard(folder: Path) -> TrainerCallback:
    """Return the Trainer's own callback that writes event files."""
    import transformers.integrations
    from torch.utils.tensorboard import SummaryWriter

    library: Any = transformers.integrations
    callback: TrainerCallback = library.TensorBoardCallback(SummaryWriter(log_dir=str(folder)))
    return callback
