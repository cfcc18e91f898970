"""The suite `charbert_2020` against what was measured on CharBERT's released attacked sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from robustbench_char.attacks.engine import Batch, attack_batch
from robustbench_char.attacks.keys import text_keys
from robustbench_char.attacks.ledger import Slot, ledger_table
from robustbench_char.attacks.suites import load_suites
from robustbench_char.text.letters import LAYOUTS
from robustbench_char.text.words import STOP_WORDS

Row = dict[str, object]


def attack(task: str, texts: list[str], *, tokens: bool = False, seed: int = 1) -> tuple[list[str], list[Row], int]:
    (suite,) = load_suites("charbert_2020", task=task)
    names = [str(number) for number in range(len(texts))]
    outcome = attack_batch(Batch(texts, text_keys(names, seed=seed, family=suite.family, task=task), tokens), suite)
    rows = ledger_table(outcome, [Slot(number, name, "f") for number, name in enumerate(names)]).to_pylist()
    return outcome.texts, rows, len(outcome.words.starts)


def shares(rows: list[Row]) -> dict[str, float]:
    count = Counter(str(row["operator"]) for row in rows)
    return {name: 100 * count[name] / len(rows) for name in ("drop", "add", "swap", "keyboard")}


def conll(path: Path) -> tuple[list[list[str]], list[list[str]]]:
    """Read tokens and tags: word, tag and a third column, a blank line after each sentence."""
    blocks = path.read_text(encoding="utf-8").strip().split("\n\n")
    lines = [[line.split() for line in block.split("\n") if line.strip()] for block in blocks]
    return [[parts[0] for parts in block] for block in lines], [[parts[1] for parts in block] for block in lines]


@pytest.mark.data
def test_conll_amounts(shared_data: Path) -> None:
    tokens, tags = conll(shared_data / "conll2003" / "test.txt")
    attacked, rows, _ = attack("conll2003", [" ".join(row) for row in tokens], tokens=True)
    pairs = [
        (a, b, tag)
        for row, text, own in zip(tokens, attacked, tags, strict=True)
        for a, b, tag in zip(row, text.split(" "), own, strict=True)
    ]
    assert len(pairs) == 46_435
    assert 49 <= 100 * sum(a != b for a, b, _ in pairs) / len(pairs) <= 51
    entities = [(a, b) for a, b, tag in pairs if tag != "O"]
    assert 87 <= 100 * sum(a != b for a, b in entities) / len(entities) <= 89
    for a, b, _ in pairs:
        assert len(a) > 3 or a == b
        assert (a[0], a[-1]) == (b[0], b[-1])
        assert abs(len(a) - len(b)) <= 1
    for name, expected in {"drop": 26.6, "add": 26.6, "swap": 24.4, "keyboard": 22.4}.items():
        assert shares(rows)[name] == pytest.approx(expected, abs=1.0)


@pytest.mark.data
def test_conll_kinds_of_tokens(shared_data: Path) -> None:
    """Shares by kind of token: words 99.6%, stop words 74% (never by keyboard), numbers 0%, numbers with signs 51%."""
    tokens, _ = conll(shared_data / "conll2003" / "test.txt")
    attacked, rows, _ = attack("conll2003", [" ".join(row) for row in tokens], tokens=True)
    pairs = [
        (a, b)
        for row, text in zip(tokens, attacked, strict=True)
        for a, b in zip(row, text.split(" "), strict=True)
        if len(a) > 3
    ]

    def changed(kind: list[tuple[str, str]]) -> float:
        return 100 * sum(a != b for a, b in kind) / len(kind)

    stop = [(a, b) for a, b in pairs if a.lower() in STOP_WORDS]
    assert changed([(a, b) for a, b in pairs if a.isalpha() and a.lower() not in STOP_WORDS]) == pytest.approx(
        99.6, abs=0.5
    )
    assert changed(stop) == pytest.approx(73.8, abs=3)
    assert changed([(a, b) for a, b in pairs if a.isdigit()]) == 0
    signs = [
        (a, b)
        for a, b in pairs
        if any(char.isdigit() for char in a) and not any(char.isalpha() for char in a) and not a.isdigit()
    ]
    assert changed(signs) == pytest.approx(51.2, abs=5)
    assert not any(row["operator"] == "keyboard" and str(row["word_before"]).lower() in STOP_WORDS for row in rows)


@pytest.mark.data
def test_qnli_amounts(shared_data: Path) -> None:
    lines = (shared_data / "glue" / "QNLI" / "dev.tsv").read_text(encoding="utf-8").rstrip("\n").split("\n")[1:]
    texts = [field for line in lines for field in line.split("\t")[1:3]]
    _, rows, words = attack("qnli", texts)
    assert 100 * len(rows) / words == pytest.approx(52.2, abs=1.5)
    for name, expected in {"drop": 26.5, "add": 26.5, "swap": 25.1, "keyboard": 21.9}.items():
        assert shares(rows)[name] == pytest.approx(expected, abs=1.0)
    assert all(len(str(row["word_before"])) > 3 for row in rows)


SENTENCES = [
    "The committee's 1996-12-06 report cost $3.88, said Mr. Bookkeeper of SOCCER International (Ltd.).",
    "Themselves between yourselves: don't hundreds 12345 cannot \"quotations\" twenty-one well-known",
] * 60  # fmt: skip


def test_what_each_operator_may_write() -> None:
    """Added letters are lower case on QNLI, of both cases on CoNLL; substitutes come from the measured map, in lower
    case.
    """
    layout = LAYOUTS.get("charbert_2020")
    for task, cases in (("qnli", {False}), ("conll2003", {False, True})):
        _, rows, _ = attack(task, SENTENCES)
        added = {str(row["inserted"]) for row in rows if row["operator"] == "add"}
        assert all(char.isascii() and char.isalpha() for char in added)
        assert {char.isupper() for char in added} == cases
        for row in rows:
            gone, come = str(row["removed"]), str(row["inserted"])
            if row["operator"] == "keyboard":
                assert come in layout[gone.lower()]
                assert gone.isalpha()
            if row["operator"] == "swap":
                assert gone.isalpha()
            if row["operator"] == "drop":
                assert gone


def test_numbers_are_left_alone_on_conll_only() -> None:
    for task, touched in (("qnli", True), ("conll2003", False), ("ptb_pos", False)):
        _, rows, _ = attack(task, SENTENCES)
        assert any(str(row["word_before"]).isdigit() for row in rows) == touched


def test_tokens_of_several_pieces_keep_their_ends() -> None:
    """A token may hold several Treebank pieces, each with ends of its own; three characters are too few for any of
    them.
    """
    tokens = [
        ["U.S.", "Ltd.", "don't", "Smith's", "cannot", "(Reuters)", "New/York", "committee-member's", "a.b", "S&P"]
    ] * 80
    attacked, rows, _ = attack("conll2003", [" ".join(row) for row in tokens], tokens=True)
    changed = {
        clean
        for row, text in zip(tokens, attacked, strict=True)
        for clean, token in zip(row, text.split(" "), strict=True)
        if clean != token
    }
    assert changed == {"Smith's", "(Reuters)", "New/York", "committee-member's"}
    assert {row["word_before"] for row in rows} == {"Smith", "Reuters", "New/York", "committee-member"}


MIXED = [
    "AL-AIN",
    "well-known",
    "off-off-site",
    "x-ray",
    "A-B-C-D",
    "4x4s",
    "R2D2",
    "1990s",
    "mid-1990s",
    "b00kk-eeper",
]


def unchanged(word: str) -> float:
    """Return how likely a word stays as it is: a place among all its inner characters is drawn, equal letters are
    drawn again once, and swap and keyboard leave the word alone where they draw no letter.
    """
    pairs = [word[at : at + 2] for at in range(1, len(word) - 2)]
    signs = sum(not pair.isalpha() for pair in pairs) / len(pairs)
    equal = sum(pair.isalpha() and pair[0] == pair[1] for pair in pairs) / len(pairs)
    keyboard = sum(not char.isalpha() for char in word[1:-1]) / len(word[1:-1])
    return (signs + equal * (signs + equal) + keyboard) / 4


@pytest.mark.parametrize("word", MIXED)
def test_words_with_hyphens_and_digits_stay_as_often_as_drawn(word: str) -> None:
    """Share unchanged within four standard errors of the rule's."""
    texts, rows, words = attack("qnli", [word] * 8000)
    share = sum(text == word for text in texts) / 8000
    expected = unchanged(word)
    assert words == 8000
    assert share == pytest.approx(expected, abs=4 * (expected * (1 - expected) / 8000) ** 0.5)
    assert {row["removed"].isalpha() for row in rows if row["operator"] in ("swap", "keyboard")} <= {True}


