"""What defences are trained on: lines of plain text, or the data of a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from robustbench_char.attack_sets.attack import source_sha256
from robustbench_char.attack_sets.manifest import manifest_of_training
from robustbench_char.common import InputError
from robustbench_char.common.files import safe_name
from robustbench_char.common.lines import check_text_file
from robustbench_char.records.training import TrainedAttackInfo
from robustbench_char.tasks.base import NativeFile, Task
from robustbench_char.tasks.sources import open_source


def text_lines(paths: Sequence[Path]) -> Iterator[str]:
    """Yield the lines of plain text files.

    Raises InputError for a file that is missing, empty, or not UTF-8 text, with its line.
    """
    for path in paths:
        yield from _lines(check_text_file(path, option="`text=`", holding="plain text"))


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                text, wrong = line.decode(), "a zero byte, as binary files have"
            except UnicodeDecodeError as error:
                text, wrong = "\0", f"bytes that are not UTF-8 ({error.reason})"
            if "\0" in text:
                where, fix = f"{path}:{number}", "Give `text=` plain text; convert it to UTF-8."
                raise InputError(where, found=wrong, expected="plain text in UTF-8", fix=fix)
            yield text.rstrip("\r\n")


def task_data(task: Task | None, named: dict[str, Any]) -> NativeFile | None:
    """Return the data of a task, or None where only plain text is read."""
    if task is not None:
        return open_source(task, **named)
    if any(value is not None and value is not False for value in named.values()):
        raise InputError("--task", found="a data set without a task", expected="the task that the data belong to",
                         fix="Name the task, or give plain text.")  # fmt: skip
    return None


def named(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Return what records say of files: names, hashes and, of those that an attack wrote, the attack."""
    return [_named(path, source_sha256(path)) for path in paths]


def _named(path: Path, sha256: str) -> dict[str, Any]:
    manifest = manifest_of_training(path, sha256)
    attack = {} if manifest is None else {"attack": TrainedAttackInfo.of(manifest).model_dump(mode="json")}
    return {"name": safe_name(path.name), "sha256": sha256, **attack}


def attacks_in(training: Mapping[str, Any]) -> list[TrainedAttackInfo]:
    """Return the attacks that texts of a defence's training had gone through, by its record.

    Raises ValueError where that is none.
    """
    texts = training.get("texts", [])
    if not isinstance(texts, list) or not all(isinstance(one, dict) for one in texts):
        raise ValueError("texts with names and hashes")
    return [TrainedAttackInfo.model_validate(one["attack"], strict=False) for one in texts if "attack" in one]
