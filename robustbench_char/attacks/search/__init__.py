"""The worst case: of all edits that a suite allows, those that hurt a model most. No model library is loaded here.

`space` lists what may be done to a text, `searches` say in which order it is tried, `objectives` how much it hurts.
A search is a generator: it yields states that it asks about and is sent their values, so that many searches can share
the batches of one model. To add a search, write its generator in `searches` and register it there.
"""

from __future__ import annotations

from robustbench_char.attacks.search.searches import SEARCHES, Found, Step, Value, search
from robustbench_char.attacks.search.space import Option, Space, State, constraints, spaces

__all__ = ["SEARCHES", "Found", "Option", "Space", "State", "Step", "Value", "constraints", "search", "spaces"]
