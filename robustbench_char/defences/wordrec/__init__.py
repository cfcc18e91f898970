"""The word recogniser (ScRNN): it corrects the words of a text before a system reads them.

`train` makes one, `recogniser` corrects with it and tells records what it is. What it costs in errors on clean text is
measured by `inference.recogniser_cost`.
"""

from robustbench_char.defences.wordrec.files import BackOff
from robustbench_char.defences.wordrec.network import CharacterSet, ScRNN
from robustbench_char.defences.wordrec.recogniser import Recogniser, recogniser_info
from robustbench_char.defences.wordrec.train import RecogniserSettings, train_recogniser

__all__ = [
    "BackOff",
    "CharacterSet",
    "Recogniser",
    "RecogniserSettings",
    "ScRNN",
    "recogniser_info",
    "train_recogniser",
]
