"""mini: eight small data sets in the tasks' native formats, generated from our own grammar, word lists and facts.

For demonstrations and tests, never for claims. `words/` holds the word lists, `templates/` the sentences, `world.py`
the facts; `files.py` writes them. The same bytes come out on every machine: see `draw.py`.
"""

from __future__ import annotations

from robustbench_char.tasks.mini.draw import SPLITS
from robustbench_char.tasks.mini.files import FILE_NAMES, TASKS, file_name, split_bytes, write_split

__all__ = ["FILE_NAMES", "SPLITS", "TASKS", "file_name", "split_bytes", "write_split"]
