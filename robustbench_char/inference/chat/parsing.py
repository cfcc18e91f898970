"""From what a chat model wrote to a prediction: labels by name, spans aligned to words, quoted answers.

Reading is lenient about form (code fences, quotes, a full stop, other case, prose around it) and strict about content:
what does not name one label, or is no JSON list, is no prediction.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from robustbench_char.inference.chat.prompts import Prompt
from robustbench_char.metrics.base import Prediction, QaPrediction
from robustbench_char.tasks.base import Example, token_text

__all__ = ["UNUSABLE", "Reading", "read_answer"]

UNUSABLE = "UNUSABLE"
"""The type of a predicted entity that cannot be right (not in the text, or of an unknown type); a word without tag."""

_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.S | re.I)
_FENCED = re.compile(r"```[\w-]*\n?(.*?)```", re.S)
_QUOTES = "\"'`*“”‘’«»"
_LEAD = re.compile(r"^\W*(?:the\s+)?(?:final\s+)?(?:answer|label|class|output)\s*(?:is|:)+\s*:?\s*", re.I)


class Reading(NamedTuple):
    """What an answer says: the prediction, or None; the problem with it; how many of its parts cannot be right.

    `unusable` counts spans, or words without a tag, or a quoted answer that is not in the context.
    """

    value: Prediction | None
    problem: str | None = None
    unusable: int = 0


class Span(NamedTuple):
    """A piece of text and its type, as a model names them."""

    text: str
    kind: str


def read_answer(prompt: Prompt, example: Example, text: str) -> Reading:
    """Return the prediction that an answer holds, for the family of its prompt."""
    plain = _THOUGHT.sub("", text).strip()
    if not plain:
        return Reading(None, "an empty answer")
    if prompt.task.family == "classification":
        label = find_label(plain, prompt.choices)
        return Reading(label, None if label else "not exactly one of the labels")
    if prompt.task.family == "question_answering":
        return _quoted(plain, token_text(example.fields["context"]))
    spans = find_spans(plain)
    if spans is None:
        return Reading(None, "no JSON list of texts and types")
    words = example.fields[prompt.task.fields[0]]
    assert not isinstance(words, str)
    reader = _entities if prompt.task.metric == "entity_f1" else _word_tags
    return reader(words, spans, prompt.choices)


def find_label(text: str, labels: Sequence[str]) -> str | None:
    """Return the one label that a text is, or names; None for none, several, or one that is negated.

    Case does not matter, and spaces, hyphens and underscores are alike. The last line decides where the whole does not.
    """
    forms = {_words(label): label for label in labels}
    inner = "\n".join(_FENCED.findall(text)) or text
    for part in (inner, inner.strip().splitlines()[-1] if inner.strip() else ""):
        whole = _words(_LEAD.sub("", part))
        if whole in forms:
            return forms[whole]
        named = _named(_words(part), forms)
        if len(named) == 1:
            return forms[named.pop()]
    return None


def _words(text: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", text.casefold()).split())


def _named(text: str, forms: dict[str, str]) -> set[str]:
    """Return the labels in a text, longest first, so that `equivalent` is not seen inside `not equivalent`."""
    named = set()
    for form in sorted(filter(None, forms), key=len, reverse=True):
        pattern = rf"(\bnot |\bnor |\bn t |\bisn t )?(?:an? |the )?\b{re.escape(form)}\b"
        found = [match[1] for match in re.finditer(pattern, text)]
        if any(found):
            return set()  # `not acceptable` is not the label `acceptable`, and which other one is meant is a guess
        if found:
            named.add(form)
            text = re.sub(pattern, "|", text)
    return named


def find_spans(text: str) -> list[Span] | None:
    """Return the first JSON list in a text that holds nothing but spans, or an empty one; None where there is none."""
    empty: list[Span] | None = None
    for value in _json_lists("\n".join([*_FENCED.findall(text), text])):
        spans = [_span(item) for item in value]
        known = [span for span in spans if span]
        if value and len(known) == len(spans):
            return known
        empty = [] if not value else empty
    return empty


def _json_lists(text: str) -> Iterator[list[Any]]:
    decoder = json.JSONDecoder()
    for match in re.finditer(r"\[", text):
        try:
            value, _ = decoder.raw_decode(text, match.start())
        except RecursionError:  # thousands of brackets: no answer, and each would take long
            return
        except ValueError:
            continue
        yield value


def _span(item: object) -> Span | None:
    """Return a span from `{"text": ..., "type": ...}` (or the other common names), or from a pair."""
    if isinstance(item, dict):
        text = next((item[key] for key in ("text", "span", "word") if key in item), None)
        kind = next((item[key] for key in ("type", "label", "tag") if key in item), None)
    elif isinstance(item, list) and len(item) == 2:
        text, kind = item
    else:
        return None
    return Span(text, kind) if isinstance(text, str) and isinstance(kind, str) else None


def _entities(words: Sequence[str], spans: Sequence[Span], types: Sequence[str]) -> Reading:
    """Return BIO2 tags. What is unusable becomes a wrong entity: on its own words, else on a word that has none."""
    tags, unusable = ["O"] * len(words), []
    lost = 0
    for span, place in zip(spans, align(words, spans), strict=True):
        kind = _known(span.kind, types)
        if kind is None or place is None:
            unusable.append(span)
        if place is None:
            lost += 1
            continue
        first, end = place
        tags[first:end] = [f"{'B' if number == first else 'I'}-{kind or UNUSABLE}" for number in range(first, end)]
    free = (number for number, tag in enumerate(tags) if tag == "O")
    for number in [*free][:lost]:
        tags[number] = f"B-{UNUSABLE}"
    return Reading(tuple(tags), _problem(unusable), len(unusable))


def _word_tags(words: Sequence[str], spans: Sequence[Span], types: Sequence[str]) -> Reading:
    """Return a tag per word: that of the span that holds it; UNUSABLE, which is wrong, for one that has none."""
    tags = [UNUSABLE] * len(words)
    unusable = []
    for span, place in zip(spans, align(words, spans), strict=True):
        kind = _known(span.kind, types)
        if kind is None or place is None:
            unusable.append(span)
        else:
            tags[slice(*place)] = [kind] * (place[1] - place[0])
    missing = tags.count(UNUSABLE)
    problem = _problem(unusable) or (f"{missing} words without a tag" if missing else None)
    return Reading(tuple(tags), problem, missing)


def _problem(unusable: Sequence[Span]) -> str | None:
    listed = ", ".join(f"{span.text!r} ({span.kind})" for span in unusable)
    return f"not in the text, or of an unknown type: {listed}" if unusable else None


def _known(kind: str, types: Sequence[str]) -> str | None:
    """Return a type as the task spells it; a `B-` or `I-` before it is left out where types have none."""
    forms = {name.casefold(): name for name in types}
    plain = kind.strip().casefold()
    return forms.get(plain) or forms.get(re.sub(r"^[bi]-", "", plain))


def align(words: Sequence[str], spans: Sequence[Span]) -> list[tuple[int, int] | None]:
    """Return first word and word after the last of each span, in order; None for one that is not in the text.

    White space does not matter. A span is sought after the one before it, then among all words that are not taken, in
    each as it is written, then without regard to case. No word is taken twice.
    """
    taken = [False] * len(words)
    places: list[tuple[int, int] | None] = []
    after = 0
    for span in spans:
        place = _sought(words, "".join(span.text.split()), taken, after)
        if place is not None:
            taken[slice(*place)] = [True] * (place[1] - place[0])
            after = place[1]
        places.append(place)
    return places


def _sought(words: Sequence[str], text: str, taken: Sequence[bool], after: int) -> tuple[int, int] | None:
    for start in (after, 0):
        for form in (str, str.casefold):
            for first in range(start, len(words)):
                end = _end([form(word) for word in words[first:]], form(text), taken[first:])
                if end:
                    return first, first + end
    return None


def _end(words: Sequence[str], text: str, taken: Sequence[bool]) -> int | None:
    """Return how many of the first words make up a text, or None."""
    read = ""
    for number, (word, used) in enumerate(zip(words, taken, strict=True), 1):
        read += word
        if used or not text.startswith(read):
            return None
        if read == text:
            return number
    return None


def _quoted(text: str, context: str) -> Reading:
    """Return the answer without what stands around a quote; `no answer` is the empty one."""
    plain = _LEAD.sub("", text.strip(_QUOTES + " \n")).strip(_QUOTES + " .\n")
    if re.fullmatch(r"(?:.*[.!:\n]\s*)?(?:there is )?no answer|unanswerable", plain.casefold(), re.S):
        return Reading(QaPrediction(text="", best_text=""))
    for form in _forms(text):
        if form in context:
            return Reading(QaPrediction(text=form, best_text=form))
    return Reading(QaPrediction(text=plain, best_text=plain), "an answer that is not in the context", 1)


def _forms(text: str) -> Iterator[str]:
    """Yield ways to read an answer, from the plainest: as it is, without quotes, full stop, or words before it."""
    lines = [*_FENCED.findall(text), text, _LEAD.sub("", text)]
    quoted = re.findall(r"[\"“«]([^\"”»]+)[\"”»]", text)
    for form in (*lines, *quoted):
        bare = form.strip()
        yield from filter(None, (bare, bare.strip(_QUOTES), bare.strip(_QUOTES).rstrip(".").strip(_QUOTES)))
