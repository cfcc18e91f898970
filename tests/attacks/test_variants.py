"""Operators that choose among finished edits: OCR confusions, capitals, listed misspellings; and lists in suites."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from robustbench_char.attacks.engine import Batch, Outcome, attack_batch
from robustbench_char.attacks.keys import text_keys
from robustbench_char.attacks.ledger import Slot, ledger_table
from robustbench_char.attacks.lists import ListInfo
from robustbench_char.attacks.suites import OperatorRule, Suite, load_suites
from robustbench_char.common import InputError
from robustbench_char.text.misspellings import read_misspellings

LIST = "recieve\treceive\nreceve\treceive\nLybia\tLibya\nalot\ta lot\n"
SUITE = """schema: 1
description: Our own misspellings.
operators: {misspelling: {}}
positions: all
misspellings: {list: own.tsv, licence: CC0-1.0}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own.tsv").write_text(LIST)
    (tmp_path / "own.yaml").write_text(SUITE)
    return tmp_path / "own.yaml"


def attack(suite: Suite, text: str, copies: int = 1) -> Outcome:
    keys = text_keys(map(str, range(copies)), seed=1, family=suite.family, task="t")
    return attack_batch(Batch([text] * copies, keys), suite)


def loaded(name: object, **changes: object) -> Suite:
    return load_suites(str(name), task="qnli")[0].model_copy(update=changes)


def test_a_listed_misspelling_with_the_words_capitals(own: Path) -> None:
    """Every misspelling of a word comes; words that are not listed are not eligible; capitals are the word's."""
    outcome = attack(loaded(own), "Receive RECEIVE receive ReCeive Libya LIBYA libya a lot", 40)
    words = list(zip(*(text.split() for text in outcome.texts), strict=True))
    assert set(words[0]) == {"Recieve", "Receve"}
    assert set(words[1]) == {"RECIEVE", "RECEVE"}
    assert set(words[2]) == {"recieve", "receve"}
    assert [set(column) for column in words[3:]] == [{w} for w in ["ReCeive", "Lybia", "LYBIA", "lybia", "a", "lot"]]
    assert outcome.eligible == outcome.attempted == outcome.edited == 6 * 40
    own.with_name("own.tsv").write_text("thou\ti\n", encoding="utf-8")
    assert attack(loaded(own), "I i").texts == ["Thou thou"]  # one capital may begin a word, too
    own.with_name("own.tsv").write_text(LIST, encoding="utf-8")
    as_listed = attack(loaded(own, case="lower"), "RECEIVE LIBYA")
    assert as_listed.texts[0].split()[1] == "Lybia"


def test_one_edit_is_the_part_that_differs(own: Path) -> None:
    outcome = attack(loaded(own), "We receive it.", 20)
    rows = ledger_table(outcome, [Slot(number, str(number), "text") for number in range(20)]).to_pylist()
    assert {(row["start_clean"], row["removed"], row["inserted"]) for row in rows} == {(6, "ei", "ie"), (7, "i", "")}


def test_codespell_draws_from_its_list() -> None:
    suite = loaded("human_typos")
    assert suite.misspellings is not None
    assert (suite.misspellings.name, suite.misspellings.licence) == ("codespell", "CC-BY-SA-3.0")
    known: dict[str, set[str]] = {}
    for wrong, right in read_misspellings("codespell"):
        known.setdefault(right.lower(), set()).add(wrong.lower())
    text = "because the government believes that they definitely received their separate addresses"
    for attacked in attack(suite, text, 20).texts:
        for before, after in zip(text.split(), attacked.split(), strict=True):
            assert after in known[before]


def test_a_suite_holds_its_list(own: Path) -> None:
    """The hash of a suite is that of its list's content; where the file stands is in no manifest."""
    suite = loaded(own)
    assert suite.misspellings is not None
    assert (suite.misspellings.name, suite.misspellings.licence) == ("own.tsv", "CC0-1.0")
    assert str(own.parent) not in suite.model_dump_json()
    read = Suite.model_validate_json(suite.model_dump_json())
    assert read == suite
    assert hash(read.misspellings) == hash(suite.misspellings)
    (own.parent / "own.tsv").write_text(LIST + "teh\tthe\n")
    assert loaded(own).sha256 != suite.sha256
    altered = suite.misspellings.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(InputError, match=r"own.tsv: found another version of the list of misspellings"):
        attack(loaded(own, misspellings=altered), "receive")


