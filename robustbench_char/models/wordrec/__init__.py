"""The word recogniser (ScRNN): it corrects the words of a text before a system reads them."""

from robustbench_char.models.wordrec.correction import Correction
from robustbench_char.models.wordrec.files import BackOff
from robustbench_char.models.wordrec.network import ScRNN
from robustbench_char.models.wordrec.recogniser import Recogniser
from robustbench_char.models.wordrec.semi_characters import CharacterSet

__all__ = ["BackOff", "CharacterSet", "Correction", "Recogniser", "ScRNN"]
