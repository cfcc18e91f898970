"""Defences that preprocess text: each maps the text as given to corrected text with the same number of words.

One folder per defence, with its training and its use; `models.system.Defence` is its interface. Needs the extra
`models`.
"""

from __future__ import annotations
