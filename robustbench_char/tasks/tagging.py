"""Tagging: named entities of CoNLL-2003 and parts of speech of the Penn Treebank, and how tags follow edits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from robustbench_char.tasks.base import Example, HubSource, Task
from robustbench_char.text.edits import Edit


def follow(
    example: Example, fields: Mapping[str, str | tuple[str, ...]], edits: Mapping[str, Sequence[Edit]]
) -> Example:
    """Return the example with its attacked tokens; each keeps its tag. Raises ValueError if their number changed."""
    for name, tokens in fields.items():
        if isinstance(tokens, str) or len(tokens) != len(example.fields[name]):
            raise ValueError(f"example {example.id}: the attacked {name} are not {len(example.fields[name])} tokens")
    return example._replace(fields={**example.fields, **fields})


_tagging = partial(Task, family="tagging", fields=("tokens",))

CONLL2003 = _tagging(
    name="conll2003",
    title="CoNLL-2003: persons, places, organisations and other names in the news (Tjong Kim Sang and De Meulder 2003)",
    metric="entity_f1",
    headline="f1",
    format="conll",
    format_options={"tag_names": ["O", *(f"{mark}-{kind}" for kind in ("PER", "ORG", "LOC", "MISC") for mark in "BI")]},
    hub=HubSource(
        path="lhoestq/conll2003",
        revision="19edcb426bfd625c275c17b9a99b2239243f4377",
        splits={"train": "train", "dev": "validation", "test": "test"},
        columns={"label": "ner_tags", "id": "id"},
    ),
)

PTB_POS = _tagging(
    name="ptb_pos",
    title="Penn Treebank: part of speech of each word of the Wall Street Journal (Marcus et al. 1993)",
    metric="tag_accuracy",
    headline="accuracy",
    format="ptb",
    note="The treebank is licensed by the Linguistic Data Consortium (LDC99T42) and is not on the hub.",
)
