"""Measuring how fragile a tokenizer is on the words of a tagging file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from robustbench_char.attack_sets.write import source_sha256
from robustbench_char.attacks.engine import Batch, attack_batch
from robustbench_char.attacks.keys import text_keys
from robustbench_char.attacks.suites import OperatorRule, Suite, WordRule, load_suites
from robustbench_char.common import InputError
from robustbench_char.common.provenance import provenance
from robustbench_char.inference.word_states import word_pieces
from robustbench_char.metrics.fragility import NOUN_TAGS, deletion_frame, nouns, split_shares
from robustbench_char.models.checkpoints import load_tokenizer, resolve_base
from robustbench_char.tasks.base import NativeFile, Task

__all__ = ["measure_fragility", "with_one_character_fewer"]


def measure_fragility(file: NativeFile, task: Task, tokenizer: str, *, seed: int = 0) -> dict[str, Any]:
    """Return the shares of split words and entities, and what one deletion does to nouns where the tags name some.

    `tokenizer` is `minilm`, a model's folder, or a hub id. Raises InputError for a task that is no tagging, and for a
    file without words.
    """
    if task.family != "tagging":
        raise InputError("--task", found=f"{task.name}, a task of {task.family.replace('_', ' ')}",
                         expected="a tagging task", fix="Use ptb_pos or conll2003.")  # fmt: skip
    examples = list(file.examples())
    sentences = [tuple(example.fields[task.fields[0]]) for example in examples]
    tags = [example.label for example in examples if isinstance(example.label, tuple)]
    if not sentences:
        raise InputError(file.path, found="no sentences", expected="at least one", fix="Check the file.")
    base = resolve_base(tokenizer, any_type=True)
    loaded = load_tokenizer(base.folder, words=True, offsets=False)
    tagged = len(tags) == len(sentences)
    marked = tagged and task.metric == "entity_f1"
    found = nouns(sentences, tags) if tagged else []
    pairs = with_one_character_fewer(found, seed)
    clean, attacked = [old for old, _ in pairs], [new for _, new in pairs]
    pieces = word_pieces(loaded, [*(word for sentence in sentences for word in sentence), *attacked])
    shares = split_shares(sentences, tags if marked else None, pieces)
    tokens, types = (
        deletion_frame(*columns, pieces).to_dict("records") if clean else []
        for columns in ((clean, attacked), _types(clean, attacked))
    )
    return {
        "task": task.name,
        "tokenizer": base.name,
        "source_sha256": source_sha256(file.path),
        "seed": seed,
        "words": shares.words,
        "split_words": shares.word_share,
        "entities": shares.entities,
        "split_entities": shares.entity_share,
        "noun_tags": sorted(NOUN_TAGS),
        "nouns": tokens,
        "noun_types": types,
        "provenance": provenance().model_dump(mode="json"),
    }


def _types(clean: Sequence[str], attacked: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return each distinct word with its first deletion."""
    first = dict(zip(reversed(clean), reversed(attacked), strict=True))
    return list(first), list(first.values())


def with_one_character_fewer(sentences: Sequence[Sequence[str]], seed: int) -> list[tuple[str, str]]:
    """Return words, each beside itself without one character, drawn by seed and sentence.

    Left out are words of one character, and those of nothing but punctuation.
    """
    longer = ([word for word in words if len(word) > 1] for words in sentences)
    kept = [words for words in longer if words]
    suite = _one_deletion()
    texts = [" ".join(words) for words in kept]
    names = (f"{number}:{text}" for number, text in enumerate(texts))
    keys = text_keys(names, seed=seed, family=suite.family, task="nouns")
    after = [text.split(" ") for text in attack_batch(Batch(texts, keys, tokens=kept), suite).texts]
    pairs = (zip(words, changed, strict=True) for words, changed in zip(kept, after, strict=True))
    return [(old, new) for sentence in pairs for old, new in sentence if old != new]


def _one_deletion() -> Suite:
    """Return the suite that drops a character anywhere in each word."""
    (drop,) = load_suites("drop", task="ptb_pos")
    return drop.model_copy(
        update={
            "words": WordRule(split="whitespace", min_length=2),
            "positions": "all",
            "operators": {"drop": OperatorRule()},
        }
    )
