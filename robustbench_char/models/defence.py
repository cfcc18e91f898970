"""What a model asks of a defence that stands before it. The defences themselves stand in the room `defences`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from robustbench_char.text.corrections import Correction

__all__ = ["Defence"]


class Defence(Protocol):
    """It reads text as given and hands on other text, as many words out as came in."""

    def correct(self, sentences: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
        """Return the sentences with their words corrected, none added and none left out."""

    def correct_texts(self, texts: Sequence[str]) -> Sequence[Correction]:
        """Return each text corrected, with the way back to its offsets as given."""

    def save(self, folder: Path) -> None:
        """Write what the defence is loaded from."""
