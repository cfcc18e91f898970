"""Examples of a report: chosen by rule (`choice`), as cards (`cards`) and packed for the explorer (`payload`)."""

from __future__ import annotations

from robustbench_char.reports.examples.cards import make_cards
from robustbench_char.reports.examples.choice import HOW_CHOSEN, OUTCOMES, Changed, changed_examples, choose
from robustbench_char.reports.examples.payload import sample

__all__ = ["HOW_CHOSEN", "OUTCOMES", "Changed", "changed_examples", "choose", "make_cards", "sample"]
