"""How fragile a sub-word tokenizer is: what it splits, and what one lost character does to its pieces.

Source: the analysis in Ma et al. 2020 (CharBERT): 28% of nouns split; 78% of nouns without any piece in common after
one character was dropped; "backhand", of which 100% of the pieces change with 12.5% of the characters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from robustbench_char.metrics.tagging import entities

__all__ = ["NOUN_TAGS", "Pieces", "deletions", "nouns", "split_shares"]

Pieces = Mapping[str, Sequence[str]]
"""The pieces of each word."""

NOUN_TAGS = frozenset({"NN", "NNS", "NNP", "NNPS"})
_LETTERS = 4


class SplitShares(NamedTuple):
    """How many words and entities there are, and the shares of them that are split (None of nothing).

    An entity is split where one of its words is.
    """

    words: int
    split_words: float | None
    entities: int
    split_entities: float | None


def split_shares(
    sentences: Sequence[Sequence[str]], tags: Sequence[Sequence[str]] | None, pieces: Pieces
) -> SplitShares:
    """Count the split words of sentences, and of entities where `tags` mark some (B-, I-, O)."""
    split = [[len(pieces[word]) > 1 for word in sentence] for sentence in sentences]
    words = [is_split for sentence in split for is_split in sentence]
    marked = [
        any(row[first:end]) for row, own in zip(split, tags or (), strict=bool(tags)) for _, first, end in entities(own)
    ]
    return SplitShares(len(words), _mean(words), len(marked), _mean(marked))


def nouns(sentences: Iterable[Sequence[str]], tags: Iterable[Sequence[str]]) -> list[list[str]]:
    """Return the nouns of each sentence, by the tags of the Penn Treebank."""
    return [
        [word for word, tag in zip(sentence, own, strict=True) if tag in NOUN_TAGS]
        for sentence, own in zip(sentences, tags, strict=True)
    ]


def deletions(clean: Sequence[str], attacked: Sequence[str], pieces: Pieces) -> list[dict[str, Any]]:
    """Return what happens to the pieces of words (tokens, repeats counted) that lose one character, by group.

    Groups: all words, and those of four letters or more. `words` counts them; shares of them in [0, 1]: `split` (the
    clean word has several pieces), `none_shared` (no piece in common); means over words in [0, 1]: `pieces_changed`
    (clean pieces that the attacked word lacks), `characters_changed` (one in as many as the word has). None without
    words.
    """
    pairs = list(zip(clean, attacked, strict=True))
    longer = [pair for pair in pairs if sum(map(str.isalpha, pair[0])) >= _LETTERS]
    groups = {"all": pairs, f"{_LETTERS}+ letters": longer}
    return [{"group": name, **_group(part, pieces)} for name, part in groups.items()]


def _group(pairs: Sequence[tuple[str, str]], pieces: Pieces) -> dict[str, float | None]:
    return {
        "words": len(pairs),
        "split": _mean([len(pieces[old]) > 1 for old, _ in pairs]),
        "none_shared": _mean([not set(pieces[old]) & set(pieces[new]) for old, new in pairs]),
        "pieces_changed": _mean([_changed(pieces[old], pieces[new]) for old, new in pairs]),
        "characters_changed": _mean([1 / len(old) for old, _ in pairs]),
    }


def _changed(clean: Sequence[str], attacked: Sequence[str]) -> float:
    """Return the share of the clean pieces that the attacked word lacks, each as often as it occurs."""
    kept = sum((Counter(clean) & Counter(attacked)).values())
    return 1 - kept / len(clean) if clean else 0.0


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
