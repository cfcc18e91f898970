"""The word recogniser (ScRNN): it corrects the words of a text before a system reads them.

`train` makes one, `_recogniser` corrects with it and tells records what it is. What it costs in errors on clean text is
measured by `inference.defence_price`. Nothing is imported before it is used: commands read `options` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.common.registry import lazy_names

if TYPE_CHECKING:
    from robustbench_char.defences.wordrec._network import CharacterSet, ScRNN
    from robustbench_char.defences.wordrec._recogniser import Recogniser
    from robustbench_char.defences.wordrec.options import BackOff, RecogniserOptions, RecogniserSettings
    from robustbench_char.defences.wordrec.train import train_recogniser

__all__ = [
    "BackOff",
    "CharacterSet",
    "Recogniser",
    "RecogniserOptions",
    "RecogniserSettings",
    "ScRNN",
    "train_recogniser",
]

__getattr__ = lazy_names(
    __name__,
    _network="CharacterSet ScRNN",
    options="BackOff RecogniserOptions RecogniserSettings",
    _recogniser="Recogniser",
    train="train_recogniser",
)
