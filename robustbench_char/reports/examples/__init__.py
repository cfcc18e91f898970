"""Examples of a report: the section, and how they are chosen by rule (`choice`), shown as cards (`cards`) and packed
for the explorer (`payload`)."""

from __future__ import annotations

from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.blocks import Block, Explorer, Note, Section
from robustbench_char.reports.evidence import Evidence
from robustbench_char.reports.examples._cards import make_cards
from robustbench_char.reports.examples._choice import HOW_CHOSEN, OUTCOMES, Changed, changed_examples, choose
from robustbench_char.reports.examples._payload import sample

__all__ = ["sections"]


def sections(evidence: Evidence) -> list[Section]:
    """Return the section of examples; it says so where texts were left out or there are no predictions."""
    return [Section("examples", "Examples", tuple(_blocks(evidence)))]


def _blocks(evidence: Evidence) -> list[Block]:
    if not evidence.examples:
        return [Note("This report was made without examples.")]
    changed = changed_examples(evidence.pairs)
    cards = make_cards(choose(changed))
    if not cards:
        return [Note("No examples can be shown: the folders hold no predictions on both clean and attacked data.")]
    meaning = " ".join(f"{outcome.capitalize()}: {text}." for outcome, text in OUTCOMES.items())
    return [Note(f"{meaning} … is left-out text."), *_explorer(changed, evidence), Note(HOW_CHOSEN), *cards]


def _explorer(changed: list[Changed], evidence: Evidence) -> list[Block]:
    shown, packed = sample(changed, evidence.sensitivities)
    share, rule = f"all {formatting.plural(shown.total, 'result')}", ""
    if shown.shown < shown.total:
        share = f"{shown.shown:,} of {shown.total:,} results"
        rule = ": of each attack on each task equally many examples, in the order of the SHA-256 of suite and id"
    what = f"The explorer holds {share} (an example that an attack changed, by a system){rule}."
    return [Note(what), Explorer(packed, "twenty examples stand below all the same.")]
