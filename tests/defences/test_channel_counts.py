"""What the channel counts, against counts by hand: lexicon, pairs, spellings of new words, errors."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from robustbench_char.defences.channel._edits import ADD, DROP, REPLACE, SWAP, Edits, parsed
from robustbench_char.defences.channel._index import Spelled
from robustbench_char.defences.channel._letters import SIZE, SYMBOLS, symbols
from robustbench_char.defences.channel._spelling import Spelling
from robustbench_char.defences.channel._words import Tokens
from robustbench_char.defences.channel.errors import ErrorModel, length_class
from robustbench_char.defences.channel.lexicon import CLASSES, Lexicon, count_lexicon

TEXTS = [
    ["The ant met the bee .", "Bees and ants , 3 of 12 , met ."],
    ["THE ANT", "A bee saw Zoe in 1984 .", ""],
]
WEIGHTS = (1.0, 3.0)
LISTED, LISTED_PAIRS = {"ant": 5.0, "wasp": 2.0}, {("ant", "wasp"): 4.0, ("ant", "unheard"): 9.0}


def parts() -> list[tuple[Tokens, float]]:
    """Return the texts as parts, each with its weight."""
    return [(Tokens.of([line.split() for line in text]), weight) for text, weight in zip(TEXTS, WEIGHTS, strict=True)]


def _is_number(word: str) -> bool:
    return any(map(str.isdigit, word)) and not any(map(str.isalpha, word))


def test_words_and_pairs_are_those_of_plain_counting() -> None:
    lexicon = count_lexicon(parts(), LISTED, LISTED_PAIRS, least=2)
    counts = Counter[str](LISTED)
    for text, weight in zip(TEXTS, WEIGHTS, strict=True):
        for word in " ".join(text).split():
            counts[word.lower()] += 0 if _is_number(word) else weight
    known = {word: count for word, count in counts.items() if count >= 2}
    names = lexicon.words.to_pylist()
    assert names[: len(CLASSES)] == list(CLASSES)
    assert dict(zip(names, lexicon.frequency.tolist(), strict=True)) == {
        **dict(zip(CLASSES, lexicon.frequency.tolist(), strict=False)), **known
    }  # fmt: skip
    assert names[len(CLASSES) :] == sorted(known, key=lambda word: (-known[word], word))

    def entry(word: str) -> str:
        new = CLASSES[2] if word[0].islower() or not word[0].isalpha() else CLASSES[3]
        return CLASSES[1] if _is_number(word) else word.lower() if word.lower() in known else new

    pairs = Counter[tuple[str, str]]({("ant", "wasp"): 4.0})
    for text, weight in zip(TEXTS, WEIGHTS, strict=True):
        for line in text:
            for pair in pairwise([CLASSES[0], *map(entry, line.split())]):
                pairs[pair] += weight
    first, second = np.divmod(lexicon.pairs, len(lexicon))
    found = {
        (names[a], names[b]): count
        for a, b, count in zip(first.tolist(), second.tolist(), lexicon.pair_counts.tolist(), strict=True)
    }
    assert found == pairs
    assert lexicon.pairs.tolist() == sorted(lexicon.pairs.tolist())


def test_classes_are_counted_and_the_most_frequent_words_kept() -> None:
    plain = count_lexicon(parts(), {}, {}, least=2)
    new = sum(plain.frequency.tolist()[2:4])
    assert plain.frequency[0] == 0
    assert plain.frequency[1] == 1 + 1 + 3, "numbers: 3, 12, 1984"
    assert new > 4, "Bees, and, ants, of, once each in the first part"
    small = count_lexicon(parts(), {}, {}, least=2, size=3)
    assert small.words.to_pylist() == plain.words.to_pylist()[: len(CLASSES) + 3]
    assert len(count_lexicon([], {}, {})) == len(CLASSES)


def test_capitals_are_counted_where_they_say_something() -> None:
    """Not at the beginning of a sentence, nor in one without small letters."""
    lexicon = count_lexicon([(Tokens.of([["Here", "Zoe", "saw", "zoe", "and", "ZOE"], ["ZOE", "SAW"]]), 2.0)], {}, {})
    row = lexicon.words.to_pylist().index("zoe")
    assert lexicon.shapes[row].tolist() == [2, 2, 2]
    assert lexicon.shapes[lexicon.words.to_pylist().index("here")].sum() == 0
    np.testing.assert_allclose(np.exp(lexicon.log_shape).sum(axis=1), 1)


@pytest.mark.parametrize("pairs", [{}, LISTED_PAIRS])
@pytest.mark.parametrize("read", [True, False])
def test_what_follows_a_word_sums_to_one(read: bool, pairs: dict[tuple[str, str], float]) -> None:
    lexicon = count_lexicon(parts() if read else [], LISTED, pairs)
    every = np.arange(len(lexicon))
    follows = lexicon.log_follows(np.repeat(every, len(every)), np.tile(every, len(every)))
    np.testing.assert_allclose(np.exp(follows).reshape(len(every), -1).sum(axis=1), 1)
    assert np.exp(lexicon.log_unigram).sum() == pytest.approx(1)


def test_a_pair_has_its_discounted_count_and_a_share_of_the_rest() -> None:
    words = pa.array([*CLASSES, "a", "b"], pa.string())
    frequency = np.array([0.0, 0, 0, 0, 6, 2])
    lexicon = Lexicon(words, frequency, np.zeros((6, 3)), np.array([4 * 6 + 4, 4 * 6 + 5]), np.array([3.0, 0.5]))
    follows = np.exp(lexicon.log_follows(np.array([4, 4, 5]), np.array([4, 5, 4])))
    left = 0.75 + 0.5 + 1  # what the discounts take, and one for what was not seen
    np.testing.assert_allclose(follows, [(2.25 + left * 0.75) / 4.5, left * 0.25 / 4.5, 0.75], rtol=1e-6)


def spelling() -> Spelling:
    """Count the letters of a few words."""
    return Spelling.of(Spelled.of(["zoe", "zora", "o'neil", "x-ray", "ray"]), np.array([1.0, 2, 1, 1, 0.5]))


@pytest.mark.parametrize("start", ["", "z", "zo", "zor", "o'ne", "qqqq", "x-", "é"])
def test_the_next_letters_of_a_spelling_sum_to_one(start: str) -> None:
    """All symbols that may come next, and the end of the word: each as the ratio to what it stands on."""
    model = spelling()
    words = [start + char for char in SYMBOLS + "é"]
    whole = np.exp(model.log_probability(Spelled.of([start, *words])))
    # P(start, end) + the P of all continuations = P(start); a continuation's own end is divided out
    ended = [_ends(model, word) for word in [start, *words]]
    begun = whole / ended
    assert whole[0] + begun[1:].sum() == pytest.approx(begun[0])
    assert begun[0] <= 1 + 1e-9
    assert start or begun[0] == pytest.approx(1)


def _ends(model: Spelling, word: str) -> float:
    """Return the probability that a word ends where it does, by the formula of Witten and Bell."""
    coded = symbols(np.array([[ord(char) for char in word]], np.uint32)).ravel().tolist() if word else []
    history, share = [62] * 4 + coded, 1 / SIZE
    for keys, counts, back in zip(model.keys, model.counts, range(5), strict=True):
        context = 0
        for symbol in history[len(history) - back :] if back else []:
            context = context << 6 | symbol
        own = (keys >> 6) == context
        total, kinds = counts[own].sum(), own.sum()
        seen = counts[keys == (context << 6 | 63)].sum()
        share = (seen + kinds * share) / (total + kinds) if total else share
    return float(share)


def test_spellings_like_those_seen_are_likelier() -> None:
    likely = spelling().log_probability(Spelled.of(["zoe", "eoz", "zorae", "qxqxq"]))
    assert likely[0] > likely[1]
    assert likely[2] > likely[3]


def test_symbols() -> None:
    codes = np.array([ord(char) for char in SYMBOLS + "é.€"], np.uint32)
    assert symbols(codes).tolist() == [*range(1, SIZE - 1), *[SIZE - 1] * 3]
    assert symbols(np.zeros(1, np.uint32)).tolist() == [0]


def model() -> ErrorModel:
    """Return an error model in which no two numbers are alike."""
    random = np.random.Generator(np.random.PCG64(0))
    kinds, added, replaced = random.random((4, 3)), random.random((SIZE, SIZE)), random.random((SIZE, SIZE))
    tables = (table / table.sum(axis=1, keepdims=True) for table in (added, replaced))
    return ErrorModel(random.random(8), np.array([0.8, 0.2]), kinds / kinds.sum(), *tables)


READINGS = [
    # known, given, operator, place (first, inner, last), how many such places, letters
    ("abcd", "bcd", DROP, 0, 1, None),
    ("abcd", "acd", DROP, 1, 2, None),
    ("abcd", "abc", DROP, 2, 1, None),
    ("abcd", "xabcd", ADD, 0, 1, ("", "x")),
    ("abcd", "axbcd", ADD, 1, 3, ("a", "x")),
    ("abcd", "abcdx", ADD, 2, 1, ("d", "x")),
    ("abcd", "bacd", SWAP, 0, 1, None),
    ("abcd", "acbd", SWAP, 1, 1, None),
    ("abcd", "abdc", SWAP, 2, 1, None),
    ("abcd", "xbcd", REPLACE, 0, 1, ("a", "x")),
    ("abcd", "abxd", REPLACE, 1, 2, ("c", "x")),
    ("abcd", "abcx", REPLACE, 2, 1, ("d", "x")),
    ("abcd", "ab'd", REPLACE, 1, 2, ("c", "'")),
]


def _symbol(char: str) -> int:
    return int(symbols(np.array([ord(char)], np.uint32))[0]) if char else 0


def _read(known: list[str], given_: list[str]) -> tuple[Edits, NDArray[np.int64], int]:
    """Return the edits of pairs that have one reading each, numbered as the pairs, and the lengths of their words."""
    words, parts, seen = Spelled.of(known), [], []
    for count in (1, 2):
        pair, edits = parsed(words, Spelled.of(given_), count)
        seen += pair.tolist()
        parts.append(edits.numbered(pair[edits.pair]))
    assert sorted(seen) == list(range(len(known)))
    edits = Edits.joined(*parts)
    return edits, words.lengths[edits.pair], len(known)


def test_the_probability_of_an_edit_is_the_formula_written_out() -> None:
    errors = model()
    logs = errors.log_readings(*_read([row[0] for row in READINGS], [row[1] for row in READINGS]))
    for log, (_, _, operator, place, slots, letters) in zip(logs.tolist(), READINGS, strict=True):
        by_letter = errors.added if operator == ADD else errors.replaced
        share = by_letter[_symbol(letters[0]), _symbol(letters[1])] if letters else 1.0
        assert log == pytest.approx(np.log(0.8 * errors.kinds[operator, place] / slots * share))


def test_two_edits_are_the_product_of_both() -> None:
    errors = model()
    (log,) = errors.log_readings(*_read(["abcdef"], ["acbdxf"]))
    swap, replace = errors.kinds[SWAP, 1] / 3, errors.kinds[REPLACE, 1] / 4 * errors.replaced[5, _symbol("x")]
    assert log == pytest.approx(np.log(0.2 * swap * replace))
    once = ErrorModel.uniform(most=1)
    assert once.log_readings(*_read(["abcdef"], ["acbdxf"])).tolist() == [-np.inf]


@pytest.mark.parametrize(
    ("known", "written"), [("call", "cal"), ("cal", "call"), ("offer", "ofer"), ("tofu", "toffu"), ("miss", "misss")]
)
def test_of_two_equal_letters_it_is_the_inner_one_that_is_dropped_or_added(known: str, written: str) -> None:
    """First and last character are as they were, so a channel that keeps the ends explains it."""
    kept = ErrorModel.uniform(ends=False).log_readings(*_read([known], [written]))
    assert np.isfinite(kept).all()


@pytest.mark.parametrize(
    ("known", "written"), [("call", "calls"), ("call", "all"), ("call", "cald"), ("acl", "cal"), ("a", "ab")]
)
def test_kept_ends_do_not_change(known: str, written: str) -> None:
    assert ErrorModel.uniform(ends=False).log_readings(*_read([known], [written])).tolist() == [-np.inf]


def test_an_error_model_is_learnt_by_counting() -> None:
    base = ErrorModel.uniform()
    edits, lengths, total = _read(["abcd", "abcd", "abcd", "abcdef"], ["acd", "axcd", "abxcd", "acbdxf"])
    learnt = base.learnt(edits, lengths, np.array([10.0, 20, 30, 40]), base=base, strength=0.1)
    assert total == 4
    np.testing.assert_allclose(learnt.number, [(9 + 60) / 110, (1 + 40) / 110])
    counted = np.zeros((4, 3))
    counted[[DROP, REPLACE, ADD, SWAP], 1] = [10, 20 + 40, 30, 40]
    np.testing.assert_allclose(learnt.kinds, (base.kinds * 10 + counted) / 150)
    a, b, x = map(_symbol, "abx")
    assert learnt.added[b, x] == learnt.added[b].max()
    assert learnt.replaced[b, x] == learnt.replaced[b].max()
    np.testing.assert_allclose(learnt.added.sum(axis=1), 1)
    np.testing.assert_allclose(learnt.replaced.sum(axis=1), 1)
    assert len(set(learnt.added[a].round(12).tolist())) == 1, "nothing was added after an a"
    assert learnt.share is base.share


def test_kept_ends_stay_kept_whatever_is_learnt() -> None:
    base = ErrorModel.uniform(ends=False)
    edits, lengths, _ = _read(["abcd", "abcd"], ["bcd", "acd"])
    learnt = base.learnt(edits, lengths, np.array([1000.0, 1]), base=base)
    assert learnt.kinds[:, [0, 2]].sum() == 0


def test_the_share_of_wrong_words_is_drawn_towards_that_of_all() -> None:
    words, wrong = np.zeros(8), np.zeros(8)
    words[[3, 4]], wrong[[3, 4]] = [100, 0], [50, 0]
    words[4] = 80
    share = ErrorModel.uniform().shared(words, wrong).share
    overall = (50 + 0.1 * 20) / (180 + 20)
    np.testing.assert_allclose(share[3], (50 + 20 * overall) / 120)
    np.testing.assert_allclose(share[4], 20 * overall / 100)
    np.testing.assert_allclose(share[0], overall)
    assert ErrorModel.uniform().shared(np.full(8, 1e9), np.zeros(8)).share.max() < 1e-4, "clean text says so"


@given(st.lists(st.integers(-3, 40), max_size=9))
def test_classes_of_length(lengths: list[int]) -> None:
    expected = [min(max(length, 1), 8) - 1 for length in lengths]
    assert length_class(np.array(lengths, np.int64)).tolist() == expected
