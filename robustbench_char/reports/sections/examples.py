"""The example explorer, and twenty examples by rule: edits marked, with the predictions before and after."""

from __future__ import annotations

from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Block, Explorer, Note, Section
from robustbench_char.reports.evidence import Evidence
from robustbench_char.reports.examples import (
    HOW_CHOSEN,
    OUTCOMES,
    Changed,
    changed_examples,
    choose,
    make_cards,
    sample,
)

__all__ = ["sections"]


def sections(evidence: Evidence) -> list[Section]:
    """Return the section of examples; it says so where texts were left out or there are no predictions."""
    if not evidence.examples:
        return _note("This report was made without examples.")
    changed = changed_examples(evidence.pairs)
    cards = make_cards(choose(changed))
    if not cards:
        return _note("No examples can be shown: the folders hold no predictions on both clean and attacked data.")
    meaning = (
        " ".join(f"{outcome.capitalize()}: {text}." for outcome, text in OUTCOMES.items()) + " … is left-out text."
    )
    blocks: tuple[Block, ...] = (Note(meaning), *_explorer(changed, evidence), Note(HOW_CHOSEN), *cards)
    return [Section("examples", "Examples", blocks)]


def _explorer(changed: list[Changed], evidence: Evidence) -> list[Block]:
    shown, packed = sample(changed, evidence.sensitivities)
    share = f"all {formatting.plural(shown.total, 'result')}"
    rule = ""
    if shown.shown < shown.total:
        share = f"{shown.shown:,} of {shown.total:,} results"
        rule = ": of each attack on each task equally many examples, in the order of the SHA-256 of suite and id"
    what = f"The explorer holds {share} (an example that an attack changed, by a system){rule}."
    return [Note(what), Explorer(packed, "twenty examples stand below all the same.")]


def _note(text: str) -> list[Section]:
    return [Section("examples", "Examples", (Note(text),))]
