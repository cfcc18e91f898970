"""nlpaug's character augmenters and its list of misspellings, as operators.

nlpaug is imported when first used: it imports torch where that is installed. It draws from the process-wide random
state of `random` and numpy, which is seeded for each word from our key and put back afterwards. Its results are the
same for one version of nlpaug and of Python; both stand in the manifest.
"""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import numpy as np

from robustbench_char.attacks.operators import WordOperator
from robustbench_char.attacks.registry import NLPAUG_LAYOUTS
from robustbench_char.common.randomness import random_state_kept

__all__ = [f"NLPAUG_KEYBOARD_{layout.upper()}" for layout in NLPAUG_LAYOUTS]
__all__ += [
    "NLPAUG_OCR",
    "NLPAUG_RANDOM_DELETE",
    "NLPAUG_RANDOM_INSERT",
    "NLPAUG_RANDOM_SUBSTITUTE",
    "NLPAUG_RANDOM_SWAP",
    "NLPAUG_SPELLING_EN",
]


def _whole(text: str) -> list[str]:
    return [text]


_ONE_CHARACTER: dict[str, Any] = {
    "min_char": 1, "aug_char_min": 1, "aug_char_max": 1, "aug_word_min": 1, "aug_word_max": 1, "aug_word_p": 1.0,
    "tokenizer": _whole, "reverse_tokenizer": "".join,
}  # fmt: skip


@cache
def _augmenter(kind: str, option: str) -> Any:
    import nlpaug.augmenter.char as nac
    import nlpaug.augmenter.word as naw
    import nlpaug.model.word_dict as nmw

    if kind == "keyboard":
        return nac.KeyboardAug(lang=option, **_ONE_CHARACTER)
    if kind == "ocr":
        return nac.OcrAug(**_ONE_CHARACTER)
    if kind == "random":
        return nac.RandomCharAug(action=option, **_ONE_CHARACTER)
    augmenter = naw.SpellingAug(aug_min=1, aug_max=1, aug_p=1.0, tokenizer=_whole, reverse_tokenizer="".join)
    # nlpaug keeps one list for the whole process, in the order of a set, which differs from process to process.
    augmenter.model = nmw.Spelling(augmenter.dict_path)
    augmenter.model.dict = {word: sorted(others) for word, others in augmenter.model.dict.items()}
    return augmenter


def _operator(name: str, kind: str, option: str = "") -> WordOperator:
    def rewrite(run: str, seed: int) -> str | None:
        augmenter = _augmenter(kind, option)  # before the seed: importing it draws numbers
        random.seed(seed)  # noqa: TID251 (nlpaug offers no other way; random_state_kept surrounds every call)
        np.random.seed(seed & 0xFFFFFFFF)  # noqa: TID251
        results = augmenter.augment(run)
        return results[0] if results else None

    return WordOperator(name, rewrite, random_state_kept)


globals().update(
    {
        f"NLPAUG_KEYBOARD_{layout.upper()}": _operator(f"nlpaug_keyboard_{layout}", "keyboard", layout)
        for layout in NLPAUG_LAYOUTS
    }
)
NLPAUG_OCR = _operator("nlpaug_ocr", "ocr")
NLPAUG_RANDOM_INSERT = _operator("nlpaug_random_insert", "random", "insert")
NLPAUG_RANDOM_SUBSTITUTE = _operator("nlpaug_random_substitute", "random", "substitute")
NLPAUG_RANDOM_SWAP = _operator("nlpaug_random_swap", "random", "swap")
NLPAUG_RANDOM_DELETE = _operator("nlpaug_random_delete", "random", "delete")
NLPAUG_SPELLING_EN = _operator("nlpaug_spelling_en", "spelling")
