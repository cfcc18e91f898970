"""Whole-word masking: what masked language modelling (MLM) predicts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from robustbench_char.training.pretraining.noise import Pieces
from robustbench_char.training.pretraining.terms import IGNORED

__all__ = ["Masker"]

Ints = NDArray[np.int64]


class Masker:
    """Chooses words until `share` of all pieces is chosen: 80% become the mask, 10% random pieces, 10% stay.

    A whole word is what the tokenizer splits off before it cuts words into pieces; the draw of 80, 10 and 10 is one a
    word, so that no word is half seen. Words with a noised piece are never chosen: their pieces hold another target.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, share: float) -> None:
        self.share, self.mask = share, int(tokenizer.mask_token_id)
        self.ordinary = np.setdiff1d(np.arange(len(tokenizer)), tokenizer.all_special_ids)

    def __call__(self, pieces: Pieces, generator: np.random.Generator) -> tuple[Ints, Ints]:
        """Return what the model reads and what it predicts (-100: nothing), both [n]."""
        words = int(pieces.word[-1]) + 1 if len(pieces.word) else 0
        sizes = np.bincount(pieces.word, minlength=words)
        free = np.bincount(pieces.word, weights=pieces.noised, minlength=words) == 0
        order = generator.permutation(np.flatnonzero(free))
        chosen = order[np.cumsum(sizes[order]) <= round(self.share * len(pieces.ids))]
        kind = np.full(words, 1.0)
        kind[chosen] = generator.random(len(chosen)) - 1.0  # negative: chosen
        draw = kind[pieces.word]
        ids = pieces.ids.copy()
        ids[draw < -0.2] = self.mask
        random = (draw >= -0.2) & (draw < -0.1)
        ids[random] = generator.choice(self.ordinary, int(random.sum()))
        return ids, np.where(draw < 0, pieces.ids, IGNORED)
