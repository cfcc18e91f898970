"""Reading what chat models write: labels, spans, answers, and what cannot be read."""

from __future__ import annotations

import json

import pytest

from robustbench_char.inference.chat.parsing import Span, align, find_label, find_spans, read_answer
from robustbench_char.inference.chat.prompts import Prompt, load_prompt
from robustbench_char.metrics.base import QaPrediction, score
from robustbench_char.tasks.base import Example
from robustbench_char.tasks.registry import get_task

MRPC = ("not_equivalent", "equivalent")
WORDS = ("U.N.", "official", "Rolf", "Ekeus", "heads", "for", "Bagdhad", ".")
GOLD = ("B-ORG", "O", "B-PER", "I-PER", "O", "O", "B-LOC", "O")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("equivalent", "equivalent"),
        ("Not equivalent.", "not_equivalent"),
        ("`not-equivalent`", "not_equivalent"),
        ('"equivalent"', "equivalent"),
        ("Label: **Equivalent**", "equivalent"),
        ("The final answer is: not_equivalent", "not_equivalent"),
        ('```json\n{"label": "equivalent"}\n```', "equivalent"),
        ("They do not mean the same, so they are not equivalent.", "not_equivalent"),
        ("One may call it equivalent or not_equivalent.\n\nequivalent", "equivalent"),
        ("equivalent or not_equivalent", None),
        ("It depends.", None),
        ("...", None),
    ],
)
def test_labels(text: str, label: str | None) -> None:
    assert find_label(text, MRPC) == label


def test_a_label_that_is_negated_is_no_label() -> None:
    labels = ("unacceptable", "acceptable")
    assert find_label("This is not acceptable.", labels) is None
    assert find_label("It isn't an acceptable sentence.", labels) is None
    assert find_label("Acceptable", labels) == "acceptable"
    assert find_label("1.", ("0", "1")) == "1"


@pytest.mark.parametrize(
    "text",
    [
        '[{"text": "Rolf", "type": "PER"}]',
        '```json\n[{"text": "Rolf", "type": "PER"}]\n```',
        'As it says [sic]: [{"span": "Rolf", "label": "PER"}] I hope that helps.',
        '{"entities": [{"word": "Rolf", "tag": "PER"}]}',
        'Not [] but [["Rolf", "PER"]]',
    ],
)
def test_spans(text: str) -> None:
    assert find_spans(text) == [Span("Rolf", "PER")]


@pytest.mark.parametrize("text", ["none", "[1, 2]", '[{"text": "Rolf", "ty', '[["Rolf", 3]]', "[" * 3000])
def test_no_spans(text: str) -> None:
    assert find_spans(text) is None


def test_an_empty_list() -> None:
    assert find_spans("There are none: []") == []


def test_alignment() -> None:
    words = ("Paris", "and", "New", "York", ",", "then", "Paris", ".")
    spans = [Span(text, "LOC") for text in ("Paris", "New York", "paris", "Rome", "and", "York")]
    assert align(words, spans) == [(0, 1), (2, 4), (6, 7), None, (1, 2), None]
    assert align(words, [Span("NewYork,", "LOC"), Span("Par", "LOC")]) == [(2, 5), None]


@pytest.fixture
def entities() -> Prompt:
    return load_prompt(None, get_task("conll2003"), ("PER", "ORG", "LOC", "MISC"))


def tagged(*tags: str) -> Example:
    return Example(0, "0", "key", {"tokens": WORDS}, label=tags)


def spans(*pairs: tuple[str, str]) -> str:
    return json.dumps([{"text": text, "type": kind} for text, kind in pairs])


def test_entities(entities: Prompt) -> None:
    text = spans(("U.N.", "org"), ("Rolf Ekeus", "B-PER"), ("Bagdhad", "LOC"))
    assert read_answer(entities, tagged(*GOLD), text) == (GOLD, None, 0)
    assert read_answer(entities, tagged(*GOLD), "[]").value == ("O",) * 8


def test_what_cannot_be_aligned_is_a_wrong_entity(entities: Prompt) -> None:
    """A spelling that the model corrected, a type that does not exist: each one false entity, and never a right one."""
    text = spans(("U.N.", "ORG"), ("Rolf Ekeus", "PERSONALITY"), ("Baghdad", "LOC"))
    reading = read_answer(entities, tagged(*GOLD), text)
    assert reading.unusable == 2
    assert reading.problem == "not in the text, or of an unknown type: 'Rolf Ekeus' (PERSONALITY), 'Baghdad' (LOC)"
    scored = score("entity_f1", [GOLD], [reading.value])
    assert scored.scores["precision"] == pytest.approx(100 / 3)
    assert scored.scores["recall"] == pytest.approx(100 / 3)


def test_more_lost_spans_than_words(entities: Prompt) -> None:
    reading = read_answer(entities, tagged(*GOLD), spans(*[("Rome", "LOC")] * 20))
    assert reading.unusable == 20
    assert score("entity_f1", [GOLD], [reading.value]).scores["precision"] == 0


def test_tags_of_words() -> None:
    prompt = load_prompt(None, get_task("ptb_pos"), ("NN", "IN", "."))
    pairs = [
        ["U.N.", "nn"],
        ["official", "NN"],
        ["Rolf Ekeus", "NN"],
        ["heads", "XX"],
        ["for", "IN"],
        ["Baghdad", "NN"],
    ]
    reading = read_answer(prompt, tagged(), json.dumps([*pairs, [".", "."]]))
    assert reading.value == ("NN", "NN", "NN", "NN", "UNUSABLE", "IN", "UNUSABLE", ".")
    assert reading.problem == "not in the text, or of an unknown type: 'heads' (XX), 'Baghdad' (NN)"
    assert reading.unusable == 2
    assert read_answer(prompt, tagged(), '[["for", "IN"]]').problem == "7 words without a tag"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Paris", "Paris"),
        ('"the city of Paris"', "the city of Paris"),
        ("The answer is: Paris.", "Paris"),
        ('It was founded in "Paris", as the text says.', "Paris"),
        ("```\nParis\n```", "Paris"),
        ("No answer.", ""),
        ('"no answer"', ""),
        ("Answer: no answer", ""),
        ("Sure! No answer.", ""),
        ("<think>It says Rome? No.</think>Paris", "Paris"),
    ],
)
def test_answers(text: str, answer: str) -> None:
    prompt = load_prompt(None, get_task("squad_v2"), ())
    example = Example(0, "0", "key", {"question": "Where?", "context": "It is in the city of Paris, in France."})
    assert read_answer(prompt, example, text) == (QaPrediction(text=answer, best_text=answer), None, 0)


def test_an_answer_that_is_not_in_the_context() -> None:
    prompt = load_prompt(None, get_task("squad_v1"), ())
    example = Example(0, "0", "key", {"question": "Where?", "context": "In Pairs."})
    reading = read_answer(prompt, example, "Paris.")
    assert reading == (QaPrediction(text="Paris", best_text="Paris"), "an answer that is not in the context", 1)


@pytest.mark.parametrize("text", ["", "  ", "<think>Hmm", "<think>Hmm</think>"])
def test_nothing_said(entities: Prompt, text: str) -> None:
    assert read_answer(entities, tagged(*GOLD), text) == (None, "an empty answer", 0)
