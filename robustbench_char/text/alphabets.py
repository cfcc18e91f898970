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

# What CharBERT's noise inserts (Ma et al. 2020, create_adv_word): the most frequent characters, without the space.
ALPHABETS.register(
    "charbert_nlm_2020",
    tuple("etainorshldcumfpgwyb,v.?WkAST10CIMBPx2H-'\"9EDNRFG)(zLU8O5j3Jq476KV;Y:–%Q/][ZéX—$"),
)
