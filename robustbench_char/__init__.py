"""robustbench-char: how much does an NLP model break when people mistype, and which defence helps?

This is the public API; docs/api.md shows its flow. Each command of the command line is a thin call of one function of
it. Importing this package imports neither torch nor anything that reaches the network: functions load when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char._version import __version__
from robustbench_char.common.registry import lazy_names

if TYPE_CHECKING:
    from robustbench_char._api import evaluate, load_model, report
    from robustbench_char._api import recogniser_price as recogniser_price
    from robustbench_char._api import train_recogniser as train_recogniser
    from robustbench_char.analysis.compare_runs import compare
    from robustbench_char.attack_sets.attack import attack_file
    from robustbench_char.attack_sets.in_memory import attack
    from robustbench_char.attack_sets.show import shown_examples
    from robustbench_char.attack_sets.verify import verify
    from robustbench_char.common.errors import InputError
    from robustbench_char.defences.train import train_defence
    from robustbench_char.experiments.check import check
    from robustbench_char.experiments.run import plan, run
    from robustbench_char.inference.chat.opening import chat
    from robustbench_char.inference.defence_price import defence_price
    from robustbench_char.inference.fragility import fragility
    from robustbench_char.inference.predictors import predictor
    from robustbench_char.inference.sensitivity import sensitivity
    from robustbench_char.inference.worst_case.run import worst_case
    from robustbench_char.models.charbert.conversion import convert
    from robustbench_char.reports.results import Results, load_results
    from robustbench_char.tasks.own import classification, load, question_answering, tagging, task
    from robustbench_char.tasks.sources import write_mini
    from robustbench_char.training.finetune import finetune
    from robustbench_char.training.pretraining.run import pretrain

__all__ = [
    "InputError", "Results", "__version__", "attack", "attack_file", "chat", "check", "classification", "compare",
    "convert", "defence_price", "evaluate", "finetune", "fragility", "load", "load_model", "load_results", "plan",
    "predictor", "pretrain", "question_answering", "report", "run", "sensitivity", "shown_examples", "tagging", "task",
    "train_defence", "verify", "worst_case", "write_mini",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


__getattr__ = lazy_names(
    __name__,
    **{
        "_api": "evaluate load_model recogniser_price report train_recogniser",
        "analysis.compare_runs": "compare",
        "attack_sets.attack": "attack_file",
        "attack_sets.in_memory": "attack",
        "attack_sets.show": "shown_examples",
        "attack_sets.verify": "verify",
        "common.errors": "InputError",
        "defences.train": "train_defence",
        "experiments.check": "check",
        "experiments.run": "plan run",
        "inference.chat.opening": "chat",
        "inference.defence_price": "defence_price",
        "inference.fragility": "fragility",
        "inference.predictors": "predictor",
        "inference.sensitivity": "sensitivity",
        "inference.worst_case.run": "worst_case",
        "models.charbert.conversion": "convert",
        "reports.results": "Results load_results",
        "tasks.own": "classification load question_answering tagging task",
        "tasks.sources": "write_mini",
        "training.finetune": "finetune",
        "training.pretraining.run": "pretrain",
    },
)
