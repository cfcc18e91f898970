"""From text to blocks: nothing is lost, noise and masks keep apart, the stream goes on where it stopped."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from robustbench_char.common import InputError

pytestmark = pytest.mark.models

LINES = [f"Anna lives in the great house of {place}, and Karl sees a film." for place in ("Oslo", "Paris", "London")]


def _write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _corpus(files: list[Path], part: Any = "all") -> Any:
    from robustbench_char.training.pretraining._blocks import Corpus

    return Corpus.of(files, part=part, option="text")


def _lines(corpus: Any) -> list[str]:
    return [line for chunk in corpus.chunks() for line in chunk.lines]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    from robustbench_char.training.pretraining import _blocks as corpus

    monkeypatch.setattr(corpus, "CHUNK_LINES", 7)
    return corpus


def test_each_line_is_trained_on_or_held_out(tmp_path: Path, small_chunks: ModuleType) -> None:
    first = _write(tmp_path / "a.txt", [f"line {number}" for number in range(150)])
    second = _write(tmp_path / "b.txt", [f"line {number}" for number in range(150, 320)])
    train, held = (_lines(_corpus([first, second], part)) for part in ("train", "heldout"))
    assert held == ["line 99", "line 199", "line 299"]
    assert sorted(train + held) == sorted(f"line {number}" for number in range(320))


def test_reading_goes_on_from_any_chunk(tmp_path: Path, small_chunks: ModuleType) -> None:
    files = [_write(tmp_path / f"{name}.txt", [f"{name} é {row}" for row in range(20)]) for name in "ab"]
    chunks = list(_corpus(files).chunks())
    assert len(chunks) == 6
    for index, chunk in enumerate(chunks):
        assert list(_corpus(files).chunks(chunk.place)) == chunks[index:]


def test_blank_lines_and_a_byte_order_mark_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\n\r\n  \n two \n")
    (chunk,) = _corpus([path]).chunks()
    assert (chunk.lines, chunk.numbers) == (["one", "two"], [0, 3])


def test_a_long_line_is_cut_at_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from robustbench_char.training.pretraining import _blocks as corpus

    monkeypatch.setattr(corpus, "LONGEST_LINE", 16)
    path = _write(tmp_path / "a.txt", ["één twee drie vier vijf zes zeven", "acht"])
    lines = _lines(_corpus([path]))
    assert " ".join(lines) == "één twee drie vier vijf zes zeven acht"
    assert max(map(len, lines)) < 16


def test_a_long_line_without_spaces_is_cut_between_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the lines after it keep their numbers in messages."""
    from robustbench_char.training.pretraining import _blocks as corpus

    for longest in (16, 17, 18, 19):
        monkeypatch.setattr(corpus, "LONGEST_LINE", longest)
        path = tmp_path / "a.txt"
        path.write_text("中文é😀" * 20 + "\ngood\n", encoding="utf-8")
        assert "".join(_lines(_corpus([path]))) == "中文é😀" * 20 + "good"
        path.write_bytes(path.read_bytes() + b"b\xffd\n")
        with pytest.raises(InputError, match=r"a\.txt:3: found bytes"):
            _lines(_corpus([path]))


def test_held_out_text_of_short_lines_fills_blocks(tmp_path: Path, small_chunks: ModuleType, tiny_base: str) -> None:
    """A hundredth of a chunk would be a line, which fills no block, however long the text."""
    from robustbench_char.training.pretraining._blocks import heldout_blocks

    corpus = _corpus([_write(tmp_path / "a.txt", ["the great house"] * 2000)], "heldout")
    assert [len(chunk.lines) for chunk in corpus.chunks()] == [7, 7, 6]
    assert len(heldout_blocks(corpus, _maker(tiny_base), 2)) == 2


def test_memory_does_not_grow_with_the_text(tmp_path: Path, small_chunks: ModuleType) -> None:
    import tracemalloc

    def peak(lines: int) -> int:
        corpus = _corpus([_write(tmp_path / f"{lines}.txt", ["some words of a line"] * lines)])
        tracemalloc.start()
        assert sum(len(chunk.lines) for chunk in corpus.chunks()) == lines
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(20_000) < 1.5 * peak(500)


