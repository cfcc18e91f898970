"""Fixtures of the tests of CharBERT."""

from __future__ import annotations

from fixtures.charbert import char_vocab, make, plain

__all__ = ["char_vocab", "make", "plain"]
