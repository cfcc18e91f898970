"""Letters that operators write: alphabets, and for each lower-case key of a keyboard layout the keys beside it."""

from __future__ import annotations

import string
import unicodedata
from functools import cache

import numpy as np

from robustbench_char.common import Registry
from robustbench_char.text.characters import LETTER, flags
from robustbench_char.text.unicode_14 import is_lower, upper

__all__ = ["ALPHABETS", "LAYOUTS", "script_letters", "script_of"]

ALPHABETS: Registry[tuple[str, ...]] = Registry("alphabet")
ALPHABETS.register("english", tuple(string.ascii_lowercase))
ALPHABETS.register("english_both_cases", tuple(string.ascii_letters))
ALPHABETS.register("german", tuple(string.ascii_lowercase + "äöüß"))
ALPHABETS.register("french", tuple(string.ascii_lowercase + "àâæçéèêëîïôœùûüÿ"))
ALPHABETS.register("spanish", tuple(string.ascii_lowercase + "áéíñóúü"))

# What CharBERT's noise inserts (Ma et al. 2020, create_adv_word): the most frequent characters, without the space.
ALPHABETS.register(
    "charbert_nlm_2020", tuple("etainorshldcumfpgwyb,v.?WkAST10CIMBPx2H-'\"9EDNRFG)(zLU8O5j3Jq476KV;Y:–%Q/][ZéX—$")
)

ALPHABETS.register("own_script", ())  # the letters of the script that each word is written in: see script_letters

_BASIC = {
    "LATIN": "az", "CYRILLIC": "ая", "GREEK": "αω", "ARMENIAN": "աֆ", "HEBREW": "את", "GEORGIAN": "აჰ",
    "ARABIC": "ءي", "DEVANAGARI": "अह", "THAI": "กฮ", "HIRAGANA": "ぁん", "KATAKANA": "ァン", "HANGUL": "가힣",
    "CJK": "一龥",
}  # fmt: skip
"""First and last basic letter of scripts whose other letters are of other times and languages, or seldom typed."""


def script_of(char: str) -> str:
    """Return the script of a letter, the first word of its Unicode name; that of a character without one is Latin."""
    return unicodedata.name(char, "LATIN").split()[0]


@cache
def script_letters(script: str) -> tuple[tuple[str, str], ...]:
    """Return the letters of a script, small and capital (the same where it has no case, or no single capital).

    They are the basic ones, where `_BASIC` has them; else all letters of Unicode's first plane that are named after the
    script, its small letters alone where it has some; Latin ones where there is none.
    """
    ends = _BASIC.get(script, "\0\uffff")
    named = [char for char in _named_letters().get(script, ()) if ends[0] <= char <= ends[1]]
    letters = [char for char in named if is_lower(char)] or [char for char in named if not char.isupper()]
    pairs = tuple((char, upper(char) if len(upper(char)) == 1 else char) for char in letters)
    return pairs or script_letters("LATIN")


@cache
def _named_letters() -> dict[str, list[str]]:
    """Return the letters of Unicode's first plane by script, in order."""
    codes, named = np.arange(0x10000, dtype=np.uint32), dict[str, list[str]]()
    for code in codes[(flags(codes) & LETTER) > 0].tolist():
        named.setdefault(script_of(chr(code)), []).append(chr(code))
    return named


LAYOUTS: Registry[dict[str, str]] = Registry("keyboard layout")

# Rows are shifted to the right by about a quarter and a half key on a real keyboard, so a key of one row touches two of
# the row below: column c and c - 1.
_ROWS = {
    "qwerty": ("qwertyuiop", "asdfghjkl", "zxcvbnm"),
    "qwertz": ("qwertzuiopü", "asdfghjklöä", "yxcvbnm"),
    "azerty": ("azertyuiop", "qsdfghjklm", "wxcvbn"),
}


def _touching(rows: tuple[str, ...]) -> dict[str, str]:
    position = {key: (r, c) for r, row in enumerate(rows) for c, key in enumerate(row)}
    steps = ((0, -1), (0, 1), (-1, 0), (-1, 1), (1, -1), (1, 0))
    at = {cell: key for key, cell in position.items()}
    return {key: "".join(at.get((r + dr, c + dc), "") for dr, dc in steps) for key, (r, c) in position.items()}


def _parse(text: str) -> dict[str, str]:
    return {entry[0]: entry[2:] for entry in text.split()}


for _name, _rows in _ROWS.items():
    LAYOUTS.register(_name, _touching(_rows))

# Pruthi, Dhingra and Lipton (ACL 2019): the four neighbours on an unshifted grid of 3 x 10 keys.
LAYOUTS.register(
    "pruthi_2019",
    _parse("q:aw w:qes e:wrd r:etf t:ryg y:tuh u:yij i:uok o:ipl p:o a:qsz s:wadx d:esfc f:rdgv g:tfhb h:ygjn j:uhkm "
           "k:ijl l:ok z:ax x:szc c:dxv v:fcb b:gvn n:hbm m:jn"),
)  # fmt: skip

# CharBERT (Ma et al., COLING 2020): the substitutions that occur in the released attacked QNLI and CoNLL-2003 sets.
LAYOUTS.register(
    "charbert_2020",
    _parse("a:zwxqs b:nhgv c:dfxv d:fecrsvx e:rdfws f:tcgrvd g:hvtybf h:jbgnyu i:ujokl j:nhmkui k:jiolm, l:opk m:jnk "
           "n:hjmb o:ikpl p:ol q:swa r:gdtfe s:exacdwz t:fgrhy u:kyihj v:gcbf w:qdsae x:dcsz y:hutjg z:sxa"),
)  # fmt: skip
