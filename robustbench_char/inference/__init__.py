"""Loading a system and having it read text: predictions, their scores as records, and sensitivities.

Needs the extra `models`.
"""

from __future__ import annotations
