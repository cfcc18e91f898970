"""Where sentences end, and that their full stops are words."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_char.text._sentences import sentence_ends
from robustbench_char.text._treebank import treebank_spans
from robustbench_char.text.columns import Column
from robustbench_char.text.words import SPLITTERS

PARTS = [
    "said.",
    "Mr.",
    "U.S.",
    "The",
    "she",
    '"',
    "'",
    ".",
    "...",
    ")",
    " ",
    "\n",
    "5",
    "No.",
    "x.",
    "?",
    "\u00a0",
    "’",
]
texts = st.lists(st.lists(st.sampled_from(PARTS), max_size=12).map(" ".join), max_size=5)


def sentences(text: str) -> list[str]:
    bounds = [0, *sentence_ends(text), len(text)]
    return [text[start:end].strip() for start, end in pairwise(bounds)]


def words(batch: list[str]) -> list[str]:
    split, joined = SPLITTERS.get("treebank_sentences")(Column.of(batch)), "\n".join(batch)
    return [joined[start:end] for start, end in zip(split.starts.tolist(), split.ends.tolist(), strict=True)]


@pytest.mark.parametrize(
    "parts",
    [
        ["He said.", "She left."],
        ["it ended.", "nobody cared.", "the film is good"],
        ['He said "no."', "(She left.)", "Then ’twas over.’", "End"],
        ["Mr. Smith of Acme Inc. met J. F. Kennedy vs. Dr. Jones at 5 p.m. on Dec. 7"],
        ["He came from the U.S.", "The others came at 5 p.m.", "It rained"],
        ["See No. 5 and vol. 2 or No.", "five"],
        ["He said no.", "Nobody isn't.", "In 1999.", "So"],
        ["at Evanston, Ill. , he said. ; and"],
        ["wait ... what? No! yes . ok"],
        ["www.example.com.", "Next"],
        ["an extraordinarily.", "x"],
        ["a.b"],
    ],
)
def test_sentences(parts: list[str]) -> None:
    assert sentences("  ".join(parts)) == parts


def test_full_stops_are_words() -> None:
    batch = ["He said. Mr. Smith (of the U.S.) left.", "", " It ended.  ", "film. 'good'"]
    assert words(batch) == [
        *("He", "said", ".", "Mr.", "Smith", "(", "of", "the", "U.S.", ")", "left", "."),
        *("It", "ended", "."),
        *("film", ".", "'", "good", "'"),
    ]


@settings(max_examples=200)
@given(texts)
def test_a_column_is_split_as_each_sentence_alone(batch: list[str]) -> None:
    whole = [sentence for text in batch for sentence in sentences(text)]
    assert words(batch) == [one[start:end] for one in whole for start, end in treebank_spans(one)]


@pytest.mark.data
def test_sentences_of_the_treebank(shared_data: Path) -> None:
    """Nearly every full stop at the end of a sentence is found, and few others are taken for one."""
    from robustbench_char.tasks import get_task
    from robustbench_char.tasks.sources import open_source

    examples = open_source(get_task("ptb_pos"), data_dir=shared_data / "ptb").examples()
    lines = [" ".join(example.fields["tokens"]) for example in examples]
    lines = [line.replace(" .", ".").replace("`` ", '"').replace(" ''", '"') for line in lines]
    ends = [sum(map(len, lines[:number])) + number - 1 for number in range(1, len(lines))]
    gold = {end for end, line in zip(ends, lines, strict=False) if re.search(r'[^.]\."?$', line)}
    ours = set(sentence_ends(" ".join(lines)))
    assert len(gold & ours) > 0.99 * len(gold)
    assert len(gold & ours) > 0.99 * len(ours)
