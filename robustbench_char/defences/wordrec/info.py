"""What records say about a recogniser."""

from __future__ import annotations

from robustbench_char.common import InputError
from robustbench_char.defences.wordrec.recogniser import Recogniser
from robustbench_char.records.evaluation import RecogniserInfo

__all__ = ["recogniser_info"]

_RECORDED = {"settings", "suite_sha256", "operators"}


def recogniser_info(recogniser: Recogniser) -> RecogniserInfo:
    """Return what records say about a recogniser.

    Raises InputError for a recogniser that does not say what it was trained on.
    """
    training = recogniser.file.training
    if training is None or not training.keys() >= _RECORDED:
        raise InputError(
            "--recogniser",
            found="a recogniser without record of its training",
            expected="a folder that `train-recogniser` wrote",
            fix="Train one with `train-recogniser`.",
        )
    return RecogniserInfo(
        vocabulary=len(recogniser.file.words),
        suite=training["settings"]["suite"],
        suite_sha256=training["suite_sha256"],
        operators=tuple(training["operators"]),
        parameters=recogniser.parameters,
        backoff=recogniser.file.back_off,
        weights_sha256=recogniser.file.weights_sha256,
        keep_case=recogniser.file.keep_case,
        leave_numbers_and_punctuation=recogniser.file.leave_numbers_and_punctuation,
        background_sha256=recogniser.background.file.weights_sha256 if recogniser.background else None,
    )
