"""What stands before a model: it reads the text as given and hands on other text, as many words out as came in.

One folder per defence, which trains or builds it and corrects with it; `models.system.Defence` is what a model asks of
it. Needs the extra `models`.
"""

from __future__ import annotations
