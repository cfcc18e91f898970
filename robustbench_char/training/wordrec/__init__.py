"""Training of the word recogniser, and the measure of its price."""

from robustbench_char.training.wordrec.price import Price, recognition_price
from robustbench_char.training.wordrec.train import RecogniserSettings, train_recogniser

__all__ = ["Price", "RecogniserSettings", "recognition_price", "train_recogniser"]
