"""What a channel promises whoever stands it before a model: as many words, nothing lost, clean text left alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_char.attack_sets.attack import attack_file
from robustbench_char.defences.channel import Channel, ChannelOptions, train_channel
from robustbench_char.tasks.sources import mini_path

FEW = settings(max_examples=30)
PRIOR = ChannelOptions(dictionary=False)


def tokens(path: Path) -> list[list[str]]:
    """Return the tokens of a CoNLL file."""
    blocks = path.read_text(encoding="utf-8").split("\n\n")
    sentences = [[line.split(" ")[0] for line in block.splitlines() if line] for block in blocks]
    return [words for words in sentences if words and words[0] != "-DOCSTART-"]


@pytest.fixture(scope="module")
def clean() -> list[list[str]]:
    return tokens(mini_path("conll2003", "test"))


@pytest.fixture(scope="module")
def channel() -> Channel:
    """Return a channel of the training texts of mini."""
    return Channel.build(PRIOR, sentences=tokens(mini_path("conll2003", "train")))


@pytest.fixture(scope="module")
def ready() -> Channel:
    return Channel.ready()


def share_wrong(given_: Sequence[Sequence[str]], meant: Sequence[Sequence[str]]) -> float:
    """Return the share of words that differ."""
    pairs = [pair for one, other in zip(given_, meant, strict=True) for pair in zip(one, other, strict=True)]
    return sum(word != other for word, other in pairs) / len(pairs)


ODD = [
    "", " ", "x" * 5000, "a" * 25, "1984", "3,000.50", "%", "--", "😀", "🤦🏽\u200d♀️", "e\u0301te\u0301", "\u0301",
    "Привет", "日本語", "o'clock", "mother-in-law", "rock'n'roll", "-", "'", "a\0b", "\0", "\u200b", "ﬁne", "STRAßE",
    "İstanbul", "teh", "TEH", "Teh", "tEh", "http://a.b/c?d", "U.S.", "n't", "<new>", "<start>", "\u2028", "a\nb",
]  # fmt: skip
words = st.one_of(st.sampled_from(ODD), st.text(max_size=12), st.text(alphabet="athe'-1é.", max_size=9))
files = st.lists(st.lists(words, max_size=6), max_size=5)


@given(files)
@FEW
def test_as_many_words_out_as_in_and_probabilities_that_fit(channel: Channel, given_: list[list[str]]) -> None:
    corrected, meanings = channel.correct(given_), channel.posteriors(given_)
    assert list(map(len, corrected)) == list(map(len, meanings)) == list(map(len, given_))
    for sentence, after, meant in zip(given_, corrected, meanings, strict=True):
        for word, new, shares in zip(sentence, after, meant, strict=True):
            assert sum(share for _, share in shares) == pytest.approx(1)
            assert all(share > 0 for _, share in shares)
            assert new in [candidate for candidate, _ in shares]
            assert word in [candidate for candidate, _ in shares]
            if not any(map(str.isalpha, word)) or len(word) > 24:
                assert new == word, "numbers, punctuation, emoji and what is too long stay"
            assert bool(new) == bool(word)
            assert len(new.split()) == len(word.split()), "no white space appears inside a word"


@given(st.lists(st.text(max_size=60), max_size=4))
@FEW
def test_a_text_changes_in_its_words_alone_and_leads_back(channel: Channel, texts: list[str]) -> None:
    for text, correction in zip(texts, channel.correct_texts(texts), strict=True):
        assert correction.given == text
        kept_until, new_until = 0, 0
        spans = zip(correction.starts, correction.ends, correction.new_starts, correction.new_ends, strict=True)
        for start, end, new_start, new_end in spans:
            assert text[kept_until:start] == correction.text[new_until:new_start]
            assert correction.to_given(new_start, new_end) == (start, end)
            assert any(map(str.isalpha, text[start:end]))
            kept_until, new_until = end, new_end
        assert text[kept_until:] == correction.text[new_until:]
        assert correction.to_given(0, len(correction.text)) == (0, len(text))


def test_lone_surrogates_harm_nothing_around_them(channel: Channel) -> None:
    given_ = [["a\ud800b", "\ud800", "the", "\udfff\udfff"]]
    corrected = channel.correct(given_)
    assert [len(word) for word in corrected[0]] == [3, 1, 3, 2]
    assert corrected[0][2] == "the"
    assert channel.correct_texts(["the \ud800 town"])[0].text in ("the \ud800 town", "the \ufffd town")
    "".join(corrected[0]).encode()  # what a tokenizer takes
    assert Channel.build(PRIOR, ["a\ud800 town", "the town"], [["\ud800", "town"]]).correct([["twon"]])


def test_files_beyond_a_block_are_read_in_blocks(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustbench_char.defences.channel.channel._BLOCK", 3)
    given_ = [["Teh", "engineer"], ["ws", "fuond"], [], ["on", "Snday"]]
    assert channel.correct(given_) == channel.correct(given_[:2]) + channel.correct(given_[2:])
    assert channel.posteriors(given_) == channel.posteriors(given_[:2]) + channel.posteriors(given_[2:])


def test_no_words(channel: Channel) -> None:
    assert channel.correct([]) == channel.posteriors([]) == channel.correct_texts([]) == []
    assert channel.correct([[], []]) == channel.posteriors([[], []]) == [[], []]
    assert [correction.text for correction in channel.correct_texts(["", " \n"])] == ["", " \n"]


def test_other_scripts_stay_as_they_are(ready: Channel) -> None:
    russian = ["Привет", ",", "как", "дела", "?", "Он", "живёт", "в", "маленьком", "городе", "."]
    assert ready.correct([russian]) == [russian]
    text = "Ο καιρός είναι καλός. 今日は天気がいいです。 مرحبا بالعالم"
    assert ready.correct_texts([text])[0].text == text


def test_a_channel_of_another_script() -> None:
    sentence = "Завтра мой брат поедет в город на большом поезде ."
    russian = Channel.build(PRIOR, [sentence, "Утром мой брат пьёт чай ."] * 20)
    wrong = ["Завтра", "мой", "бартт", "поедт", "в", "горд", "на", "болшом", "поезде", "."]
    assert share_wrong(russian.correct([wrong] * 5), [sentence.split()] * 5) < share_wrong([wrong], [sentence.split()])


def test_capitals_stay(channel: Channel) -> None:
    (corrected,) = channel.correct([["Teh", "prseident", "ws", "fuond", "IN", "THE", "MUSUEM", "on", "Snday"]])
    assert corrected == ["The", "president", "was", "found", "IN", "THE", "MUSEUM", "on", "Sunday"]


def test_words_of_english_texts(ready: Channel) -> None:
    """Contractions, abbreviations and addresses are not taken apart; misspelled ones are corrected."""
    clean = (
        "I can't, won't and shan't; it isn't his, he's 21st, of the 1990s. They’re from the U.S. and the U.K., "
        "e.g. St. Louis (see www.example.org/a-b?c=d or me@host.org)."
    )
    assert ready.correct_texts([clean])[0].text == clean
    assert ready.correct_texts(["He dosen't konw waht she's doing. I cna't."])[0].text == (
        "He doesn't know what she's doing. I can't."
    )


def test_the_same_on_a_second_call_after_loading_and_in_another_process(
    channel: Channel, clean: list[list[str]], tmp_path: Path
) -> None:
    given_ = [[word[:1] + word[2:] if len(word) > 4 else word for word in sentence] for sentence in clean[:40]]
    corrected = channel.correct(given_)
    assert corrected != given_
    assert channel.correct(given_) == corrected
    channel.save(tmp_path / "channel")
    loaded = Channel.load(tmp_path / "channel")
    assert loaded.info == channel.info
    assert loaded.posteriors(given_) == channel.posteriors(given_)
    (tmp_path / "given.json").write_text(json.dumps(given_))
    code = (
        "import json, pathlib, sys\n"
        "from robustbench_char.defences.channel import Channel\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "corrected = Channel.load(folder / 'channel').correct(json.loads((folder / 'given.json').read_text()))\n"
        "assert 'torch' not in sys.modules\n"
        "print(json.dumps(corrected))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == corrected


def test_building_twice_gives_the_same_channel(channel: Channel) -> None:
    again = Channel.build(PRIOR, sentences=tokens(mini_path("conll2003", "train")))
    assert again.info.sha256 == channel.info.sha256


def test_clean_text_of_its_own_domain_stays(channel: Channel, clean: list[list[str]]) -> None:
    """A defence must cost next to nothing where nothing is wrong; mini is small, and full of new names."""
    assert share_wrong(channel.correct(clean), clean) <= 0.01


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attacked")


def under(suite: str, folder: Path) -> list[list[str]]:
    """Return the mini test set under a suite."""
    if not (folder / suite).exists():
        attack_file("conll2003", data="mini", split="test", suite=suite, seed=3, output=folder / suite)
    return tokens(folder / suite / "test.txt")


RESTORED = {
    "charbert_2020": 0.75,
    "drop": 0.75,
    "swap": 0.75,
    "add": 0.75,
    "keyboard": 0.75,
    "ends": 0.6,
    "two_edits": 0.4,
}
"""The least share of the attacked words that comes back, by suite."""


@pytest.mark.parametrize("suite", RESTORED)
def test_attacked_words_come_back(suite: str, channel: Channel, clean: list[list[str]], attacked: Path) -> None:
    given_ = under(suite, attacked)
    before, after = share_wrong(given_, clean), share_wrong(channel.correct(given_), clean)
    assert before > 0.1
    assert 1 - after / before >= RESTORED[suite]
    changed = [
        (word, new)
        for sentence, wrong, corrected in zip(clean, given_, channel.correct(given_), strict=True)
        for word, attacked_, new in zip(sentence, wrong, corrected, strict=True)
        if word == attacked_
    ]
    assert sum(word != new for word, new in changed) / len(changed) < 0.01, "words that were right"


def test_the_file_says_how_noisy_it_is(channel: Channel) -> None:
    """What is corrected in a file of errors is left alone in one without: it is a name there."""
    unknown = ["Marten", "was", "found", "in", "Wenstoke", "on", "Sunday", "."]
    clean_file = tokens(mini_path("conll2003", "dev"))
    assert channel.correct([*clean_file, unknown])[-1] == unknown


def test_max_edits() -> None:
    lines = ["the engineer was found in the village on sunday ."] * 30
    once, twice = (Channel.build(ChannelOptions(dictionary=False, max_edits=most), lines) for most in (1, 2))
    given_ = [["the", "enigneeer", "was", "fuond"]]
    assert once.correct(given_)[0] == ["the", "enigneeer", "was", "found"]
    assert twice.correct(given_)[0] == ["the", "engineer", "was", "found"]
    assert (once.info.edits, twice.info.edits) == (1, 2)


@given(st.lists(st.lists(st.text(alphabet="aeht", min_size=1, max_size=6), max_size=6), max_size=4))
@FEW
def test_kept_ends_keep_the_first_and_the_last_character(kept: Channel, given_: list[list[str]]) -> None:
    for sentence, corrected in zip(given_, kept.correct(given_), strict=True):
        for word, new in zip(sentence, corrected, strict=True):
            assert (word[0], word[-1]) == (new[0], new[-1])


@pytest.fixture(scope="module")
def kept() -> Channel:
    known = "the heat at tea ate that hat teeth eat hate theta tat he a at tate heath hath"
    return Channel.build(ChannelOptions(dictionary=False, ends="kept"), [known, "that tea at the heath"] * 20)


def test_free_ends_correct_the_last_character() -> None:
    lines = ["the engineer was found in the village on sunday ."] * 30
    free, kept = (Channel.build(ChannelOptions(dictionary=False, ends=ends), lines) for ends in ("free", "kept"))
    given_ = [["the", "enginee", "wass", "fuond", "ni", "the", "villageg", "on", "undsay"]]
    assert free.correct(given_)[0][:4] == ["the", "engineer", "was", "found"]
    assert kept.correct(given_)[0] == ["the", "enginee", "was", "found", *given_[0][4:]]


def test_misspellings_of_a_file_say_what_is_meant(tmp_path: Path) -> None:
    """A listed word comes back although no two edits lead there, and errors like those listed are likelier."""
    lines = ["the phonograph was found in the village .", "they found a cast and a coat in the village ."] * 20
    (tmp_path / "own.tsv").write_text("fonograff\tphonograph\nTeh\tthe\nkast\tcast\nkoat\tcoat\nkan\tcan\ntoun\ttown\n")
    plain = Channel.build(PRIOR, lines)
    told = Channel.build(ChannelOptions(dictionary=False, misspellings=(str(tmp_path / "own.tsv"),)), lines)
    given_ = [["the", "Fonograff", "was", "found"]] * 4
    assert plain.correct(given_) == given_
    assert told.correct(given_)[0] == ["the", "Phonograph", "was", "found"]
    assert told.info.sha256 != plain.info.sha256
    told.save(tmp_path / "told")
    assert Channel.load(tmp_path / "told").correct(given_) == told.correct(given_)
    kept = ChannelOptions(dictionary=False, misspellings=(str(tmp_path / "own.tsv"),), ends="kept")
    assert list(Channel.build(kept, lines).tables.listed) == ["toun"]
    assert told.errors.replaced[3, 11] > plain.errors.replaced[3, 11], "a k for a c"


def test_a_misspelling_of_several_words_is_listed_for_each(tmp_path: Path) -> None:
    """Whatever the order of the words in the lexicon is, and whatever else the file has."""
    rights = ("bat", "bet", "bit", "bot", "but")
    (tmp_path / "own.tsv").write_text("".join(f"b{end}t\t{right}\n" for end in ("", "x") for right in rights))
    lines = [f"the {right} ." for times, right in enumerate(rights) for _ in range(2 + times)]
    channel = Channel.build(ChannelOptions(dictionary=False, misspellings=(str(tmp_path / "own.tsv"),)), lines)
    for forms in (["bt"], ["bt", "bxt"], ["bt", "bxt", "the"]):
        open_, known = np.ones(len(forms), np.bool_), np.full(len(forms), -1)
        readings = channel.readings(forms, open_, known)[0]
        assert np.isfinite(readings.listed[readings.form == 0]).sum() == len(rights)


def test_misspellings_of_an_attacked_set_and_of_a_package(attacked: Path) -> None:
    under("drop", attacked)
    lines = ["the engineer was found in the village on sunday ."] * 5
    flat = Channel.build(PRIOR, lines)
    assert flat.errors.kinds[0].sum() == pytest.approx(0.25)
    dropped = Channel.build(ChannelOptions(dictionary=False, misspellings=(str(attacked / "drop"),)), lines)
    assert dropped.errors.kinds[0].sum() > 0.9
    codespell = Channel.build(ChannelOptions(dictionary=False, misspellings=("codespell",)), lines)
    assert "recieve" in codespell.tables.listed
    assert 0.1 < codespell.errors.kinds[2].sum() < 0.9


def test_suites_that_draw_from_a_list_are_known(attacked: Path, tmp_path: Path) -> None:
    under("drop", attacked)
    (tmp_path / "text.txt").write_text("the engineer was found in the village on sunday .\n")
    (tmp_path / "own.tsv").write_text("vilage\tvillage\n")
    for source, known in ((str(tmp_path / "own.tsv"), True), (str(attacked / "drop"), False)):
        train_channel(output=tmp_path / str(known), text=tmp_path / "text.txt", misspellings=[source], dictionary=False)
        assert str(tmp_path) not in (tmp_path / str(known) / "defence.json").read_text(), "no paths of this machine"
        assert ("misspelling" in Channel.load(tmp_path / str(known)).info.operators) == known


def test_dictionary_vocabulary_and_limit(ready: Channel) -> None:
    lines = ["the engineer was found in the village ."] * 3 + ["the archipelago sank ."] * 3
    assert len(Channel.build(PRIOR, lines).lexicon) - 4 == len(set(" ".join(lines).split()))
    assert len(Channel.build(ChannelOptions(dictionary=False, vocabulary=2), lines).lexicon) == 4 + 2
    assert (
        "archipelago" not in Channel.build(ChannelOptions(dictionary=False, limit=3), lines).lexicon.words.to_pylist()
    )
    assert "archipelago" in ready.lexicon.words.to_pylist()
    assert ready.correct([["an", "archipelgao"]]) == [["an", "archipelago"]]


@pytest.mark.data
def test_conll2003(shared_data: Path, tmp_path: Path) -> None:
    """The released attack, on words that the training texts need not hold."""
    folder = shared_data / "conll2003"
    channel = Channel.build(ChannelOptions(), sentences=tokens(folder / "train.txt"))
    clean_ = tokens(folder / "valid.txt")
    assert share_wrong(channel.correct(clean_), clean_) < 0.006
    attack_file("conll2003", folder / "valid.txt", suite="charbert_2020", seed=1, output=tmp_path / "set")
    given_ = tokens(tmp_path / "set" / "valid.txt")
    assert share_wrong(channel.correct(given_), clean_) < 0.15 * share_wrong(given_, clean_)
