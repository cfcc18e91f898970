"""Helpers of the task tests: writing a small file, reading it, and writing it again."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from robustbench_char.tasks import Attacked, Edit, Example, NativeFile, Task, follow, get_task, open_native
from robustbench_char.tasks.base import token_text
from robustbench_char.tasks.formats._pairing import attacked_blocks
from robustbench_char.text.edits import apply_edits, in_order

Changes = Mapping[tuple[int, str], Sequence[Edit]]
"""Edits by row and field."""


def rewritten(file: NativeFile, attacked: Iterable[Attacked] | None = None) -> bytes:
    """Return what a file is written as; by default with every example as it is."""
    out = io.BytesIO()
    attacked = (Attacked(example, {}) for example in file.examples()) if attacked is None else attacked
    file.rewrite(out, attacked_blocks(file.blocks(), attacked))
    return out.getvalue()


def attacked_examples(task: Task, examples: Iterable[Example], changes: Changes) -> list[Attacked]:
    """Apply edits to examples, and let the labels follow."""
    result = []
    for example in examples:
        edits = {name: changes[example.row, name] for name in task.fields if (example.row, name) in changes}
        texts: dict[str, str | tuple[str, ...]] = {}
        for name, ordered in edits.items():
            text = apply_edits(token_text(example.fields[name]), in_order(ordered))
            texts[name] = tuple(text.split(" ")) if task.family == "tagging" else text
        result.append(Attacked(follow(task, example, texts, edits), edits))
    return result


def inverse(file: NativeFile, example: Example, field: str, edits: Sequence[Edit]) -> list[Edit]:
    """Return the edits that undo `edits`, in positions of the attacked text, spelled as the clean file was."""
    undo, shift = [], 0
    for edit in sorted(edits):
        end = edit.start + len(edit.removed)
        source = file.source(example, field, edit.start, end)
        spelled = edit.removed if source is None else source
        undo.append(Edit(edit.start + shift, edit.inserted, edit.removed, spelled))
        shift += len(edit.inserted) - len(edit.removed)
    return undo


def undone(task: Task, clean: NativeFile, attacked_path: Path, items: Sequence[Attacked]) -> bytes:
    """Return the attacked file with all edits undone."""
    examples = list(clean.examples())
    back = [
        Attacked(example, {name: inverse(clean, example, name, edits) for name, edits in item.edits.items()})
        for example, item in zip(examples, items, strict=True)
    ]
    return rewritten(open_native(task, attacked_path), back)


class Kit:
    """The helpers above, and files made of bytes."""

    rewritten = staticmethod(rewritten)
    attacked = staticmethod(attacked_examples)
    undone = staticmethod(undone)

    def __init__(self, folder: Path) -> None:
        self.folder, self._files = folder, 0

    def path(self, data: bytes | str, name: str = "data.txt") -> Path:
        """Write a new file."""
        self._files += 1
        path = self.folder / str(self._files) / name
        path.parent.mkdir()
        path.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
        return path

    def open(self, task: str | Task, data: bytes | str, name: str = "data.txt") -> NativeFile:
        """Write a new file and open it as data of a task."""
        return open_native(get_task(task) if isinstance(task, str) else task, self.path(data, name))


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """Return the helpers of the task tests."""
    return Kit(tmp_path_factory.mktemp("kit"))
