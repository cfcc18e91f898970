"""mini: eight small data sets in the tasks' native formats, for demonstrations and tests, never for claims.

The files beside this module are generated: `python -m tools.mini` in the checkout writes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from robustbench_char.common.errors import InputError, nearest

__all__ = ["SPLITS", "TASKS", "TEXT", "file_name", "split_path"]

SPLITS = ("train", "dev", "test")
_GLUE = {split: f"{split}.tsv" for split in SPLITS}
_FILE_NAMES = {
    "squad_v1": {split: f"{split}-v1.1.json" for split in SPLITS},
    "squad_v2": {split: f"{split}-v2.0.json" for split in SPLITS},
    "cola": _GLUE, "mrpc": _GLUE, "qqp": _GLUE, "qnli": _GLUE,
    "conll2003": {"train": "train.txt", "dev": "valid.txt", "test": "test.txt"},
    "ptb_pos": {split: f"{split}.txt" for split in SPLITS},
}  # fmt: skip
TASKS = tuple(_FILE_NAMES)

_FOLDER = Path(__file__).parent
TEXT = _FOLDER / "text.txt"
"""Every text of the training splits once, one per line: what a demonstration pre-trains on."""


def file_name(task: str, split: str) -> str:
    """Return the native name of a file of mini. Raises InputError for an unknown task or split."""
    _check("task", task, TASKS)
    _check("split", split, SPLITS)
    return _FILE_NAMES[task][split]


def split_path(task: str, split: str) -> Path:
    """Return the file of one split of a task. Raises InputError for an unknown task or split."""
    return _FOLDER / task / file_name(task, split)


def _check(kind: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise InputError(f"mini {kind}", found=f"unknown {kind} {name!r}", expected=f"one of {', '.join(known)}",
                         fix=f"Correct the name.{nearest(name, known)}")  # fmt: skip
