"""Words and their offsets, alphabets, keyboard layouts, stop words: data and pure functions.

To add an alphabet, a layout or a word splitter: one entry in the table of its file.
"""

from __future__ import annotations

from robustbench_char.text.columns import Column
from robustbench_char.text.words import SPLITTERS, Words

__all__ = ["SPLITTERS", "Column", "Words"]
