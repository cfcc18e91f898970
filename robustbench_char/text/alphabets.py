"""Alphabets that an added character is drawn from."""

from __future__ import annotations

import string

from robustbench_char.common import Registry

__all__ = ["ALPHABETS"]

ALPHABETS: Registry[tuple[str, ...]] = Registry("alphabet")
ALPHABETS.register("english", tuple(string.ascii_lowercase))
ALPHABETS.register("english_both_cases", tuple(string.ascii_letters))
ALPHABETS.register("german", tuple(string.ascii_lowercase + "äöüß"))
ALPHABETS.register("french", tuple(string.ascii_lowercase + "àâæçéèêëîïôœùûüÿ"))
ALPHABETS.register("spanish", tuple(string.ascii_lowercase + "áéíñóúü"))
