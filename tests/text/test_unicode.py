"""Rules of attacks know the characters of Unicode 14.0 alone, whichever Python they run under."""

from __future__ import annotations

import hashlib
import unicodedata

import numpy as np
import pytest

from robustbench_char.attacks.variants import _capitals
from robustbench_char.text import unicode_14
from robustbench_char.text.characters import LOWER, flags, lower_codes, upper_codes
from robustbench_char.text.columns import Column
from robustbench_char.text.letters import script_letters, script_of
from robustbench_char.text.words import SPLITTERS

ALL = np.array([code for code in range(0x110000) if not 0xD800 <= code < 0xE000], np.uint32)
KAWI, CYRILLIC_MODIFIER, GARAY, CJK = "\U00011f04", "\U0001e030", "\U00010d50", "\U0002ebf0"
"""Letters of Unicode 15.0, 15.0, 16.0 and 15.1."""


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def test_classes_are_the_same_under_every_python() -> None:
    """The hashes were made under Python 3.11, whose Unicode is 14.0."""
    assert sha(flags(ALL).tobytes()) == "dffaec49d7adc631"
    assert sha(lower_codes(ALL).tobytes() + upper_codes(ALL).tobytes()) == "c3b7a575fd7ba08e"
    scripts = sorted({script_of(chr(code)) for code in range(0x3000)})
    letters = ["".join(small + capital for small, capital in script_letters(script)) for script in scripts]
    assert sha("\n".join(letters).encode()) == "0f771b59cde2876a"


def test_later_characters_are_those_that_were_not_assigned() -> None:
    later = unicode_14.later(ALL)
    unassigned = np.array([unicodedata.category(chr(code)) == "Cn" for code in ALL.tolist()])
    assert later.sum() == 829_834
    assert not (unassigned & ~later).any()
    if unicodedata.unidata_version == "14.0.0":
        assert (later == unassigned).all()


@pytest.mark.parametrize("char", [KAWI, CYRILLIC_MODIFIER, GARAY, CJK])
def test_a_later_letter_is_none(char: str) -> None:
    text = f"cat{char}dog isn{char}t it's{char}."
    assert flags(np.array([ord(char)], np.uint32)).tolist() == [0]
    for name in SPLITTERS:
        words = SPLITTERS.get(name)(Column.of([text]))
        private = SPLITTERS.get(name)(Column.of([text.replace(char, "\ue000")]))
        assert [words.starts.tolist(), words.ends.tolist()] == [private.starts.tolist(), private.ends.tolist()]
    assert unicode_14.seen(text) == text.replace(char, "\ue000")
    assert unicode_14.upper(f"a{char}ß") == f"A{char}SS"
    assert unicode_14.lower(f"A{char}Σ") in (f"a{char}σ", f"a{char}ς")
    assert _capitals(f"a{char}b") == ((0, 1, "A"), (0, 3, f"A{char}B"))


@pytest.mark.parametrize("char", unicode_14.CASED_LATER)
def test_letters_that_later_became_small_ones(char: str) -> None:
    assert not flags(np.array([ord(char)], np.uint32))[0] & LOWER
    assert not unicode_14.is_lower(char)
    assert unicode_14.is_lower(f"a{char}")
    assert unicode_14.is_upper(f"A{char}")


def test_a_text_without_later_characters_is_itself() -> None:
    text = "Aé日\U00020000\ud800\U0001f600"
    assert unicode_14.seen(text) == text
    assert (unicode_14.upper("straße"), unicode_14.lower("ΟΔΟΣ")) == ("STRASSE", "οδος")
