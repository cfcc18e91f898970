"""Published numbers as data: the files of `reports/reference/`, read into frozen types and into a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from robustbench_char.common.files import find_declaration
from robustbench_char.common.frozen import Frozen
from robustbench_char.common.yaml_model import load_yaml_model

if TYPE_CHECKING:
    import pandas as pd


class CleanRow(Frozen):
    """The scores of one system on clean data: task, then metric, then percent."""

    system: str
    base: str
    scores: dict[str, dict[str, float]]


class AttackedScore(Frozen):
    """One score before and under attack, in percent."""

    clean: float
    attacked: float


class RobustnessRow(Frozen):
    """The scores of one system under attack, by task."""

    system: str
    scores: dict[str, AttackedScore]


class Robustness(Frozen):
    """A published robustness table; `metrics` names the score of each task, `base` what all systems started from."""

    suite: str
    base: str
    metrics: dict[str, str]
    systems: tuple[RobustnessRow, ...]


class Finding(Frozen):
    """One single figure, with its unit and the data it was measured on."""

    name: str
    value: float
    unit: str
    data: str
    system: str | None = None


class Pretraining(Frozen):
    """What the published models were pre-trained on; percents are shares of the tokens or words of a text."""

    corpus: str
    corpus_gigabytes: float
    corpus_words: int
    steps: int
    devices: str
    days: float
    masked_token_percent: float
    noised_word_percent: float
    extra_parameters: int


class Reference(Frozen):
    """All numbers of one publication."""

    schema_version: Literal[1] = Field(1, alias="schema")
    name: str
    source: str
    url: str
    unit: Literal["percent"]
    notes: tuple[str, ...]
    clean: tuple[CleanRow, ...]
    robustness: Robustness
    analysis: tuple[Finding, ...]
    pretraining: Pretraining | None = None


def load_reference(name: str = "charbert_2020") -> Reference:
    """Read the published numbers that `name` stands for: a shipped name, or the path of a .yaml file.

    Raises InputError for an unknown name and a wrong file.
    """
    return load_yaml_model(find_declaration("reports/reference", name, place="reference"), Reference)


def reference_frame(reference: Reference) -> pd.DataFrame:
    """Return a row per published score: source, system, base, task, metric, suite, value.

    Values are in percent; the suite is `clean` or the attack's.
    """
    import pandas as pd

    rows: list[tuple[str, str, str, str, str, float]] = [
        (row.system, row.base, task, metric, "clean", value)
        for row in reference.clean
        for task, scores in row.scores.items()
        for metric, value in scores.items()
    ]
    attack = reference.robustness
    for system in attack.systems:
        for task, score in system.scores.items():
            metric = attack.metrics[task]
            rows.append((system.system, attack.base, task, metric, "clean", score.clean))
            rows.append((system.system, attack.base, task, metric, attack.suite, score.attacked))
    frame = pd.DataFrame(rows, columns=["system", "base", "task", "metric", "suite", "value"])
    frame.insert(0, "source", reference.name)
    return frame.drop_duplicates(ignore_index=True)
