"""The native formats: one file each, registered by name, and the one way to open a file of any task.

To add a format, write a class as `NativeFile` asks for, taking (task, path), and register it here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from robustbench_char.common.errors import InputError
from robustbench_char.common.files import check_file
from robustbench_char.common.registry import Registry
from robustbench_char.tasks.base import NativeFile, Task

__all__ = ["FORMATS", "TABLES", "open_native"]

FORMATS: Registry[Callable[[Task, Path], NativeFile]] = Registry("format")
"""What opens a file of a task, by the task's `format`."""

TABLES: Registry[Callable[[Task, Path], NativeFile]] = Registry("table")
"""What opens a table in the hub's layout, by suffix; any task may come in one."""

FORMATS.register("glue_tsv", "robustbench_char.tasks.formats.glue_tsv:GlueTsv")
FORMATS.register("csv", "robustbench_char.tasks.formats.csv_file:CsvFile")
FORMATS.register("conll", "robustbench_char.tasks.formats.conll:Conll")
FORMATS.register("ptb", "robustbench_char.tasks.formats.ptb:open_ptb")
FORMATS.register("squad_json", "robustbench_char.tasks.formats.squad_json:SquadJson")
TABLES.register(".jsonl", "robustbench_char.tasks.formats.json_lines:JsonLines")
TABLES.register(".parquet", "robustbench_char.tasks.formats.table:ParquetTable")
_SEPARATED = {".csv": "csv", ".tsv": "glue_tsv"}


def open_native(task: Task, path: Path, *, option: str = "--input") -> NativeFile:
    """Open a file of a task: a table by its suffix, anything else in the task's own format; nothing is read yet.

    A classification may come as CSV or TSV, by suffix, whichever of them is its own format. Raises InputError where
    there is no such file. A Penn Treebank may be a folder of trees.
    """
    if not (path.exists() or path.is_symlink()):
        raise InputError(path, found="no such file or folder", expected=f"data of the task {task.name}",
                         fix=f"Check the path given to {option}.")  # fmt: skip
    if task.format != "ptb":
        check_file(path, option=option)
    if path.suffix in TABLES:
        return TABLES.get(path.suffix)(task, path)
    named = _SEPARATED.get(path.suffix) if task.family == "classification" else None
    return FORMATS.get(named or task.format)(task, path)
