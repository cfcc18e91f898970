"""DESIGN's promises 1 to 4, over every registered operator and every shipped suite, on texts of all kinds."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_char.attacks.engine import Batch, Outcome, attack_batch
from robustbench_char.attacks.keys import text_keys
from robustbench_char.attacks.ledger import Slot, edit_of, ledger_table, undoing_edit_of
from robustbench_char.attacks.operators import OPERATORS, WHITE_SPACE
from robustbench_char.attacks.suites import OperatorRule, Strength, Suite, WordRule, load_suites, suite_names
from robustbench_char.common import InputError
from robustbench_char.text.confusions import OCR_CONFUSIONS
from robustbench_char.text.edits import apply_edits
from robustbench_char.text.letters import ALPHABETS, LAYOUTS

OWN = ("drop", "add", "swap", "keyboard")
MORE = ("replace", "ocr", "case", "misspelling", "insert_space", "join_words")
ENGLISH = """don't U.S. well-known SOCCER aaaa naïve Straße ÖSTERREICH cannot x ab MacDonald 1996-12-06 24.88 and
themselves "quoted" ``so'' word_with_lines ǅungla İstanbul ﬁnance"""
OTHER = "日本語のテキスト Ελληνικά שלום مرحبا हिन्दी ไทย 😀😀😀 𝐀𝐁𝐂𝐃"
WORDS = (
    *ENGLISH.split(), *OTHER.split(),
    "e\u0301te\u0301", "o\u0308", "a\u200db", "\u212aelvin", "\x00", "co\u2011op",
)  # fmt: skip
SPACES = (" ", "  ", "\n", "\r\n", "\u2028", "\u00a0", "\t", "", ", ", ". ", "—")
word = st.one_of(st.sampled_from(WORDS), st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
text = st.lists(st.tuples(word, st.sampled_from(SPACES)), max_size=8).map(lambda parts: "".join(map("".join, parts)))
texts = st.lists(text, max_size=6)
token = st.one_of(
    st.sampled_from(WORDS), st.text(st.characters(exclude_categories=["Cs", "Z", "C"]), min_size=1, max_size=6)
)
tokens = st.lists(st.lists(token, max_size=6), max_size=5)


def suite_of(operator: str, **changes: Any) -> Suite:
    rules = {operator: OperatorRule()}
    if operator == "misspelling":
        changes["misspellings"] = load_suites("human_typos", task="qnli")[0].misspellings
    return Suite(**({"name": "t", "family": "t", "words": WordRule(), "operators": rules,
                     "strength": Strength(rate=1.0),
                     "positions": "all", "alphabet": "english", "layout": "qwerty", "case": "keep", "no_op": "never",
                     "fields": None} | changes))  # fmt: skip


ALL = {name: suite_of(name) for name in OPERATORS}
ALL |= {suite.name: suite for name in suite_names() for suite in load_suites(name, task="qnli")[:2]}
ALL |= {f"{name}_own_script": suite_of(name, alphabet="own_script") for name in ("add", "replace")}
CLEAN = {
    name: suite
    for name, suite in ALL.items()
    if suite.no_op == "never" and set(suite.operators) <= {*OWN, *MORE} and suite.edits_per_word == 1
}
every = pytest.mark.parametrize("name", list(ALL))
every_own = pytest.mark.parametrize("name", OWN)


def attack(
    batch: list[str], suite: Suite, *, numbers: list[int] | None = None, **more: Any
) -> tuple[Outcome, list[dict[str, Any]]]:
    names = [str(number) for number in (numbers if numbers is not None else range(len(batch)))]
    outcome = attack_batch(Batch(batch, text_keys(names, seed=3, family=suite.family, task="t"), **more), suite)
    slots = [Slot(int(name), name, "text") for name in names]
    return outcome, ledger_table(outcome, slots).to_pylist()


def examples(name: str) -> int:
    return 8 if "nlpaug" in name else 25


@every
def test_an_edit_depends_on_its_own_text_alone(name: str) -> None:
    """Promise 1: not on order, batch or chunk; and global random state stays."""

    @settings(max_examples=examples(name))
    @given(texts, st.randoms(use_true_random=False))
    def holds(batch: list[str], order: random.Random) -> None:
        python, numpy = random.getstate(), np.random.get_state()
        outcome, rows = attack(batch, ALL[name])
        numbers = list(range(len(batch)))
        order.shuffle(numbers)
        cut = len(numbers) // 3
        for chunk in (numbers[:cut], numbers[cut:]):
            part, part_rows = attack([batch[i] for i in chunk], ALL[name], numbers=chunk)
            assert part.texts == [outcome.texts[i] for i in chunk]
            assert sorted(map(str, part_rows)) == sorted(str(row) for row in rows if row["row"] in chunk)
        assert random.getstate() == python
        after = np.random.get_state()
        assert all(np.array_equal(a, b) for a, b in zip(numpy, after, strict=True))

    holds()


@every
def test_the_ledger_undoes_every_edit(name: str) -> None:
    """Promise 3: from the ledger alone, either text gives the other back, and its words are where it says."""

    @settings(max_examples=examples(name))
    @given(texts)
    def holds(batch: list[str]) -> None:
        outcome, rows = attack(batch, ALL[name])
        for number, (clean, attacked) in enumerate(zip(batch, outcome.texts, strict=True)):
            own = [row for row in rows if row["row"] == number]
            assert apply_edits(clean, list(map(edit_of, own))) == attacked
            assert apply_edits(attacked, list(map(undoing_edit_of, own))) == clean
            numbers = [row["word"] for row in own]
            assert numbers == sorted(numbers)
            assert len(numbers) <= len(set(numbers)) * ALL[name].edits_per_word
            for row in own:
                starts = clean.index(row["word_before"]), attacked.index(row["word_after"])
                assert starts[0] <= row["start_clean"]
                assert starts[1] <= row["start_attacked"]
                spaces = sum(map(str.isspace, row["word_before"])), sum(map(str.isspace, row["word_after"]))
                assert spaces == WHITE_SPACE.get(row["operator"], (0, 0))
        assert outcome.attempted >= outcome.edited
        assert outcome.eligible >= outcome.attempted

    holds()


@every
def test_no_edit_splits_joins_or_empties_a_token(name: str) -> None:
    """Promise 2 and 4: as many tokens as before, none empty, none with white space in it; or a clear no."""
    if not ALL[name].keeps_words:
        with pytest.raises(InputError, match="changes the number of words"):
            attack(["a word"], ALL[name], tokens=True)
        return

    @settings(max_examples=examples(name))
    @given(tokens)
    def holds(rows: list[list[str]]) -> None:
        clean = [" ".join(row) for row in rows]
        outcome, ledger = attack(clean, ALL[name], tokens=True)
        for row, attacked in zip(rows, outcome.texts, strict=True):
            after = attacked.split(" ") if row else []
            assert len(after) == len(row)
            assert all(token and not any(char.isspace() for char in token) for token in after)
        for edit in ledger:
            assert edit["word_after"] != edit["word_before"] or ALL[name].edits_per_word > 1
            assert any(edit["word_before"] in token for token in rows[edit["row"]])

    holds()


@every
def test_interior_leaves_both_ends_of_a_word(name: str) -> None:
    rules = {key: rule.model_copy(update={"positions": None}) for key, rule in ALL[name].operators.items()}
    suite = ALL[name].model_copy(update={"positions": "interior", "operators": rules})

    @settings(max_examples=examples(name))
    @given(texts)
    def holds(batch: list[str]) -> None:
        outcome, rows = attack(batch, suite)
        edits, words = outcome.edits, outcome.words
        if name == "join_words":  # it leaves both words whole
            assert all(row["word_before"].replace(" ", "") == row["word_after"] for row in rows)
            return
        assert (edits.start > words.starts[edits.word]).all()
        assert (edits.start + edits.written.removed < words.ends[edits.word]).all()
        for row in rows:
            before, after = row["word_before"], row["word_after"]
            assert (before[0], before[-1]) == (after[0], after[-1])

    holds()


@pytest.mark.parametrize("characters", ["any", "letters"])
@pytest.mark.parametrize("name", [name for name in (*OWN, *MORE) if name not in WHITE_SPACE])
def test_ends_strikes_first_or_last_characters_alone(name: str, characters: Any) -> None:
    suite = ALL[name].model_copy(update={"positions": "ends", "operators": {name: OperatorRule(characters=characters)}})

    @settings(max_examples=10)
    @given(texts)
    def holds(batch: list[str]) -> None:
        outcome, _ = attack([*batch, "0A A0 modern 1st"], suite)
        edits, words = outcome.edits, outcome.words
        last = edits.start + edits.written.removed == words.ends[edits.word]
        assert (last | (edits.start == words.starts[edits.word])).all()

    holds()


SHAPES = {
    "drop": lambda before, after, row: len(after) == len(before) - 1 and row["inserted"] == "",
    "add": lambda before, after, row: len(after) == len(before) + 1 and row["removed"] == "",
    "swap": lambda before, after, row: sorted(before) == sorted(after) and row["inserted"] == row["removed"][::-1],
    "keyboard": lambda before, after, row: len(after) == len(before) and len(row["removed"]) == 1,
    "replace": lambda before, after, row: len(after) == len(before) and len(row["removed"]) == 1,
    "ocr": lambda before, after, row: any(
        seen == row["removed"] and row["inserted"] in reads for seen, reads in OCR_CONFUSIONS[row["removed"][0]]
    ),
    "case": lambda before, after, row: before.lower() == after.lower() or before.upper() == after.upper(),
    "misspelling": lambda before, after, row: True,  # tests/attacks/test_variants.py has the list
    "insert_space": lambda before, after, row: (
        after.replace(" ", "") == before and after.strip() == after and (row["removed"], row["inserted"]) == ("", " ")
    ),
    "join_words": lambda before, after, row: before.replace(" ", "") == after and row["removed"] == " ",
}


@pytest.mark.parametrize("name", [*OWN, *MORE])
@pytest.mark.parametrize("case", ["keep", "lower"])
@settings(max_examples=50)
@given(texts)
def test_operators_do_what_they_say(name: str, case: str, batch: list[str]) -> None:
    """Promise 4: one fewer, one more, the same letters in another order, one neighbouring key; capitals where they
    were.
    """
    _, rows = attack(batch, suite_of(name, case=case))
    for row in rows:
        before, after, gone, come = (row[key] for key in ("word_before", "word_after", "removed", "inserted"))
        assert before != after
        assert SHAPES[name](before, after, row)
        if name == "keyboard":
            assert come.lower() in LAYOUTS.get("qwerty")[gone.lower()]
            assert come.isupper() == (gone.isupper() and case == "keep")
        if name == "replace":
            assert come.lower() in ALPHABETS.get("english")
            assert come.lower() != gone.lower() if case == "keep" else come != gone
        if name == "swap" and case == "keep":
            assert [char.isupper() for char in before] == [char.isupper() for char in after]
        if name == "add":
            capitals = sum(char.isupper() for char in before) >= 2 and not any(char.islower() for char in before)
            assert come.isupper() == (capitals and case == "keep")


@every_own
@pytest.mark.parametrize("positions", ["all", "interior"])
@settings(max_examples=50)
@given(batch=texts, case=st.sampled_from(["keep", "lower"]), letters=st.sampled_from(["any", "letters"]))
def test_a_word_stays_only_where_no_edit_is_legal(
    name: str, positions: str, batch: list[str], case: str, letters: str
) -> None:
    """A clean suite never leaves a word that has a legal edit: all edits are written out and the engine's is among
    them.
    """
    rules = {name: OperatorRule(characters=letters)}
    outcome, rows = attack(batch, suite_of(name, operators=rules, positions=positions, case=case))
    edited = {(row["row"], row["word"]): row for row in rows}
    for start, end, number, index in zip(
        outcome.words.starts, outcome.words.ends, outcome.words.text, outcome.words.number, strict=True
    ):
        offset = outcome.clean.offsets[number]
        whole = batch[number][start - offset : end - offset]
        legal = legal_edits(whole, name, positions, case, letters)
        row = edited.get((number, index))
        assert (row is None) == (not legal), (whole, legal)
        assert row is None or (row["word_before"] == whole and row["word_after"] in legal)


def legal_edits(whole: str, name: str, positions: str, case: str, letters: str) -> set[str]:
    """Write out every word that one edit makes of `whole`."""
    n, found = len(whole), set()
    low, high = (1, n - 1) if positions == "interior" else (0, n)
    capitals = sum(char.isupper() for char in whole) >= 2 and not any(char.islower() for char in whole)
    layout = LAYOUTS.get("qwerty")
    for i in range(low, high + 1):
        struck = whole[i : i + (2 if name == "swap" else 1)]
        if letters == "letters" and not struck.isalpha():
            continue
        if name == "add" and (positions == "all" or i < n):
            found |= {whole[:i] + char + whole[i:] for char in ("ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                                if capitals and case == "keep"
                                                                else "abcdefghijklmnopqrstuvwxyz")}  # fmt: skip
        if i < high and name == "drop" and n > 1:
            found.add(whole[:i] + whole[i + 1 :])
        if i < high - 1 and name == "swap" and struck[0] != struck[1]:
            found |= (
                set()
                if case == "keep" and struck[0].isupper() != struck[1].isupper()
                else {whole[:i] + struck[::-1] + whole[i + 2 :]}
            )
        if i < high and name == "keyboard":
            near = layout.get(struck.lower() if ord(struck) < 0x250 else "", "")
            found |= {
                whole[:i] + (key.upper() if case == "keep" and struck.isupper() else key) + whole[i + 1 :]
                for key in near
            }
    return found


@pytest.mark.parametrize("name", list(CLEAN))
@settings(max_examples=25)
@given(batch=texts, rate=st.floats(0, 1), words=st.integers(0, 5))
def test_strength_is_met_exactly(name: str, batch: list[str], rate: float, words: int) -> None:
    """round(rate x eligible) words of each text, or min(k, eligible) of them."""
    full, rows = attack(batch, CLEAN[name].model_copy(update={"strength": Strength(rate=1.0)}))
    eligible = Counter(row["row"] for row in rows)
    assert full.eligible == full.attempted == len(rows)
    share, some = attack(batch, CLEAN[name].model_copy(update={"strength": Strength(rate=rate)}))
    assert Counter(row["row"] for row in some) == +Counter(
        {number: round(rate * count) for number, count in eligible.items()}
    )
    count, few = attack(batch, CLEAN[name].model_copy(update={"strength": Strength(words=words)}))
    assert Counter(row["row"] for row in few) == +Counter(
        {number: min(words, total) for number, total in eligible.items()}
    )
    assert share.eligible == count.eligible == full.eligible


@every
def test_a_stronger_attack_holds_all_edits_of_a_weaker_one(name: str) -> None:
    rates = st.lists(st.floats(0, 1), min_size=2, max_size=2).map(sorted)

    @settings(max_examples=examples(name))
    @given(texts, rates, st.integers(0, 3))
    def holds(batch: list[str], rates: list[float], words: int) -> None:
        levels = [Strength(rate=rate) for rate in rates], [Strength(words=words), Strength(words=words + 1)]
        for weak, strong in levels:
            fewer = attack(batch, ALL[name].model_copy(update={"strength": weak}))[1]
            more = attack(batch, ALL[name].model_copy(update={"strength": strong}))[1]
            same = ("row", "word", "operator", "start_clean", "removed", "inserted")
            assert {tuple(row[key] for key in same) for row in fewer} <= {
                tuple(row[key] for key in same) for row in more
            }

    holds()


@every
@pytest.mark.parametrize("batch", [[], [""], ["", " ", "\n", "\r\n\u2028"], ["   "], ["a"], ["", "word", ""]])
def test_empty_and_blank_texts(name: str, batch: list[str]) -> None:
    outcome, _ = attack(batch, ALL[name])
    assert [text for text in outcome.texts if not text.strip()] == [text for text in batch if not text.strip()]


def span_in(text: str) -> st.SearchStrategy[tuple[int, int]]:
    place = st.integers(0, len(text))
    return st.tuples(place, place).map(lambda pair: (min(pair), max(pair)))


@given(texts, st.data())
@settings(max_examples=60)
def test_protected_spans_stay(batch: list[str], data: st.DataObject) -> None:
    spans = [[data.draw(span_in(text))] for text in batch]
    for kind in ("entities", "answers"):
        suite = suite_of("drop", words=WordRule(protect=(kind,)))
        _, rows = attack(batch, suite, **{kind: spans})
        for row in rows:
            ((start, end),) = spans[row["row"]]
            assert not start <= row["start_clean"] < end
