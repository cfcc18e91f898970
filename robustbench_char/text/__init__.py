"""Words and offsets, characters, alphabets, keyboards, stop words, misspellings: data and pure functions, no torch.

To add an alphabet or a layout: one entry in `letters`; a word splitter: a function from a `Column` to its `Words` and
one line in `words`. Never change an entry that results depend on: add a new one under a new name.
"""

from __future__ import annotations

from robustbench_char.text.columns import Column
from robustbench_char.text.corrections import Correction
from robustbench_char.text.letters import ALPHABETS, LAYOUTS
from robustbench_char.text.misspellings import read_misspellings
from robustbench_char.text.words import SPLITTERS, STOP_WORDS, Words

__all__ = ["ALPHABETS", "LAYOUTS", "SPLITTERS", "STOP_WORDS", "Column", "Correction", "Words", "read_misspellings"]
