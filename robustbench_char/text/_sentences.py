"""Where a full stop ends a sentence, so that it is a word of its own by the rules of the Treebank tokenizer.

Those rules part the last full stop of a text alone: the text is meant to be one sentence. The rules here are our own.
They follow Punkt (Kiss & Strunk 2006), which NLTK's `word_tokenize` has first: a full stop ends a sentence but after an
abbreviation or initial, and after these where a word follows that often begins one. Question and exclamation marks
need no rule, since they are words wherever they stand.
"""

from __future__ import annotations

import re

_STOP = re.compile(r"""(?<=[^\s.])\.["')\]}»”’]*(?=\s+([^\s,;:]\S*))""")
_WORD = re.compile(r"(?<![\w'’.])(?:[^\W\d_]+\.)*[^\W\d_]+$")
_INITIALS = re.compile(r"(?:\w\.)*\w")
_LONGEST = 12
_ABBREVIATIONS = """
    mr mrs ms messrs dr prof rev hon st sr jr gen col capt cmdr lt sgt maj adm gov sen sens rep reps pres supt ph.d
    jan feb apr aug sept sep oct nov dec tues thurs inc corp co cos ltd pty bros vs etc viz cf al approx dept ave blvd
    rd mt ft oz lb lbs hr hrs yr yrs ala ariz ark calif colo conn fla ky md mich minn mont neb nev okla penn tenn tex va
    vt wis w.va
"""
_BEFORE_NUMBERS = "no nos fig figs pp vol vols ch sec art op jul jun mar"
_STARTERS = """
    A After All Although An And As At Because Both But By Even For From He Her His How However I If In Instead It Its
    Many Meanwhile Most My No Not On One Or Our She Since So Some Such That The Their Then There These They This Those
    Though Thus To Under We What When Where Which While Who With Yet You
"""
_SHORTENED, _NUMBERED, _BEGINS = (frozenset(one.split()) for one in (_ABBREVIATIONS, _BEFORE_NUMBERS, _STARTERS))


def sentence_ends(text: str) -> list[int]:
    """Return where sentences end that end in a full stop with white space and more after it; quotes and brackets that
    close behind the full stop belong to the sentence.
    """
    return [stop.end() for stop in _STOP.finditer(text) if not _abbreviates(text, stop)]


def _abbreviates(text: str, stop: re.Match[str]) -> bool:
    found = _WORD.search(text, max(0, stop.start() - _LONGEST), stop.start())
    if found is None:
        return False
    word, after = found.group().lower(), stop.group(1).lstrip("\"'`([{«“‘")
    if word in _NUMBERED:
        return after[:1].isdigit()
    known = word in _SHORTENED or _INITIALS.fullmatch(word) is not None
    return known and re.split(r"\W", after, maxsplit=1)[0] not in _BEGINS
