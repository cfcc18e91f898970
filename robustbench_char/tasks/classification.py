"""Classification: CoLA, MRPC, QQP and QNLI of GLUE (Wang et al. 2019), and how labels follow edits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from robustbench_char.tasks.base import Example, HubSource, Task
from robustbench_char.text.edits import Edit

_GLUE = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"
_SPLITS = {"train": "train", "dev": "validation", "test": "test"}


def follow(
    example: Example, fields: Mapping[str, str | tuple[str, ...]], edits: Mapping[str, Sequence[Edit]]
) -> Example:
    """Return the example with its attacked texts; the class of a text stays what it was."""
    return example._replace(fields={**example.fields, **fields})


def _digits(*names: str) -> dict[str, str]:
    return {str(number): name for number, name in enumerate(names)}


def _glue(
    name: str,
    title: str,
    fields: tuple[str, ...],
    labels: tuple[str, ...],
    options: dict[str, Any],
    *,
    metric: str = "accuracy_f1",
    headline: str = "accuracy",
    note: str | None = None,
) -> Task:
    """Return the record of a task of GLUE; its hub data hold `idx` where its files hold an id."""
    columns = {"id": "idx"} if "id" in options else {}
    hub = HubSource(path="nyu-mll/glue", revision=_GLUE, config=name, splits=_SPLITS, columns=columns)
    return Task(
        name=name, title=title, family="classification", fields=fields, labels=labels, metric=metric, headline=headline,
        format="glue_tsv", format_options=options, hub=hub, note=note,
    )  # fmt: skip


COLA = _glue(
    "cola",
    "CoLA: is the sentence acceptable English? (Warstadt et al. 2019)",
    ("sentence",),
    ("unacceptable", "acceptable"),
    {
        "header": False,
        "width": 4,
        "columns": {"sentence": 3},
        "label": 1,
        "labels": _digits("unacceptable", "acceptable"),
        "test": {"header": True, "width": 2, "columns": {"sentence": "sentence"}},
    },
    metric="matthews",
    headline="matthews",
    note="A typo may itself change whether a sentence is acceptable, so a drop here is not all the model's fault.",
)

MRPC = _glue(
    "mrpc",
    "MRPC: do two sentences of the news mean the same? (Dolan and Brockett 2005)",
    ("sentence1", "sentence2"),
    ("not_equivalent", "equivalent"),
    {
        "header": True,
        "columns": {"sentence1": "#1 String", "sentence2": "#2 String"},
        "label": "Quality",
        "labels": _digits("not_equivalent", "equivalent"),
    },
)

QQP = _glue(
    "qqp",
    "QQP: do two questions of Quora ask the same? (Iyer et al. 2017)",
    ("question1", "question2"),
    ("not_duplicate", "duplicate"),
    {
        "header": True,
        "columns": {"question1": "question1", "question2": "question2"},
        "label": "is_duplicate",
        "id": "id",
        "labels": _digits("not_duplicate", "duplicate"),
    },
)

QNLI = _glue(
    "qnli",
    "QNLI: does the sentence hold the answer to the question? (Wang et al. 2019, from SQuAD)",
    ("question", "sentence"),
    ("entailment", "not_entailment"),
    {"header": True, "columns": {"question": "question", "sentence": "sentence"}, "label": "label", "id": "index"},
    metric="accuracy",
)
