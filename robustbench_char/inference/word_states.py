"""What breakdowns need to know of the words of evaluated examples: pieces before and after, and what hit them."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeAlias

from robustbench_char.metrics.breakdowns import ExampleWords, WordState
from robustbench_char.tasks.base import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["PieceCounter", "clean_tokens", "example_words", "piece_counts", "token_at", "token_starts", "word_pieces"]

Edits = Sequence[Mapping[str, Any]]
PieceCounter: TypeAlias = Callable[[Iterable[str]], Mapping[str, int]]
"""A function from words to the number of sub-words of each distinct one, such as `piece_counts` of a tokenizer."""


def piece_counts(tokenizer: PreTrainedTokenizerBase, words: Iterable[str]) -> dict[str, int]:
    """Return how many sub-words each distinct word has by itself, after a space where the tokenizer tells that apart.

    A word of characters that the tokenizer drops has 0.
    """
    return {word: len(pieces) for word, pieces in word_pieces(tokenizer, words).items()}


def word_pieces(tokenizer: PreTrainedTokenizerBase, words: Iterable[str]) -> dict[str, list[str]]:
    """Return the sub-words of each distinct word by itself, after a space where the tokenizer tells that apart."""
    # here, so that words are read without torch
    from robustbench_char.models.checkpoints import is_byte_level
    from robustbench_char.models.plain_inputs import PlainReader

    distinct = sorted(set(words))
    if not tokenizer.is_fast:
        reader = PlainReader(tokenizer)
        return {word: reader.tokens(word) for word in distinct}
    spaced = [f" {word}" for word in distinct] if is_byte_level(tokenizer) else distinct
    encodings = tokenizer(spaced, add_special_tokens=False).encodings or [] if distinct else []
    return {word: encoding.tokens for word, encoding in zip(distinct, encodings, strict=True)}


def example_words(
    pieces: PieceCounter | None, examples: Sequence[Example], edits: Sequence[Edits], *, attacked: bool
) -> list[ExampleWords]:
    """Return what is known of the words of each example; `edits` are those of the ledger, for each example.

    Without `pieces` (a system that has no sub-words) their numbers are not known.
    """
    known = [_words(example, found) for example, found in zip(examples, edits, strict=True)]
    forms = (form for words in known for clean, read, _ in words for form in (clean, read))
    counts = pieces(forms) if pieces else {}
    return [
        ExampleWords(
            [WordState(len(clean), counts.get(clean), counts.get(read), hit) for clean, read, hit in words],
            _length(example),
            attacked,
        )
        for example, words in zip(examples, known, strict=True)
    ]


def _words(example: Example, edits: Edits) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return words clean and as read, with the operators that hit them: all words of a tagging, else those hit."""
    tokens = _tokens(example)
    if tokens is None:
        return [(edit["word_before"], edit["word_after"], (edit["operator"],)) for edit in edits]
    by_token = _by_token(tokens, edits)
    hit = [tuple(dict.fromkeys(edit["operator"] for edit in by_token[place])) for place in range(len(tokens))]
    return list(zip(_undone(tokens, by_token), tokens, hit, strict=True))


def clean_tokens(tokens: Sequence[str], edits: Edits) -> list[str]:
    """Return the tokens as they were before the edits of their sentence."""
    return _undone(tokens, _by_token(tokens, edits))


def token_starts(tokens: Sequence[str]) -> list[int]:
    """Return where tokens start in their text, in which single spaces part them."""
    return list(accumulate((len(token) + 1 for token in tokens[:-1]), initial=0))


def token_at(starts: Sequence[int], place: int) -> int:
    """Return the number of the token that a place in the text belongs to, its very end included."""
    return bisect_right(starts, place) - 1


def _undone(tokens: Sequence[str], by_token: Mapping[int, Edits]) -> list[str]:
    starts = token_starts(tokens)
    clean = list(tokens)
    for number, found in by_token.items():
        for edit in sorted(found, key=lambda edit: -edit["start_attacked"]):
            start = edit["start_attacked"] - starts[number]
            end = start + len(edit["inserted"])
            clean[number] = clean[number][:start] + edit["removed"] + clean[number][end:]
    return clean


def _by_token(tokens: Sequence[str], edits: Edits) -> defaultdict[int, list[Mapping[str, Any]]]:
    starts = token_starts(tokens)
    found: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for edit in edits:
        found[token_at(starts, edit["start_attacked"])].append(edit)
    return found


def _tokens(example: Example) -> tuple[str, ...] | None:
    return next((value for value in example.fields.values() if isinstance(value, tuple)), None)


def _length(example: Example) -> int:
    """Count the words of a sentence, of a question, or of all texts of an example."""
    tokens = _tokens(example)
    if tokens is not None:
        return len(tokens)
    question = example.fields.get("question") if "context" in example.fields else None
    texts = [question] if question is not None else example.fields.values()
    return sum(len(text.split()) for text in texts if isinstance(text, str))
