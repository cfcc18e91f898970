"""Our Treebank rules beside NLTK's own tokenizer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.tokenize.destructive import NLTKWordTokenizer

from robustbench_char.text._treebank import treebank_spans, treebank_tokens

SENTENCES = [
    "Good muffins cost $3.88 (roughly 3,36 euros)\nin New York.  Please buy me two of them. Thanks.",
    "He said: \"I can't, I won't; they'll...\" -- then 'left' [quietly].",
    "``Quoted'' text, 'tis here, 'twas there; more'n that. D'ye know? Gimme, lemme, gonna, gotta, wanna go cannot",
    "«Chevrons» “curly” ‘single’ „low“ – dash — em; a@b.c #5 50% R&D * < > { }",
    "U.S. officials' e-mails: 10:45, 1,000; a.b.c... end.)\"",
    "mixed \"quotes'' and ``back\" here. ''",
    "",
    "   ",
    '"',
    "she'd she'S SHE'LL n't don't'",
]
PARTS = [
    "'", "\"", "``", "''", ".", ",", ":", "--", " ", "\n", "can", "not", "cannot", "gonna", "d'ye", "'tis", "«",
    "”", "‘", "(", "]", "...", "?", "*", "$", "5", "n't", "'s", "wanna", "The", "é", "—", "\t", "more'n", "„", "’",
]  # fmt: skip
mixed = st.lists(st.sampled_from(PARTS), max_size=14).map("".join)


@pytest.mark.parametrize("text", SENTENCES)
def test_sentences(text: str) -> None:
    assert treebank_tokens(text) == NLTKWordTokenizer().tokenize(text)


@settings(max_examples=400)
@given(mixed)
def test_anything_of_ascii_and_quotes(text: str) -> None:
    assert treebank_tokens(text) == NLTKWordTokenizer().tokenize(text)


@settings(max_examples=400)
@given(st.one_of(mixed, st.text(st.characters(exclude_categories=["Cs"]), max_size=20)))
def test_spans_hold_every_visible_character(text: str) -> None:
    spans = treebank_spans(text)
    assert "".join(text[start:end] for start, end in spans) == re.sub(r"\s", "", text)
    assert len(spans) == len(treebank_tokens(text))


def test_spans() -> None:
    text = 'I can\'t say "no"  (yet).'
    assert [text[start:end] for start, end in treebank_spans(text)] == [
        "I",
        "ca",
        "n't",
        "say",
        '"',
        "no",
        '"',
        "(",
        "yet",
        ")",
        ".",
    ]


@pytest.mark.data
def test_real_text(shared_data: Path) -> None:
    tokenize = NLTKWordTokenizer().tokenize
    lines = (shared_data / "glue" / "MRPC" / "test.tsv").read_text(encoding="utf-8-sig").split("\n")[:800]
    lines += (shared_data / "text" / "valid.txt").read_text(encoding="utf-8").split("\n")[:200]
    tokens = {
        line.split(" ")[0] for line in (shared_data / "conll2003" / "valid.txt").read_text(encoding="utf-8").split("\n")
    }
    texts = [*(field for line in lines for field in line.split("\t")), *sorted(tokens)[:3000]]
    assert sum(treebank_tokens(text) != tokenize(text) for text in texts) == 0
