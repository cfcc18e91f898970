"""From records to statistics: pairs of systems, seeds, breakdowns, profiles, what changed between two sets of results.

Never imports torch.
"""

from __future__ import annotations
