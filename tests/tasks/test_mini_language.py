"""The language that mini is written in: templates, tags, spelling, spacing, draws."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from robustbench_char.tasks.sources import MINI_SPLITS
from tools.mini.draw import Draw
from tools.mini.lexicon import nouns, read_sections, verbs
from tools.mini.phrases import random_phrase
from tools.mini.story import KINDS, facts, question, slots
from tools.mini.tokens import Token, chunks, fill, phrase, render
from tools.mini.world import world

PTB_TAGS = {
    "CC", "CD", "DT", "EX", "FW", "IN", "JJ", "JJR", "JJS", "LS", "MD", "NN", "NNS", "NNP", "NNPS", "PDT", "POS",
    "PRP", "PRP$", "RB", "RBR", "RBS", "RP", "SYM", "TO", "UH", "VB", "VBD", "VBG", "VBN", "VBP", "VBZ", "WDT",
    "WP", "WP$", "WRB", "#", "$", "``", "''", "-LRB-", "-RRB-", ",", ".", ":",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_facts_are_stated_in_full_and_asked_for_in_several_ways(kind: str) -> None:
    draw = Draw("test", "train")
    entity = next(entity for entity in world(draw, 1, set())[0] if entity.kind == kind)
    for fact in facts(kind):
        known = set(slots(entity, fact))
        assert len(fact.statements) >= 3
        named = [
            set(re.findall(r"{(\w+)}", template)) - {"s", "ps", "o", "o2", "he", "his", "him"}
            for template in fact.statements
        ]
        assert all(values == named[0] for values in named), f"the statements of {fact.name} state different values"
        for template in fact.statements:
            named = set(re.findall(r"{(\w+)}", template))
            assert set(fact.questions) <= named <= known, template
            assert all(token.tag in PTB_TAGS for token in fill(template, slots(entity, fact)).tokens), template
        for value, asked in fact.questions.items():
            assert len(asked) >= 2
            assert not any(f"{{{value}}}" in template for template in asked)
            assert question(draw, entity, fact, value).endswith("?")


def test_reports_are_tagged_throughout() -> None:
    draw = Draw("test", "train")
    for _, lines in read_sections("templates/news.txt"):
        for line in lines:
            tokens = fill(line, {slot: random_phrase(draw, slot) for slot in re.findall(r"{(\w+)}", line)}).tokens
            assert all(token.tag in PTB_TAGS for token in tokens), line


def test_everyday_questions_have_rivals_of_the_same_class() -> None:
    titles = [title.partition(".")[0] for title, lines in read_sections("templates/intents.txt") if len(lines) >= 3]
    assert min(Counter(titles).values()) >= 2


def test_text_is_spaced_as_in_print() -> None:
    tokens = phrase("`` She/PRP has/VBZ n't/RB read/VBN Ito/NNP 's/POS book/NN ( yet/RB ) , '' he/PRP said/VBD .")
    text, starts = render(tokens)
    assert text == "\"She hasn't read Ito's book (yet),\" he said."
    assert all(
        text[start:].startswith(token.word)
        for start, token in zip(starts, tokens, strict=True)
        if token.word[0] not in "`'"
    )


@pytest.mark.parametrize(
    ("word", "article"),
    [("owl", "an"), ("unicorn", "a"), ("hour", "an"), ("Émile", "an"), ("used", "a"), ("8", "an"), ("house", "a")],
)
def test_article_follows_the_sound(word: str, article: str) -> None:
    tokens = fill("it is/VBZ a {x} .", {"x": (Token(word, "NN"),)}).tokens
    assert tokens[2].word == article


def test_forms_follow_the_spelling() -> None:
    forms = {
        verb.base: verb
        for section in ("transitive food", "intransitive", "creature", "transitive idea")
        for verb in verbs(section)
    }
    assert forms["chop"] == ("chop", "chops", "chopped", "chopped", "chopping")
    assert forms["cry"] == ("cry", "cries", "cried", "cried", "crying")
    assert forms["lie"].ing == "lying"
    assert forms["run"].ing == "running"
    assert forms["reveal"].past == "revealed"
    assert {noun.singular: noun.plural for noun in nouns("animal")}["fox"] == "foxes"
    assert {noun.singular: noun.plural for noun in nouns("food")}["cherry"] == "cherries"


def test_chunks_of_a_sentence() -> None:
    tokens = phrase(
        "the old/JJ baker/NN of Ito/NNP 's/POS town did/VBD not sell/VB me two loaves/NNS because he fell/VBD ."
    )
    expected = "B-NP I-NP I-NP B-PP B-NP B-NP I-NP B-VP I-VP I-VP B-NP I-NP I-NP B-SBAR B-NP B-VP O"
    assert " ".join(chunks(tokens)) == expected


def test_draws_of_a_split_keep_to_its_names() -> None:
    names = list(range(97))
    seen = {
        split: {Draw("any", split).name(names) % 10}
        | {draw.name(names) % 10 for draw in [Draw("any", split)] for _ in range(2000)}
        for split in MINI_SPLITS
    }
    assert seen == {"train": set(range(8)), "dev": {*range(8), 8}, "test": {*range(8), 9}}
