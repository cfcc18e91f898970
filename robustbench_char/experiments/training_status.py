"""How far a training is: a small file that the runner's view reads, and event files for TensorBoard."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from robustbench_char.common import InputError

__all__ = ["StatusWriter", "tensorboard_callback"]

_EVERY = 1.0  # seconds between two writes


class StatusWriter(TrainerCallback):
    """Writes step, steps in all, and the latest loss as JSON, about once a second."""

    def __init__(self, path: Path) -> None:
        self.path, self.loss, self.last = path, None, 0.0

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
        if logs and "loss" in logs:
            self.loss = logs["loss"]

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if time.monotonic() - self.last < _EVERY:
            return
        self.last = time.monotonic()
        scratch = self.path.with_name(f".{self.path.name}")
        scratch.write_text(json.dumps({"step": state.global_step, "steps": state.max_steps, "loss": self.loss}))
        os.replace(scratch, self.path)


def tensorboard_callback(folder: Path) -> TrainerCallback:
    """Return the Trainer's own callback that writes event files. Raises InputError without the package."""
    import transformers.integrations

    library: Any = transformers.integrations
    if not library.is_tensorboard_available():
        raise InputError("--tensorboard", found="no package tensorboard", expected="the extra `tensorboard`",
                         fix="Install it: pip install 'robustbench-char[tensorboard]'.")  # fmt: skip
    from torch.utils.tensorboard import SummaryWriter

    callback: TrainerCallback = library.TensorBoardCallback(SummaryWriter(log_dir=str(folder)))
    return callback
