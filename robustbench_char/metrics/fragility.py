"""How fragile a sub-word tokenizer is: what it splits, and what one lost character does to its pieces.

Source: the analysis in Ma et al. 2020 (CharBERT): 28% of nouns split; 78% of nouns without any piece in common after
one character was dropped; "backhand", of which 100% of the pieces change with 12.5% of the characters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from robustbench_char.metrics.tagging import entities

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NOUN_TAGS", "Pieces", "SplitShares", "deletion_frame", "nouns", "split_shares"]

Pieces = Mapping[str, Sequence[str]]
"""The pieces of each word."""

NOUN_TAGS = frozenset({"NN", "NNS", "NNP", "NNPS"})
_LETTERS = 4


@dataclass(frozen=True)
class SplitShares:
    """How many words, and how many entities, the tokenizer splits: an entity is split where one of its words is."""

    words: int
    split_words: int
    entities: int
    split_entities: int

    @property
    def word_share(self) -> float | None:
        """The share of words that are split."""
        return self.split_words / self.words if self.words else None

    @property
    def entity_share(self) -> float | None:
        """The share of entities with a split word."""
        return self.split_entities / self.entities if self.entities else None


def split_shares(
    sentences: Sequence[Sequence[str]], tags: Sequence[Sequence[str]] | None, pieces: Pieces
) -> SplitShares:
    """Count the split words of sentences, and of entities where `tags` mark some (B-, I-, O)."""
    split = [[len(pieces[word]) > 1 for word in sentence] for sentence in sentences]
    found = [
        any(row[first:end]) for row, own in zip(split, tags or (), strict=bool(tags)) for _, first, end in entities(own)
    ]
    return SplitShares(sum(map(len, split)), sum(map(sum, split)), len(found), sum(found))


def nouns(sentences: Iterable[Sequence[str]], tags: Iterable[Sequence[str]]) -> list[list[str]]:
    """Return the nouns of each sentence, by the tags of the Penn Treebank."""
    return [
        [word for word, tag in zip(sentence, own, strict=True) if tag in NOUN_TAGS]
        for sentence, own in zip(sentences, tags, strict=True)
    ]


def deletion_frame(clean: Sequence[str], attacked: Sequence[str], pieces: Pieces) -> pd.DataFrame:
    """Return what happens to the pieces of words (tokens, repeats counted) that lose one character, a row a group.

    Groups: all words, and those of four letters or more. Columns: `words`; shares of them in [0, 1]: `split` (the clean
    word has several pieces), `none_shared` (no piece in common); means over words in [0, 1]: `pieces_changed` (clean
    pieces that the attacked word lacks), `characters_changed` (one in as many as the word has). None without words.
    """
    import pandas as pd

    pairs = list(zip(clean, attacked, strict=True))
    groups = {
        "all": pairs,
        f"{_LETTERS}+ letters": [pair for pair in pairs if sum(map(str.isalpha, pair[0])) >= _LETTERS],
    }
    return pd.DataFrame([{"group": name, **_group(part, pieces)} for name, part in groups.items()])


def _group(pairs: Sequence[tuple[str, str]], pieces: Pieces) -> dict[str, float | None]:
    changed = [_changed(pieces[old], pieces[new]) for old, new in pairs]
    return {
        "words": len(pairs),
        "split": _mean([len(pieces[old]) > 1 for old, _ in pairs]),
        "none_shared": _mean([not set(pieces[old]) & set(pieces[new]) for old, new in pairs]),
        "pieces_changed": _mean(changed),
        "characters_changed": _mean([1 / len(old) for old, _ in pairs]),
    }


def _changed(clean: Sequence[str], attacked: Sequence[str]) -> float:
    """Return the share of the clean pieces that the attacked word lacks, each as often as it occurs."""
    kept = sum((Counter(clean) & Counter(attacked)).values())
    return 1 - kept / len(clean) if clean else 0.0


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
