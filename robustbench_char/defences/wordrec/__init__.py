"""The word recogniser (ScRNN): it corrects the words of a text before a system reads them.

`train` makes one, `recogniser` corrects with it, `info` says what records say of it.
"""

from robustbench_char.defences.wordrec.files import BackOff
from robustbench_char.defences.wordrec.info import recogniser_info
from robustbench_char.defences.wordrec.network import ScRNN
from robustbench_char.defences.wordrec.recogniser import Recogniser
from robustbench_char.defences.wordrec.semi_characters import CharacterSet
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
