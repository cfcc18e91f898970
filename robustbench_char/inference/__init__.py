"""Evaluation of systems and predictors, and measurements of encoders: scores, sensitivity, fragility, defence costs.

`evaluate.evaluate` takes any source of predictions: a saved system (`load_system`), a registered predictor
(`PredictorSource`), what `predict_file` stored (`StoredPredictions`). To add another kind of source, write a class with
the members of `PredictionSource` in a file of its own. All names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.common.registry import lazy_names

if TYPE_CHECKING:
    from robustbench_char.inference.evaluate import PredictionSource
    from robustbench_char.inference.predictors import PredictorSource
    from robustbench_char.inference.results import Evaluation, Predictions
    from robustbench_char.inference.sensitivity import Sensitivity, profile_sentence
    from robustbench_char.inference.systems import LoadedSystem, StoredPredictions, load_system, predict_file

__all__ = [
    "Evaluation",
    "LoadedSystem",
    "PredictionSource",
    "Predictions",
    "PredictorSource",
    "Sensitivity",
    "StoredPredictions",
    "load_system",
    "predict_file",
    "profile_sentence",
]  # fmt: skip

__getattr__ = lazy_names(
    __name__,
    evaluate="PredictionSource",
    predictors="PredictorSource",
    results="Evaluation Predictions",
    systems="LoadedSystem StoredPredictions load_system predict_file",
    sensitivity="Sensitivity profile_sentence",
)
