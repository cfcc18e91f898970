"""Training of the word recogniser, and the measure of its price."""

from robustbench_char.training.wordrec.info import recogniser_info
from robustbench_char.training.wordrec.price import measure_price
from robustbench_char.training.wordrec.train import RecogniserSettings, train_recogniser

__all__ = ["RecogniserSettings", "measure_price", "recogniser_info", "train_recogniser"]
