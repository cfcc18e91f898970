"""The off-the-shelf spelling checker: which words it touches, what it keeps, its folder. No model library."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.dictionaries import small_dictionaries
from hypothesis import given
from hypothesis import strategies as st

from robustbench_char.common import InputError
from robustbench_char.common.extras import package_folder
from robustbench_char.defences.opening import check_defence, identify_defence, kind_of_defence, open_defence
from robustbench_char.defences.spell import Spell


@pytest.fixture(scope="module", autouse=True)
def _small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with small_dictionaries(tmp_path_factory.mktemp("dictionaries")):
        yield


@pytest.mark.parametrize(
    ("given_word", "written"),
    [
        ("huose", "house"),
        ("Huose", "House"),
        ("HUOSE", "HOUSE"),
        ("hosse", "house"),  # as near as `horse`, and more frequent
        ("horse", "horse"),
        ("dont", "don't"),
        ("DON’T", "DON’T"),
        ("cann't", "can't"),
        ("ot", "ot"),  # too short
        ("rivverr", "rivverr"),  # two edits
        ("riv3r", "riv3r"),
        ("1996-08-22", "1996-08-22"),
        ("U.S.", "U.S."),
        ("rivér", "rivér"),
        ("huose-rivr", "house-river"),
        ("(huose)", "(house)"),
        ("", ""),
        ("...", "..."),
    ],
)
def test_words(given_word: str, written: str) -> None:
    checker = Spell.ready()
    assert checker.correct([[given_word, "the"], []]) == [[written, "the"], []]
    (text,) = checker.correct_texts([f"\t{given_word}  the\n"])
    assert text.text == f"\t{written}  the\n"


def test_positions_lead_back_to_the_text_as_given() -> None:
    text = "Teh old hous , by teh rivr"
    (found,) = Spell.ready().correct_texts([text])
    assert found.text == "The old house , by the river"
    start = found.text.index("house")
    assert tuple(map(int, found.to_given(start, start + 5))) == (8, 12)


@given(st.lists(st.lists(st.text("aehou't -3Ré\ud800", max_size=8), max_size=4), max_size=4))
def test_as_many_words_out_as_in_whatever_stands_around(sentences: list[list[str]]) -> None:
    checker = Spell.ready()
    corrected = checker.correct(sentences)
    assert [len(words) for words in corrected] == [len(words) for words in sentences]
    assert corrected == [[Spell.ready().correct([[word]])[0][0] for word in words] for words in sentences]
    for words, new in zip(sentences, corrected, strict=True):
        assert [word.split() != [] for word in new] == [word.split() != [] for word in words]
    assert checker.correct(corrected) == corrected


def test_its_folder(tmp_path: Path) -> None:
    checker = Spell.ready()
    checker.save(tmp_path / "one")
    assert json.loads((tmp_path / "one" / "defence.json").read_text())["kind"] == "spell"
    opened = open_defence(tmp_path / "one")
    assert (opened.info, opened.correct([["teh"]])) == (checker.info, [["the"]])
    assert (checker.info.kind, checker.info.edits, checker.info.operators) == ("spell", 1, ())
    assert identify_defence("spell") == {"spell": checker.info.sha256}
    before = identify_defence(tmp_path / "one")
    file = json.loads((tmp_path / "one" / "defence.json").read_text())
    (tmp_path / "one" / "defence.json").write_text(json.dumps(file | {"max_edits": 2}))
    assert identify_defence(tmp_path / "one") != before
    assert open_defence(tmp_path / "one").correct([["rivverr"]]) == [["river"]]
    (tmp_path / "one" / "defence.json").write_text(json.dumps(file | {"dictionary_sha256": "0"}))
    with pytest.raises(InputError, match=r"dictionary_sha256: found 0; .* Install the version of symspellpy"):
        check_defence(tmp_path / "one")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({"schema": 2, "kind": "spell"}, r"defence\.json: schema: found 2, of a newer version of robustbench-char"),
        ({"schema": 1, "kind": "spel"}, r"defence\.json: kind: found 'spel'; .* Did you mean 'spell'\?"),
        ({"schema": 1}, r"defence\.json: kind: found None; expected one of spell"),
        ([], r"defence\.json: kind: found None"),
        ({"schema": 1, "kind": ["spell"]}, r"defence\.json: kind: found \['spell'\]"),
        ({"schema": 1, "kind": "spell", "more": 1}, r"defence\.json: \w+: found"),
    ],
)
def test_refuses_folders_of_other_versions(content: object, match: str, tmp_path: Path) -> None:
    (tmp_path / "defence.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=match):
        open_defence(tmp_path)


def test_refuses_what_is_none(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"--defence: found no folder spel; .* or one of spell.*Did you mean 'spell'\?"
    ):
        open_defence("spel")
    with pytest.raises(InputError, match=r"found neither defence\.json nor recogniser\.json in "):
        open_defence(tmp_path)
    (tmp_path / "defence.json").write_text("{")
    with pytest.raises(InputError, match=r"defence\.json:1: found malformed JSON"):
        kind_of_defence(tmp_path)


def test_the_shipped_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustbench_char.defences.spell.package_folder", package_folder)
    assert Spell.ready().correct([["recieve", "Recieved", "London"]]) == [["receive", "Received", "London"]]
