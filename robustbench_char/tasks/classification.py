"""Classification: CoLA, MRPC, QQP and QNLI of GLUE (Wang et al. 2019), and how labels follow edits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from robustbench_char.tasks.base import Example, HubSource, Task
from robustbench_char.text.edits import Edit

__all__ = ["COLA", "MRPC", "QNLI", "QQP", "follow"]

_GLUE = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"
_SPLITS = {"train": "train", "dev": "validation", "test": "test"}


def follow(
    example: Example, fields: Mapping[str, str | tuple[str, ...]], edits: Mapping[str, Sequence[Edit]]
) -> Example:
    """Return the example with its attacked texts; the class of a text stays what it was."""
    return example._replace(fields={**example.fields, **fields})


def _hub(config: str, **columns: str) -> HubSource:
    return HubSource(path="nyu-mll/glue", revision=_GLUE, config=config, splits=_SPLITS, columns=columns)


def _digits(*names: str) -> dict[str, str]:
    return {str(number): name for number, name in enumerate(names)}


def _pair(first: str, second: str, label: str, **more: Any) -> dict[str, Any]:
    return {"header": True, "columns": {"sentence1": first, "sentence2": second}, "label": label, **more}


COLA = Task(
    name="cola",
    title="CoLA: is the sentence acceptable English? (Warstadt et al. 2019)",
    family="classification",
    fields=("sentence",),
    labels=("unacceptable", "acceptable"),
    metric="matthews",
    headline="matthews",
    format="glue_tsv",
    format_options={
        "header": False,
        "width": 4,
        "columns": {"sentence": 3},
        "label": 1,
        "labels": _digits("unacceptable", "acceptable"),
        "test": {"header": True, "width": 2, "columns": {"sentence": "sentence"}},
    },
    hub=_hub("cola"),
    note="A typo may itself change whether a sentence is acceptable, so a drop here is not all the model's fault.",
)

MRPC = Task(
    name="mrpc",
    title="MRPC: do two sentences of the news mean the same? (Dolan and Brockett 2005)",
    family="classification",
    fields=("sentence1", "sentence2"),
    labels=("not_equivalent", "equivalent"),
    metric="accuracy_f1",
    headline="accuracy",
    format="glue_tsv",
    format_options=_pair("#1 String", "#2 String", "Quality", labels=_digits("not_equivalent", "equivalent")),
    hub=_hub("mrpc"),
)

QQP = Task(
    name="qqp",
    title="QQP: do two questions of Quora ask the same? (Iyer et al. 2017)",
    family="classification",
    fields=("question1", "question2"),
    labels=("not_duplicate", "duplicate"),
    metric="accuracy_f1",
    headline="accuracy",
    format="glue_tsv",
    format_options={
        "header": True,
        "columns": {"question1": "question1", "question2": "question2"},
        "label": "is_duplicate",
        "id": "id",
        "labels": _digits("not_duplicate", "duplicate"),
    },
    hub=_hub("qqp", id="idx"),
)

QNLI = Task(
    name="qnli",
    title="QNLI: does the sentence hold the answer to the question? (Wang et al. 2019, from SQuAD)",
    family="classification",
    fields=("question", "sentence"),
    labels=("entailment", "not_entailment"),
    metric="accuracy",
    headline="accuracy",
    format="glue_tsv",
    format_options={
        "header": True,
        "columns": {"question": "question", "sentence": "sentence"},
        "label": "label",
        "id": "index",
    },
    hub=_hub("qnli", id="idx"),
)
