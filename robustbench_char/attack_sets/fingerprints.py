"""Short hashes of examples, by which one is known again without its text: in another file or format, or attacked.

An example is known by its texts, whatever white space parts their words; its label and id do not count. A hash has 8
bytes: of 400,000 examples against 40,000 others, two different ones are taken for one with a probability of 1e-9.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from robustbench_char.attack_sets.manifest import Manifest
from robustbench_char.attack_sets.show import undone_texts
from robustbench_char.tasks.base import Example, token_text

__all__ = ["Fingerprints", "clean_fingerprints", "fingerprints"]

Fingerprints: TypeAlias = npt.NDArray[np.uint64]
_BYTES = 8


def fingerprints(examples: Iterable[Example]) -> Fingerprints:
    """Return the fingerprint of each example.

    >>> one, other = Example(0, "a", "a", {"sentence": "It is  so."}), Example(7, "b", "b", {"sentence": "It is so. "})
    >>> len(set(fingerprints([one, other]).tolist()))
    1
    """
    return _of({name: token_text(value) for name, value in example.fields.items()} for example in examples)


def clean_fingerprints(folder: Path, manifest: Manifest, examples: Iterable[Example]) -> Fingerprints:
    """Return the fingerprint of each of the first examples of an attacked set, as it was before the attack.

    Raises InputError where ledger and file disagree.
    """
    return _of(_clean_texts(folder, manifest, examples))


def _clean_texts(folder: Path, manifest: Manifest, examples: Iterable[Example]) -> Iterator[dict[str, str]]:
    contexts: dict[str, str] = {}  # the edits of one that several questions share stand with the first
    for _, group in groupby(undone_texts(folder, manifest, examples), key=lambda one: one[0].row):
        texts: dict[str, str] = {}
        for example, field, clean, _, rows in group:
            texts = texts or {name: token_text(value) for name, value in example.fields.items()}
            key = example.context_key or str(example.row)
            if field == "context" and (rows or key not in contexts):
                contexts[key] = clean
            texts[field] = contexts[key] if field == "context" else clean
        yield texts


def _of(examples: Iterable[Mapping[str, str]]) -> Fingerprints:
    hashes = (
        blake2b("\0".join(f"{name}\0{' '.join(texts[name].split())}" for name in sorted(texts)).encode(
            "utf-8", "surrogatepass"), digest_size=_BYTES).digest()
        for texts in examples
    )  # fmt: skip
    return np.frombuffer(b"".join(hashes), "<u8").astype(np.uint64)