def test_the_versions_differ_in_words_that_hold_other_characters_than_letters() -> None:
    """`AL-AIN` under swap always became `AL-IAN`. A word of letters alone is attacked alike by both versions."""
    found = {}
    for name in ("charbert_2020", "charbert_2020_v1"):
        (suite,) = load_suites(name, task="qnli")
        keys = text_keys(map(str, range(400)), seed=1, family=suite.family, task="qnli")
        found[name] = attack_batch(Batch(["AL-AIN bookkeeper"] * 400, keys), suite).texts
    mixed, letters = ([{text.split()[part] for text in texts} for texts in found.values()] for part in (0, 1))
    assert {"AL-AIN", "AL-IAN"} < mixed[0]
    assert "AL-AIN" not in mixed[1]
    assert letters[0] == letters[1]
    assert [load_suites(name, task="qnli")[0].version for name in found] == [2, 1]


@pytest.mark.data
def test_words_with_hyphens_and_digits_of_the_released_sets(shared_data: Path) -> None:
    """Released: of hyphenated words 13.6% (NER, 361) and 10.0% (QNLI, 1,090) unchanged, with digits 34% and 38%."""
    lines = (shared_data / "glue" / "QNLI" / "dev.tsv").read_text(encoding="utf-8").rstrip("\n").split("\n")[1:]
    pairs = [field for line in lines for field in line.split("\t")[1:3]]
    sentences = [" ".join(row) for row in conll(shared_data / "conll2003" / "test.txt")[0]]
    for task, texts, released in (("conll2003", sentences, (13.6, 34)), ("qnli", pairs, (10.0, 38))):
        kept, all_words = Counter[str](), Counter[str]()
        for seed in (1, 2, 3):
            for word, same in _words(task, texts, seed):
                kind = "digits" if any(map(str.isdigit, word)) else "hyphen" if "-" in word else ""
                if len(word) > 3 and kind and any(map(str.isalpha, word)):
                    all_words[kind] += 1
                    kept[kind] += same
        shares = [100 * kept[kind] / all_words[kind] for kind in ("hyphen", "digits")]
        assert shares[0] == pytest.approx(released[0], abs=2.5)
        assert shares[1] == pytest.approx(released[1], abs=6)


def _words(task: str, texts: list[str], seed: int) -> Iterator[tuple[str, bool]]:
    """Yield the words of an attack, and whether each stayed as it was."""
    (suite,) = load_suites("charbert_2020", task=task)
    keys = text_keys(map(str, range(len(texts))), seed=seed, family=suite.family, task=task)
    outcome = attack_batch(Batch(texts, keys, task == "conll2003"), suite)
    edited, codes = set(outcome.edits.word.tolist()), outcome.clean.codes.tobytes().decode("utf-32-le")
    for number, span in enumerate(zip(outcome.words.starts.tolist(), outcome.words.ends.tolist(), strict=True)):
        yield codes[slice(*span)], number not in edited


def test_equal_letters_are_drawn_again_once() -> None:
    """Of the two places of `axyyc` one holds equal letters: swap, drawn for 1/4 of the words, fails on 1/4 of those."""
    _, rows, _ = attack("qnli", ["axyyc"] * 4000)
    swaps = sum(row["operator"] == "swap" for row in rows)
    assert swaps / 1000 == pytest.approx(0.75, abs=0.05)
