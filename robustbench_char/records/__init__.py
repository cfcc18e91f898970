"""What is known of a result: evaluation, counts, breakdowns, sensitivity, costs, each typed and with its provenance.

Never imports torch.
"""

from __future__ import annotations
