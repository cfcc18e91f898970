"""The noisy channel: what it corrects, what it leaves alone, and that a file says how noisy it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustbench_char.defences.channel import Channel, ChannelOptions
from robustbench_char.defences.channel._words import split_words

TEXT = [
    "the farmer sells fresh tomatoes in the village market every morning .",
    "the teacher sells old books in the village hall every evening .",
    "a young farmer and a teacher meet in the market .",
] * 20


@pytest.fixture(scope="module")
def channel() -> Channel:
    return Channel.build(ChannelOptions(dictionary=False), TEXT)


def test_errors_are_corrected_in_their_sentence(channel: Channel) -> None:
    given = [["The", "faremr", "sels", "frsh", "tomaotes", "in", "the", "vilage", "MAKRET", "."]] * 5
    meant = ["The", "farmer", "sells", "fresh", "tomatoes", "in", "the", "village", "MARKET", "."]
    assert channel.correct(given) == [meant] * 5


def test_clean_text_and_what_is_no_word_stay(channel: Channel) -> None:
    sentences = [line.split() for line in TEXT[:3]] + [["12", "%", "3,000", "", "Zbigniew"]]
    assert channel.correct(sentences) == sentences


def test_probabilities_sum_to_one(channel: Channel) -> None:
    for word in channel.posteriors([["the", "faremr", "and", "teh", "market"]])[0]:
        assert sum(share for _, share in word) == pytest.approx(1)


def test_offsets_lead_back_to_the_text_as_given(channel: Channel) -> None:
    (correction,) = channel.correct_texts(["The faremr sells (fresh) tomaotes!"])
    assert correction.text == "The farmer sells (fresh) tomatoes!"
    start = correction.text.index("tomatoes")
    assert correction.given[slice(*map(int, correction.to_given(start, start + 8)))] == "tomaotes"


def test_a_folder_gives_the_same_channel(channel: Channel, tmp_path: Path) -> None:
    channel.save(tmp_path / "channel")
    loaded = Channel.load(tmp_path / "channel")
    given = [["teh", "faremr", "sels", "tomaotes"]]
    assert loaded.info == channel.info
    assert loaded.correct(given) == channel.correct(given)


def test_words_of_texts_are_not_taken_apart() -> None:
    text = "I can't, isn’t e.g. U.S.-made (see www.a.org/b?c=d, me@host.org)."
    words = ["I", "can't", ",", "is", "n’t", "e.g.", "U.S.", "-", "made", "(", "see"]
    assert [text[start:end] for start, end in split_words(text)][:11] == words
    assert {"www.a.org/b?c=d,", "me@host.org"} <= {text[start:end] for start, end in split_words(text)}


def test_what_only_one_place_of_the_training_text_has_is_new_in_training(tmp_path: Path) -> None:
    task = [["the", "farmer", "Quillsworth", "sells", "books"], *(line.split() for line in TEXT[:3])]
    channel = Channel.build(ChannelOptions(dictionary=False), TEXT, task)
    given = [["the", "farmer", "Quilsworth", "sels", "books"]] * 3
    known, new = ["the", "farmer", "Quillsworth", "sells", "books"], ["the", "farmer", "Quilsworth", "sells", "books"]
    assert channel.correct(given) == [known] * 3
    assert channel.for_training().correct(given) == [new] * 3
    channel.save(tmp_path / "channel")
    assert Channel.load(tmp_path / "channel").for_training().correct(given) == [new] * 3
