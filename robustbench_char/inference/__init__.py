"""Evaluating what predicts, and measuring what reads: scores as records, sensitivities, fragility, costs of a defence.

`evaluate` takes any source of predictions: a saved system (`load_system`), a registered predictor (`PredictorSource`),
what `predict_file` stored (`StoredPredictions`). To add another kind of source, write a class with the members of
`PredictionSource` in a file of its own. Model libraries (the extra `models`) are loaded when a saved system is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.common.registry import lazy_names
from robustbench_char.inference.evaluate import PredictionSource, evaluate
from robustbench_char.inference.predictors import PredictorSource
from robustbench_char.inference.results import Evaluation, Predictions

if TYPE_CHECKING:
    from robustbench_char.inference.fragility import measure_fragility
    from robustbench_char.inference.recogniser_cost import measure_price
    from robustbench_char.inference.sensitivity import Sensitivity, measure_sensitivity, profile_sentence
    from robustbench_char.inference.systems import SavedSystem, StoredPredictions, load_system, predict_file

__all__ = [
    "Evaluation",
    "PredictionSource",
    "Predictions",
    "PredictorSource",
    "SavedSystem",
    "Sensitivity",
    "StoredPredictions",
    "evaluate",
    "load_system",
    "measure_fragility",
    "measure_price",
    "measure_sensitivity",
    "predict_file",
    "profile_sentence",
]

__getattr__ = lazy_names(
    __name__,
    fragility="measure_fragility",
    systems="SavedSystem StoredPredictions load_system predict_file",
    recogniser_cost="measure_price",
    sensitivity="Sensitivity measure_sensitivity profile_sentence",
)
