"""Our Treebank rules beside NLTK's own tokenizer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.tokenize.destructive import NLTKWordTokenizer

from robustbench_char.text._treebank import treebank_spans, treebank_tokens
from robustbench_char.text.columns import Column
from robustbench_char.text.words import Words, pieces_of, split_treebank, token_words

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
ODD = [
    "\0",
    "\u0301",
    "_",
    "²",
    "\u00a0",
    "\x1c",
    "\x85",
    "'ſ",
    "gı",
    "gi",
    "mme",
    "'LL",
    "GOTTA",
    "gott",
    "y",
    "'twas",
    "'D",
]
CONTRACTED = [
    "cannot", "gonna", "wanna", "gimme", "lemme", "gotta", "d'ye", "more'n", "'tis", "'twas", "can't", "she's", "we'll",
    "kannot", "gonne", "dinner", "b'ye", "n'gotty",
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


def of_column(words: Words, texts: list[str]) -> list[str]:
    joined = "\n".join(texts)
    return [joined[start:end] for start, end in zip(words.starts.tolist(), words.ends.tolist(), strict=True)]


def alone(texts: list[str]) -> list[str]:
    return [text[start:end] for text in texts for start, end in treebank_spans(text)]


@settings(max_examples=600)
@given(st.lists(st.lists(st.sampled_from([*PARTS, *ODD]), max_size=10).map("".join), max_size=6))
def test_a_column_is_split_as_each_text_alone(texts: list[str]) -> None:
    assert of_column(split_treebank(Column.of(texts)), texts) == alone(texts)
    rows = [[token for token in text.split(" ") if token] for text in texts]
    joined = [" ".join(row) for row in rows]
    column = Column.of(joined)
    assert of_column(pieces_of(column, token_words(column)), joined) == alone([token for row in rows for token in row])


@pytest.mark.parametrize("before", ["", " ", "x ", "can ", "\t"])
@pytest.mark.parametrize("after", ["", " ", " x", "\n", " .", ". ) '", "' y", ": 5"])
def test_contractions_are_found_by_their_letters(before: str, after: str) -> None:
    """All else with as many letters is split alike, these are not, whatever stands beside them."""
    texts = [before + word + after for word in CONTRACTED]
    assert of_column(split_treebank(Column.of(texts)), texts) == alone(texts)


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
    assert of_column(split_treebank(Column.of(texts)), texts) == alone(texts)