@pytest.mark.parametrize(
    ("text", "listing", "message"),
    [
        (SUITE.replace(", licence: CC0-1.0", ""), LIST, r"own.yaml: misspellings.licence: found none; expected"),
        (SUITE.replace("own.tsv", "other.tsv"), LIST, r"misspellings.list: found no file 'other.tsv'"),
        (SUITE, "teh the\n", r"own.tsv:1: found 1 column"),
        (SUITE, "alot\ta lot\n", r"own.tsv: found no pair of single words"),
        (SUITE.replace("misspellings:", "source: x #"), LIST, "the operator misspelling and the key misspellings"),
        (SUITE.replace("{misspelling: {}}", "{drop: {}}"), LIST, "the operator misspelling and the key misspellings"),
        (SUITE.replace("{misspelling: {}}", "{misspelling: {}, join_words: {}}"), LIST, "join_words as the one"),
        (SUITE.replace("{misspelling: {}}", "{misspelling: {}}\ntasks: {cola: {operators: {drop: {}}}}"), LIST,
         "misspelling and the key misspellings together"),
        ("schema: 1\ndescription: x\nedits_per_word: 2\noperators: {insert_space: {}}\n", LIST, "insert_space as"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_suite(own: Path, text: str, listing: str, message: str) -> None:
    own.write_text(text)
    (own.parent / "own.tsv").write_text(listing)
    with pytest.raises(InputError, match=message):
        load_suites(str(own), task="qnli")


def test_a_suite_made_without_its_list() -> None:
    suite = loaded("human_typos", misspellings=None)
    with pytest.raises(InputError, match="the operator misspelling without a list"):
        attack(suite, "because")
    gone = loaded("human_typos", misspellings=ListInfo(name="gone.tsv", sha256="0", licence="x"))
    with pytest.raises(InputError, match=r"found no file 'gone.tsv'"):
        attack(gone, "because")


def test_confusions_of_single_and_several_characters() -> None:
    outcome = attack(loaded("ocr"), "modern clock 10 O", 300)
    first = Counter(text.split()[0] for text in outcome.texts)
    assert {"modem", "moclern", "rnodern", "m0dern", "modcrn"} <= set(first)
    assert {"dock", "c1ock", "cIock"} <= {text.split()[1] for text in outcome.texts}
    assert {"l0", "I0", "1O"} <= {text.split()[2] for text in outcome.texts}
    letters = attack(loaded("ocr", operators={"ocr": OperatorRule(characters="letters")}), "10 101")
    assert letters.eligible == 0
    inside = attack(loaded("ocr", positions="interior"), "modern", 200)
    assert all(text[0] + text[-1] == "mn" for text in inside.texts)
    ends = attack(loaded("ocr", positions="ends"), "modern", 200)
    assert all("oder" in text for text in ends.texts if text != "modem")
    assert {"rnodern", "moderh", "modem"} <= set(ends.texts)


def test_capitals() -> None:
    outcome = attack(loaded("case"), "Vienna I 1990s x86 --", 60)
    assert {text.split()[0] for text in outcome.texts} == {"vienna", "VIENNA"}
    assert {text.split()[1] for text in outcome.texts} == {"i"}
    assert all(text.endswith("1990s x86 --") for text in outcome.texts)


def test_words_are_parted_and_joined_at_single_spaces_alone() -> None:
    text = "one two, three  four\nfive six (seven) e\u0301te\u0301"
    joined = attack(loaded("join_words@1.0"), text)
    assert joined.texts == ["onetwo, three  four\nfivesix (seven) e\u0301te\u0301"]
    parted = attack(loaded("insert_space", words=loaded("case").words), "e\u0301te\u0301s don't ab", 50)
    whole = "e\u0301te\u0301s"
    assert {text.partition(" d")[0] for text in parted.texts} <= {
        whole,
        *(f"{whole[:at]} {whole[at:]}" for at in (2, 3, 5)),
    }
    assert all(text.endswith("a b") for text in parted.texts)


def test_nothing_is_joined_to_what_is_protected() -> None:
    suite = loaded("join_words@1.0", words=loaded("join_words").words.model_copy(update={"protect": ("answers",)}))
    keys = text_keys(["1"], seed=1, family="f", task="t")
    outcome = attack_batch(Batch(["one two three four five"], keys, answers=[[(8, 13)]]), suite)
    assert outcome.texts == ["onetwo three fourfive"]


@pytest.mark.parametrize("script", ["Ελληνικά ΑΘΗΝΑ", "тихий ДОН", "שלום", "ქართული", "हिन्दी", "日本語", "สวัสดี"])
def test_letters_of_the_words_own_script(script: str) -> None:
    import unicodedata

    latin = attack(loaded("add", words=loaded("case").words), script, 20)
    assert all("LATIN" in "".join(unicodedata.name(char) for char in text if char != " ") for text in latin.texts)
    own = attack(loaded("add", alphabet="own_script", words=loaded("case").words), script, 20)
    for text in own.texts:
        assert len(text) > len(script)
        assert not any("LATIN" in unicodedata.name(char) for char in text if char != " ")
        assert [word.isupper() for word in text.split()] == [word.isupper() for word in script.split()]
