"""Tasks: their examples, how their files are read and written, and how labels follow an attack.

One file per family (`classification`, `tagging`, `question_answering`) holds the records of its tasks; `formats` holds
one file per native format. To add a task, write its record and one line in `registry`.
"""

from __future__ import annotations

from robustbench_char.tasks.base import Answer, Attacked, Example, NativeFile, Task
from robustbench_char.tasks.formats import open_native
from robustbench_char.tasks.registry import TASKS, follow, get_task
from robustbench_char.tasks.sources import open_source
from robustbench_char.text.edits import Edit

__all__ = [
    "TASKS",
    "Answer",
    "Attacked",
    "Edit",
    "Example",
    "NativeFile",
    "Task",
    "follow",
    "get_task",
    "open_native",
    "open_source",
]
