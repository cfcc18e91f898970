"""What stands before a model: it reads the text as given and hands on other text, as many words out as came in.

One folder per defence. Needs the extra `models`.
"""

from __future__ import annotations
