"""Text keys: what identifies a clean example for the draws of an attack, whatever file or order it comes in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

__all__ = ["ContentKeys", "text_key"]


def text_key(text: str) -> str:
    """Return the SHA-256 of one text, which is the key of a context that several questions share."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class ContentKeys:
    """Keys of the examples of one file that has no ids: SHA-256 of the clean record, and its number among equals.

    Equals are alike in every native column, so nobody can tell which of them came first and the order of the file
    does not matter. Records that differ in some other column share one key: their texts are attacked alike.
    """

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._repeats: dict[bytes, int] = {}

    def key(self, fields: Mapping[str, str | tuple[str, ...]], label: str | tuple[str, ...] | None, native: str) -> str:
        """Return the key of the next example; `native` holds all its columns."""
        digest = hashlib.blake2b(native.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        count = 0
        if digest in self._seen:
            count = self._repeats[digest] = self._repeats.get(digest, 0) + 1
        self._seen.add(digest)
        record = json.dumps({"fields": fields, "label": label}, sort_keys=True, separators=(",", ":"))
        return f"{text_key(record)}#{count}"