@pytest.mark.parametrize("data", [b"good\nb\x00d\n", b"good\nb\xffd\n", b"good\n\xed\xa0\x80\n"])
def test_binary_text_is_refused_with_its_line(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.txt:2: found bytes that are not UTF-8 text"):
        list(_corpus([tmp_path / "a.txt"]).chunks())


def test_missing_and_empty_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.txt: found no such file"):
        _corpus([tmp_path / "missing.txt"])
    (tmp_path / "empty.txt").touch()
    with pytest.raises(InputError, match=r"empty\.txt: found an empty file"):
        _corpus([tmp_path / "empty.txt"])
    with pytest.raises(InputError, match="text=: found no file"):
        _corpus([])
    with pytest.raises(InputError, match="found a folder; expected a file"):
        _corpus([tmp_path])


@pytest.mark.parametrize("text", ["\n\n  \n", "... !!!\n"])
def test_text_without_words_to_name_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(InputError, match=r"a\.txt: found no words"):
        _corpus([tmp_path / "a.txt"]).survey(terms="unicode")


def _suite(name: str, share: float) -> Any:
    from robustbench_char.attacks.suites import load_suites

    return load_suites(f"{name}@{share}", task="pretrain")[0]


def _noiser(folder: str, *, suite: str = "mixed", share: float = 0.5, terms: Any = None) -> Any:
    from robustbench_char.training.pretraining._models import open_tokenizer
    from robustbench_char.training.pretraining._noise import Noiser

    return Noiser(open_tokenizer(Path(folder)), _suite(suite, share), 0, terms, originals=True)


def _terms(*words: str, unknown: Any = "ignore") -> Any:
    from robustbench_char.training.pretraining._noise import TermVocabulary

    return TermVocabulary(unknown=unknown, terms=words)


def test_short_lines_are_noised_as_often_as_long_ones(tiny_base: str) -> None:
    """15% of three words rounds to none: the rate is rounded at random in each line."""
    noiser = _noiser(tiny_base, share=0.15)
    for count in (1, 2, 3, 20):
        words = ["houses"] * count
        noised = noiser.pieces([" ".join(words)] * 1000, range(1000), "1").text.split()
        assert len(noised) == 1000 * count
        share = sum(word != "houses" for word in noised) / len(noised)
        assert share == pytest.approx(0.15, abs=4 * (0.15 * 0.85 / len(noised)) ** 0.5)


@pytest.mark.parametrize("suite", ["mixed", "charbert_2020"])
@pytest.mark.parametrize("base", ["tiny_base", "roberta"])
def test_pieces_know_the_words_they_stand_for(base: str, suite: str, request: pytest.FixtureRequest) -> None:
    """Checked against the ledger's own words: a plain second way through the same attack."""
    from robustbench_char.attacks.engine import Batch, attack_batch
    from robustbench_char.attacks.keys import text_keys

    words = sorted({word.strip(".,").lower() for line in LINES for word in line.split()})
    noiser = _noiser(request.getfixturevalue(base), suite=suite, terms=_terms(*words))
    pieces = noiser.pieces(LINES, [0, 1, 2], "1")
    keys = text_keys(("1:0", "1:1", "1:2"), seed=0, family=noiser.suite.family, task="pretrain")
    outcome = attack_batch(Batch(LINES, keys), noiser.suite)
    assert pieces.text == "\n".join(outcome.texts) + "\n"
    clean = "\n".join(LINES) + "\n"
    moved, expected = 0, {}
    for word in np.unique(outcome.edits.word).tolist():
        start, end = int(outcome.words.starts[word]), int(outcome.words.ends[word])
        rows = outcome.edits.word == word
        growth = int((outcome.edits.written.lengths - outcome.edits.written.removed)[rows].sum())
        for place in range(start + moved, end + moved + growth):
            expected[place] = clean[start:end].lower()
        moved += growth
    assert expected
    for index, (start, end) in enumerate(zip(pieces.starts.tolist(), pieces.ends.tolist(), strict=True)):
        original = {expected[place] for place in range(start, end) if place in expected}
        assert pieces.noised[index] == bool(original)
        found = None if pieces.terms[index] < 0 else words[pieces.terms[index]]
        assert found == (original.pop() if original else None)


def test_no_term_holds_the_full_stop_of_its_sentence(tmp_path: Path) -> None:
    from robustbench_char.attacks.suites import load_suites

    (suite,) = load_suites("charbert_nlm_2020", task="pretrain")
    text = _write(tmp_path / "a.txt", ["Mr. Smith saw the film. The film ended.", "He left the film."])
    counts = _corpus([text]).survey(terms=suite.words.split).counter.counts
    assert counts["film"] == counts["."] == 3
    assert counts["mr."] == 1
    assert "film." not in counts


def test_an_unknown_noised_piece_has_a_target_and_shows_its_characters(tiny_base: str) -> None:
    from robustbench_char.models.charbert.characters import CharacterVocabulary
    from robustbench_char.models.charbert.processor import LONGEST, CharBertProcessor
    from robustbench_char.training.pretraining._models import PieceCharacters

    noiser = _noiser(tiny_base, share=1.0, terms=_terms("дворец"))
    pieces = noiser.pieces(["дворец"], [0], "1")
    assert pieces.ids.tolist() == [noiser.tokenizer.unk_token_id]
    assert (pieces.noised.tolist(), pieces.terms.tolist()) == ([True], [0])
    noised = pieces.text[pieces.starts[0] : pieces.ends[0]]
    assert noised != "дворец"
    vocabulary = CharacterVocabulary.build([noised])
    show = PieceCharacters(CharBertProcessor(noiser.tokenizer, vocabulary))
    spelled = [*vocabulary.spell(noised), vocabulary.ids.separator]
    assert show([noised])["char_input_ids"].tolist() == spelled
    assert show([None])["char_input_ids"].tolist() == [vocabulary.ids.mask, vocabulary.ids.separator]
    assert len(show(["x" * 10**6])["char_input_ids"]) == LONGEST["piece"] + 1


@pytest.mark.parametrize("base", ["tiny_base", "roberta"])
def test_originals_are_the_clean_pieces_from_left_to_right(base: str, request: pytest.FixtureRequest) -> None:
    noiser = _noiser(request.getfixturevalue(base), share=1.0)
    noised = noiser.pieces(["great house"], [0], "1")
    assert noised.noised[noised.ends > noised.starts].all()
    decode = noiser.tokenizer.convert_ids_to_tokens
    found = decode([piece for piece in noised.originals.tolist() if piece >= 0])
    clean = noiser.tokenizer.tokenize("great house")
    if base == "tiny_base":  # the words are one piece each, so that only the first pieces have a target
        assert found == clean == ["great", "house"]
    else:  # single bytes: as many as the shorter of clean and noised word has
        text = noised.text.split()
        assert found == list("great"[: len(text[0])] + "house"[: len(text[1])])


def test_noise_depends_on_line_pass_and_seed_alone(tiny_base: str) -> None:
    noiser = _noiser(tiny_base)
    both = noiser.pieces(LINES[:2], [5, 9], "1").text.splitlines()
    assert noiser.pieces(LINES[1:2], [9], "1").text.splitlines() == both[1:]
    assert noiser.pieces(LINES[:2], [5, 9], "2").text.splitlines() != both


def test_unknown_terms_are_ignored_or_a_class() -> None:
    assert _terms("a", "b").ids(["B", "c"]) == [1, -100]
    assert _terms("a", "b", unknown="class").ids(["B", "c"]) == [1, 2]
    assert (_terms("a", "b").classes, _terms("a", "b", unknown="class").classes) == (2, 3)


def test_terms_are_the_most_frequent_words_lower_cased() -> None:
    from robustbench_char.training.pretraining._noise import TermCounter, TermVocabulary

    counter = TermCounter()
    counter.add(["The", "the", "b", "a", "a", "c"])
    assert TermVocabulary.build(counter, size=3, unknown="ignore").terms == ("a", "the", "b")


def test_counting_forgets_rare_words_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    from robustbench_char.training.pretraining import _noise as noise

    monkeypatch.setattr(noise, "MOST_COUNTED", 3)
    counter = noise.TermCounter()
    counter.add(["a", "a", "b", "c", "d"])
    assert dict(counter.counts) == {"a": 2}
    counter.add(["b", "b", "b", "c", "c", "d", "d"])
    assert dict(counter.counts) == {"b": 3}, "words seen twice go too where those seen once do not make room"


def test_terms_are_read_as_written(tmp_path: Path) -> None:
    from robustbench_char.training.pretraining._noise import TermVocabulary

    terms = _terms("the", "é", unknown="class")
    terms.save(tmp_path)
    assert TermVocabulary.load(tmp_path) == terms
    (tmp_path / "term_vocabulary.json").unlink()
    with pytest.raises(InputError, match=r"term_vocabulary\.json: found no such file"):
        TermVocabulary.load(tmp_path)


@pytest.mark.parametrize("base", ["tiny_base", "roberta"])
def test_masking_takes_whole_words_that_are_not_noised(base: str, request: pytest.FixtureRequest) -> None:
    from robustbench_char.training.pretraining._noise import Masker

    noiser = _noiser(request.getfixturevalue(base), share=0.3)
    lines = LINES * 200
    pieces = noiser.pieces(lines, range(len(lines)), "1")
    masker = Masker(noiser.tokenizer, 0.15)
    ids, labels = masker(pieces, np.random.Generator(np.random.PCG64(0)))
    chosen = labels >= 0
    assert chosen.mean() == pytest.approx(0.15, abs=0.001)
    assert not (chosen & pieces.noised).any()
    assert (labels[chosen] == pieces.ids[chosen]).all()
    assert (ids[~chosen] == pieces.ids[~chosen]).all()
    for word in np.unique(pieces.word[chosen]):
        assert chosen[pieces.word == word].all()
        hidden = (ids == masker.mask)[pieces.word == word]
        assert hidden.all() or not hidden.any(), "a word is masked as a whole"
    masked = (ids == masker.mask)[chosen].mean()
    kept = (ids == pieces.ids)[chosen].mean()
    assert masked == pytest.approx(0.8, abs=0.03)
    assert kept == pytest.approx(0.1, abs=0.03)
    assert not np.isin(ids[chosen & (ids != masker.mask)], noiser.tokenizer.all_special_ids).any()


def _maker(folder: str, block_size: int = 16) -> Any:
    from robustbench_char.training.pretraining._blocks import BlockMaker
    from robustbench_char.training.pretraining._noise import Masker

    noiser = _noiser(folder, share=0.15, terms=_terms("house", "film"))
    return BlockMaker(noiser, Masker(noiser.tokenizer, 0.1), block_size, "piece")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return _write(tmp_path / "text.txt", [f"{line} {row}" for row in range(20) for line in LINES])


def _same(left: Any, right: Any) -> bool:
    arrays = zip(left[:-1], right[:-1], strict=True)
    return all(np.array_equal(*pair) for pair in arrays) and left.surfaces == right.surfaces


def test_blocks_are_full_and_framed(text: Path, tiny_base: str) -> None:
    from robustbench_char.training.pretraining._blocks import Blocks

    maker = _maker(tiny_base)
    for block in islice(Blocks(_corpus([text]), maker), 50):
        assert len(block.input_ids) == len(block.labels) == len(block.surfaces) == 16
        assert block.input_ids[0] == maker.noiser.tokenizer.cls_token_id
        assert block.input_ids[-1] == maker.noiser.tokenizer.sep_token_id
        assert block.surfaces[0] == block.surfaces[-1] == ""
        assert (block.labels >= 0).sum() + (block.nlm_labels >= 0).sum() <= 14
        assert not ((block.labels >= 0) & (block.nlm_labels >= 0)).any()


def test_noise_and_masks_are_new_in_each_pass(text: Path, tiny_base: str) -> None:
    maker, corpus = _maker(tiny_base), _corpus([text])
    (chunk,) = corpus.chunks()
    first, second, again = maker(chunk, 1), maker(chunk, 2), maker(chunk, 1)
    assert all(_same(*pair) for pair in zip(first, again, strict=True))
    assert {tuple(block.surfaces) for block in first} != {tuple(block.surfaces) for block in second}


def test_the_stream_goes_on_from_any_position(text: Path, tiny_base: str, small_chunks: ModuleType) -> None:
    """Chunks of 7 lines, 60 lines: positions within chunks, at their ends, and in later passes."""
    from robustbench_char.training.pretraining._blocks import Blocks

    corpus, maker = _corpus([text]), _maker(tiny_base)
    whole = Blocks(corpus, maker)
    stream, seen, positions = iter(whole), [], []
    for given in range(200):
        positions.append(whole.position(given))
        seen.append(next(stream))
    assert positions[-1].number > 1
    for given in range(0, 190, 13):
        resumed = list(islice(Blocks(corpus, maker, positions[given]), 10))
        assert all(_same(*pair) for pair in zip(seen[given : given + 10], resumed, strict=True))
    again = Blocks(corpus, maker, positions[40])
    list(islice(again, 30))
    late = list(islice(Blocks(corpus, maker, again.position(25)), 5))
    assert all(_same(*pair) for pair in zip(seen[65:70], late, strict=True)), "a run may be stopped twice"


def test_text_shorter_than_a_block_is_refused(tmp_path: Path, tiny_base: str) -> None:
    from robustbench_char.training.pretraining._blocks import Blocks, heldout_blocks

    path = _write(tmp_path / "short.txt", ["a film"])
    with pytest.raises(InputError, match=r"short\.txt: found text shorter than one block; expected at least 16"):
        next(iter(Blocks(_corpus([path]), _maker(tiny_base))))
    with pytest.raises(InputError, match=r"found held-out text \(every 100th line\) shorter than one block"):
        heldout_blocks(_corpus([path], "heldout"), _maker(tiny_base), 4)
