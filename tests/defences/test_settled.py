"""A defence that stands still: what it makes of a sentence depends on that sentence alone, and on no batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from random import Random

import pytest
from fixtures.dictionaries import small_dictionaries
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_char.attack_sets.attack import attack_file
from robustbench_char.defences.channel import Channel, ChannelOptions
from robustbench_char.defences.spell import Spell
from robustbench_char.defences.wordrec import Recogniser
from robustbench_char.models.system import Adaptive, Bounded
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import open_source

FEW = settings(max_examples=30)
Sentences = list[list[str]]


def tokens(split: str) -> Sentences:
    """Return the sentences of a part of mini."""
    return [
        list(one.fields["tokens"]) for one in open_source(get_task("conll2003"), data="mini", split=split).examples()
    ]


@pytest.fixture(scope="module")
def clean() -> Sentences:
    return tokens("test")


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Channel:
    """Return a channel of the training texts of mini, with a list of misspellings."""
    path = tmp_path_factory.mktemp("listed") / "own.tsv"
    path.write_text("".join(f"teh\t{right}\n" for right in ("town", "the", "of", "in")) + "wsa\twas\nwsa\tand\n")
    return Channel.build(ChannelOptions(dictionary=False, misspellings=(str(path),)), sentences=tokens("train"))


@pytest.fixture(scope="module")
def still(channel: Channel, clean: Sentences) -> Channel:
    return channel.settled(clean, ["The mayor of Oslo spoke on Sunday."])


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Sentences:
    folder = tmp_path_factory.mktemp("attacked") / "set"
    attack_file("conll2003", data="mini", split="test", suite="two_edits", seed=3, output=folder)
    source = open_source(get_task("conll2003"), input=folder / "test.txt")
    return [list(one.fields["tokens"]) for one in source.examples()]


word = st.one_of(
    st.sampled_from(
        ["teh", "Teh", "wsa", "TEH", "", "can't", "U.S.", "😀", "a\ud800b", "1996", "Wenstoke", "wenstoke"]
    ),
    st.text(alphabet="athe'-1éw.", max_size=7),
)
files = st.lists(st.lists(word, max_size=6), max_size=5)


@given(files, st.randoms(use_true_random=False))
@FEW
def test_a_sentence_is_read_alone_as_in_any_batch(still: Channel, some: Sentences, random: Random) -> None:
    alone = [(still.correct([words])[0], still.posteriors([words])[0]) for words in some]
    assert list(zip(still.correct(some), still.posteriors(some), strict=True)) == alone
    mixed = [*range(len(some)), *range(len(some))]
    random.shuffle(mixed)
    assert still.correct([some[number] for number in mixed]) == [alone[number][0] for number in mixed]
    assert still.posteriors([some[number] for number in mixed]) == [alone[number][1] for number in mixed]


def test_attacked_sentences_are_read_alone_as_together(still: Channel, attacked: Sentences) -> None:
    some = attacked[:60]
    assert still.correct(some) != some
    assert still.correct(attacked)[:60] == still.correct(some) == [still.correct([words])[0] for words in some]
    assert still.posteriors(attacked)[:60] == [still.posteriors([words])[0] for words in some]
    texts = [" ".join(words) for words in some]
    assert [one.text for one in still.correct_texts(texts)] == [still.correct_texts([text])[0].text for text in texts]
    assert still.posteriors_of_texts(texts) == [still.posteriors_of_texts([text])[0] for text in texts]


def test_one_that_adapts_says_other_things_in_other_company(channel: Channel, clean: Sentences) -> None:
    """What `settled` is for; and the channel that was asked adapts as before."""
    name, typo = ["Marten", "Wass", "was", "Foun", "in", "Oslo", "."], ["teh", "prseident", "ws", "fuond"]
    company = [*[typo] * 20, name]
    still = channel.settled(clean, ())
    assert still.correct([name])[0] == still.correct(company)[-1] == channel.correct([*clean, name])[-1]
    assert channel.correct([name])[0] != channel.correct(company)[-1]
    assert still.info == channel.info
    assert still.tables is channel.tables
    assert still._once is channel._once


def test_the_file_itself_hardly_changes(channel: Channel, clean: Sentences) -> None:
    corrected = channel.settled(clean, ()).correct(clean)
    pairs = [pair for one, other in zip(clean, corrected, strict=True) for pair in zip(one, other, strict=True)]
    adapted = [new for words in channel.correct(clean) for new in words]
    assert sum(word != new for word, new in pairs) <= sum(
        word != new for (word, _), new in zip(pairs, adapted, strict=True)
    )


def test_settling_twice_is_settling_once(channel: Channel, clean: Sentences, attacked: Sentences) -> None:
    still = channel.settled(clean, ["The mayor spoke."])
    twice = still.settled(clean, ["The mayor spoke."])
    assert twice.posteriors(attacked) == still.posteriors(attacked)
    assert still.settled(attacked, ()).posteriors(clean) == channel.settled(attacked, ()).posteriors(clean)


def test_texts_are_read_as_their_words(channel: Channel, clean: Sentences, attacked: Sentences) -> None:
    texts = [" ".join(words) for words in clean if all(word.isalpha() for word in words)]
    of_texts, of_words = channel.settled([], texts), channel.settled([text.split() for text in texts], [])
    assert of_texts.posteriors(attacked) == of_words.posteriors(attacked)


def test_nothing_read_and_a_long_file(channel: Channel, clean: Sentences, monkeypatch: pytest.MonkeyPatch) -> None:
    assert channel.settled([], []).correct([["the", "town"]]) == [["the", "town"]]
    assert channel.settled([[]], [""]).correct([[]]) == [[]]
    first = channel.settled(clean[:3], ())
    monkeypatch.setattr("robustbench_char.defences.channel.channel._BLOCK", sum(map(len, clean[:3])))
    assert channel.settled(clean, ()).posteriors(clean) == first.posteriors(clean)


def test_a_new_word_of_the_file_stays(channel: Channel) -> None:
    """A name that the file has is known; one that it has not is corrected as before."""
    name = ["Marten", "was", "fuond", "in", "Twon", "on", "Sunday", "."]
    without, told = (channel.settled([name] * times, ()) for times in (0, 9))
    assert without.correct([name])[0][4] != "Twon"
    assert told.correct([name])[0][4] == "Twon"


def held(defence: Channel | Spell, sentence: Sequence[Sequence[str]], random: Random) -> None:
    """Check that what becomes of a word is among its choices, whichever forms the words of a sentence have."""
    choices = defence.choices(sentence)
    assert [set(own) for own in choices] == [set(forms) for forms in sentence]
    drawn = [[random.choice(forms) for forms in sentence] for _ in range(30)]
    for words, new in zip(drawn, defence.correct(drawn), strict=True):
        assert all(word in own[form] for form, word, own in zip(words, new, choices, strict=True))


def joined(parts: Sequence[frozenset[str]]) -> set[str]:
    """Return all that a stretch may become."""
    return {"".join(choice) for choice in product(*parts)}


def held_in_text(defence: Channel | Spell, stretches: Sequence[Sequence[str]], random: Random) -> None:
    """Check that a text becomes choices of its stretches, whichever forms these have."""
    choices = defence.choices_of_stretches(stretches)
    assert [set(own) for own in choices] == [set(forms) for forms in stretches]
    drawn = [[random.choice(forms) for forms in stretches] for _ in range(30)]
    for text, new in zip(drawn, defence.correct_texts(list(map("  ".join, drawn))), strict=True):
        pairs = zip(text, new.text.split("  "), choices, strict=True)
        assert all(word in joined(own[form]) for form, word, own in pairs)


def forms_of(word: str, random: Random) -> list[str]:
    """Return a word and some that are an edit away, and now and then two words of it."""
    if len(word) < 3:
        return [word]
    places = [(random.randrange(1, len(word)), random.choice("aest'.-")) for _ in range(5)]
    return list(dict.fromkeys([word, *(word[:at] + new + word[at + (at % 2) :] for at, new in places)]))


random = st.randoms(use_true_random=False)
open_sentences = st.lists(st.lists(word, min_size=1, max_size=4, unique=True), min_size=1, max_size=5)


@given(open_sentences, random)
@FEW
def test_whatever_words_become_is_among_their_choices(
    channel: Channel, still: Channel, sentence: Sentences, random: Random
) -> None:
    held(still, sentence, random)
    stretches = [[form for form in forms if form] or ["a"] for forms in sentence]
    held_in_text(still, stretches, random)
    held(channel, sentence, random)


def test_whatever_attacked_words_become_is_among_their_choices(
    still: Channel, clean: Sentences, attacked: Sentences
) -> None:
    random, number = Random(0), 0
    for words, others in zip(clean[:40], attacked, strict=False):
        sentence = [
            list(dict.fromkeys([other, *forms_of(one, random)])) for one, other in zip(words, others, strict=True)
        ]
        held(still, sentence, random)
        stretches = [list(dict.fromkeys(f"({form}," for form in forms)) for forms in sentence[:6]]
        held_in_text(still, stretches, random)
        number += sum(len(set().union(*own.values())) == 1 < len(own) for own in still.choices(sentence))
    assert number > 20, "decided: one output for all forms of the word"


def test_choices_are_few_between_the_words_of_a_sentence(channel: Channel, still: Channel) -> None:
    """The word as it is misspelled is none of them, and without what is learnt it is."""
    sentence = [["The"], ["president", "prseident", "presdent"], ["was"], ["found"]]
    assert still.choices(sentence)[1] == dict.fromkeys(sentence[1], frozenset({"president"}))
    assert channel.choices(sentence)[1]["prseident"] > {"president", "prseident"} - {"prseident"}
    assert "prseident" in channel.choices(sentence)[1]["prseident"]


@pytest.fixture
def spell(tmp_path: Path) -> Iterator[Spell]:
    with small_dictionaries(tmp_path):
        yield Spell.ready()


def test_a_spelling_checker_has_one_choice(spell: Spell) -> None:
    some = [["huose", "(huose)", "huose-rivr"], ["riv3r", "", "DONT", "a\ud800b"], ["the"]]
    held(spell, some, Random(0))
    assert all(len(choices) == 1 for own in spell.choices(some) for choices in own.values())
    held_in_text(spell, [["huose,", "'huose", "hous(e)"], ["rivr"]], Random(0))
    assert spell.correct(some) == [spell.correct([words])[0] for words in some]


def test_which_defences_promise_what(channel: Channel, spell: Spell) -> None:
    assert isinstance(channel, Adaptive)
    assert isinstance(channel, Bounded)
    assert isinstance(spell, Bounded)
    assert not isinstance(spell, Adaptive)
    assert not hasattr(Recogniser, "choices"), "what it makes of a word depends on all others"
