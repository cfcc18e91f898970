"""Examples of a report: the explorer (`payload`), and the worst and the best kept one as cards (`choice`, `cards`)."""

from __future__ import annotations

from robustbench_char.analysis.pairs import Pair
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.blocks import Block, Card, Explorer, Note, Section
from robustbench_char.reports.evidence import Evidence
from robustbench_char.reports.examples._cards import make_cards, short_card
from robustbench_char.reports.examples._choice import OUTCOMES, Changed, changed_examples, extremes
from robustbench_char.reports.examples._payload import sample

__all__ = ["first_screen", "sections"]


def sections(evidence: Evidence) -> list[Section]:
    """Return the section of examples; it says so where texts were left out or there are no predictions."""
    return [Section("examples", "Examples", tuple(_blocks(evidence)))]


def _blocks(evidence: Evidence) -> list[Block]:
    if not evidence.examples:
        return [Note("This report was made without examples.")]
    systems = ((pair, pair.attacked.system) for pair in (*evidence.pairs, *evidence.searched))
    learnt = [pair for pair, own in systems if evidence.has_learnt(pair.attacked.task, own.shown, own.base)]
    changed = changed_examples(learnt)
    if not any(len(table) for _, table in changed):
        return [Note("No examples can be shown: the folders hold no predictions on both clean and attacked data.")]
    meaning = " ".join(f"{outcome.capitalize()}: {text}." for outcome, text in OUTCOMES.items())
    return [Note(f"{meaning} … is left-out text."), *_explorer(changed, evidence)]


def first_screen(pair: Pair) -> list[Card]:
    """Return the worst and the best kept example of one system under one attack as short cards."""
    return [short_card(card) for card in make_cards(extremes(pair))]


def _explorer(changed: list[Changed], evidence: Evidence) -> list[Block]:
    shown, packed = sample(changed, evidence.sensitivities, evidence.searches)
    share, rule = f"all {formatting.plural(shown.total, 'result')}", ""
    if shown.shown < shown.total:
        share = f"{shown.shown:,} of {shown.total:,} results"
        rule = ": of each attack on each task equally many examples, in the order of the SHA-256 of suite and id"
    what = f"The explorer holds {share} (an example that an attack changed, by a system){rule}."
    return [Note(what), Explorer(packed, "without them the tables are all there is.")]
