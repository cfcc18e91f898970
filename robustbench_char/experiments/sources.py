"""The data of a benchmark: which file of the data folder is which, and how a worker opens it again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustbench_char.attack_sets.attack import source_sha256
from robustbench_char.common import InputError
from robustbench_char.experiments.spec import Benchmark, TaskSpec
from robustbench_char.tasks import mini
from robustbench_char.tasks.base import NativeFile, Task
from robustbench_char.tasks.formats import open_native
from robustbench_char.tasks.sources import open_source

__all__ = ["LAYOUT", "MINI", "Source", "TaskData", "text_path"]

MINI = "mini"
"""The text that is made of the generated data sets."""

LAYOUT = {
    "squad_v1": ("squad/train-v1.1.json", "squad/dev-v1.1.json"),
    "squad_v2": ("squad/train-v2.0.json", "squad/dev-v2.0.json"),
    "cola": ("glue/CoLA/train.tsv", "glue/CoLA/dev.tsv"),
    "mrpc": ("glue/MRPC/train.tsv", "glue/MRPC/test.tsv"),
    "qqp": ("glue/QQP/train.tsv", "glue/QQP/dev.tsv"),
    "qnli": ("glue/QNLI/train.tsv", "glue/QNLI/dev.tsv"),
    "conll2003": ("conll2003/train.txt", "conll2003/test.txt"),
    "ptb_pos": ("ptb/wsj@train", "ptb/wsj@test"),
}
"""Train and test file of each task below the data folder, as the sets are released; MRPC's test labels are public."""

_HUB_TEST = {"mrpc": "test", "conll2003": "test"}  # elsewhere labels of test are not public
_TREES = "@"  # FOLDER@SPLIT: the sections of that split


@dataclass(frozen=True)
class Source:
    """One file of data, as plain values: a worker on another machine opens it again. `kind` is files, mini or hub.

    `path` is a file, a folder of trees (with `split`, by sections), or empty for mini and the hub (by `split`).
    """

    kind: str
    path: str = ""
    split: str | None = None

    def open(self, task: Task) -> NativeFile:
        """Open it. Raises InputError as the readers do."""
        if self.kind == "hub":
            return open_source(task, hub=True, split=self.split)
        if self.kind == "mini":
            return open_source(task, data="mini", split=self.split)
        if self.split:
            return open_source(task, data_dir=Path(self.path), split=self.split)
        return open_native(task, Path(self.path))

    def sha256(self, task: Task) -> str:
        """Return the hash of what it holds."""
        return source_sha256(self.open(task).path) + (f"@{self.split}" if self.path and self.split else "")

    def plain(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"kind": self.kind, "path": self.path, "split": self.split}


@dataclass(frozen=True)
class TaskData:
    """The training data (None where nothing is trained) and the test data of a task."""

    train: Source | None
    test: Source

    @classmethod
    def of(cls, spec: Benchmark, task: Task, asked: TaskSpec, folder: Path) -> TaskData:
        """Return the data of a task. Raises InputError where the spec does not say where they are."""
        kind = asked.data or spec.data
        if kind != "files":
            test = asked.test or (_HUB_TEST.get(task.name, "dev") if kind == "hub" else "test")
            train = Source(kind, split=asked.train or "train")
            return cls(train if asked.train_systems else None, Source(kind, split=test))
        known = LAYOUT.get(task.name, (None, None))
        train_path, test_path = asked.train or known[0], asked.test or known[1]
        for key, path in (("train", train_path if asked.train_systems else "."), ("test", test_path)):
            if path is None:
                raise InputError(
                    f"tasks.{task.name}.{key}",
                    found="no such key",
                    expected="a path below the data folder, for a task of your own",
                    fix="Add the key.",
                )
        return cls(_file(folder, train_path) if asked.train_systems and train_path else None,
                   _file(folder, str(test_path)))  # fmt: skip


def text_path(name: str) -> Path:
    """Return the file of plain text that a name or path stands for."""
    return mini.TEXT if name == MINI else Path(name)


def _file(folder: Path, path: str) -> Source:
    name, at, split = path.rpartition(_TREES)
    return Source("files", str((folder / (name if at else path)).resolve()), split if at else None)
