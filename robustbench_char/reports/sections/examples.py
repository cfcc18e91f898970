"""Twenty examples with their edits marked, and what the system said before and after."""

from __future__ import annotations

from robustbench_char.reports.blocks import Block, Evidence, Note, Section
from robustbench_char.reports.cards import make_cards
from robustbench_char.reports.choice import HOW_CHOSEN, OUTCOMES, choose

__all__ = ["sections"]


def sections(evidence: Evidence) -> list[Section]:
    """Return the section of examples; it says so where texts were left out or no predictions are there."""
    if not evidence.examples:
        return _only("This report was made without examples.")
    cards = make_cards(choose(evidence.pairs))
    if not cards:
        return _only("No examples can be shown: the folders hold no predictions on both clean and attacked data.")
    meaning = (
        " ".join(f"{outcome.capitalize()}: {text}." for outcome, text in OUTCOMES.items()) + " … is left-out text."
    )
    blocks: tuple[Block, ...] = (Note(HOW_CHOSEN), Note(meaning), *cards)
    return [Section("examples", "Examples", blocks)]


def _only(text: str) -> list[Section]:
    return [Section("examples", "Examples", (Note(text),))]
