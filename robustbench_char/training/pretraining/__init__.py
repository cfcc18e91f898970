"""Pre-training from plain text: `bert_mlm`, `advbert` and `charbert` from one pipeline.

The way of the text: `corpus` reads chunks of lines; `noise` attacks them, says which pieces stand for noised words and
masks whole words; `blocks` packs what remains to be learnt; `run` trains on it with `trainer`.
"""

from __future__ import annotations
