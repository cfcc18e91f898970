"""Scores of taggings against an oracle that counts entities by the rules of `conlleval`, and by hand."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

from robustbench_char.common import InputError
from robustbench_char.metrics.base import score
from robustbench_char.metrics.tagging import bio2, word_errors

tags = st.sampled_from(["O", "O", "B-LOC", "I-LOC", "B-PER", "I-PER", "I-x-y"])
sentences = st.lists(st.lists(st.tuples(tags, tags | st.none()), min_size=1, max_size=8), min_size=1, max_size=5)
Sentences = list[list[tuple[str, str | None]]]


def _columns(pairs: Sentences) -> tuple[list[tuple[str, ...]], list[tuple[str | None, ...]]]:
    return [tuple(gold for gold, _ in pair) for pair in pairs], [tuple(said for _, said in pair) for pair in pairs]


@given(pairs=sentences)
def test_entity_scores_are_those_of_conlleval(pairs: Sentences, conll_entities: ModuleType) -> None:
    golds, said = _columns(pairs)
    result = score("entity_f1", golds, said)
    assert result.scores == pytest.approx(conll_entities.evaluate(golds, said))
    assert result.counts["entities"] == sum(len(conll_entities.entities(tags)) for tags in golds)
    assert result.counts["predicted_entities"] == sum(len(conll_entities.entities(tags)) for tags in said)
    assert result.counts["truncated_entities"] == conll_entities.cut_entities(golds, said)
    assert result.counts["truncated_words"] == sum(tag is None for tags in said for tag in tags)


@given(pairs=sentences)
def test_entity_scores_are_those_of_seqeval_to_the_last_digit(pairs: Sentences) -> None:
    golds, said = ([bio2(tags) for tags in column] for column in _columns(pairs))
    kinds = sorted({tag[2:] for tags in [*golds, *said] for tag in tags if tag != "O"})
    if kinds:
        overall = precision_recall_fscore_support(golds, said, average="micro", zero_division=0)[:3]
        by_type = precision_recall_fscore_support(golds, said, average=None, zero_division=0)[2]
        names = ["precision", "recall", "f1", *(f"f1_{kind}" for kind in kinds)]
        expected = {name: 100 * value for name, value in zip(names, [*overall, *by_type], strict=True)}
        assert score("entity_f1", *_columns(pairs)).scores == expected


@given(pairs=sentences)
def test_bio2_keeps_the_entities_and_is_legal(pairs: Sentences, conll_entities: ModuleType) -> None:
    for tagging in _columns(pairs)[1]:
        converted = bio2(tagging)
        assert conll_entities.entities(converted) == conll_entities.entities(tagging)
        assert bio2(converted) == converted
        for before, tag in zip(["O", *converted], converted, strict=False):
            assert not tag.startswith("I-") or before[2:] == tag[2:]


@given(pairs=sentences)
def test_accuracy_counts_words_and_cut_ones_as_wrong(pairs: Sentences) -> None:
    golds, said = _columns(pairs)
    result = score("tag_accuracy", golds, said)
    words = [gold == tag for pair in pairs for gold, tag in pair]
    assert result.scores == {"accuracy": pytest.approx(100 * sum(words) / len(words))}
    assert result.counts["tokens"] == len(words)
    assert result.per_example == [pytest.approx(sum(a == b for a, b in pair) / len(pair)) for pair in pairs]
    assert score("entity_f1", golds, said).per_example == result.per_example


def test_a_cut_entity_is_missed_and_its_rest_is_spurious() -> None:
    gold = [("B-PER", "I-PER", "O", "B-LOC", "O")]
    result = score("entity_f1", gold, [("B-PER", None, "O", "B-LOC", None)])
    assert result.scores == {"precision": 50.0, "recall": 50.0, "f1": 50.0, "f1_LOC": 100.0, "f1_PER": 0.0}
    assert result.counts == {
        "examples": 1,
        "tokens": 5,
        "truncated_words": 2,
        "entities": 2,
        "predicted_entities": 2,
        "truncated_entities": 1,
    }
    assert result.per_example == [0.6]  # a cut O is an error too


def test_iob1_and_bio2_of_one_sentence_score_the_same() -> None:
    iob1, said = ("I-LOC", "B-LOC", "O", "I-PER", "I-PER"), ("B-LOC", "B-LOC", "O", "B-PER", "O")
    as_iob1, as_bio2 = score("entity_f1", [iob1], [said]), score("entity_f1", [tuple(bio2(iob1))], [said])
    assert as_iob1.scores == as_bio2.scores
    assert as_bio2.scores["f1"] == pytest.approx(200 / 3)


def test_no_entity_at_all_scores_0() -> None:
    assert score("entity_f1", [("O",)], [("O",)]).scores == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_numbers_of_tags_must_agree() -> None:
    for metric in ("entity_f1", "tag_accuracy"):
        with pytest.raises(InputError, match="row 1: found 1 predicted tags for 2 words; expected one tag per word"):
            score(metric, [("O",), ("O", "O")], [("O",), ("O",)])
        with pytest.raises(InputError, match="row 0: found 0 predicted tags for 0 words"):
            score(metric, [()], [()])
        with pytest.raises(InputError, match=r"row 0: found .*tagging"):
            score(metric, [("O",)], ["O"])


@pytest.mark.parametrize("tag", ["NN", "E-LOC", "B-", "B", "O-LOC", ""])
def test_other_tags_mark_no_entities(tag: str) -> None:
    with pytest.raises(InputError, match=f"found the tag {tag!r}; expected O, B-TYPE or I-TYPE.*tag_accuracy"):
        score("entity_f1", [(tag,)], [("O",)])


@pytest.mark.data
def test_real_tags_score_as_the_oracle_does(shared_data: Path, conll_entities: ModuleType) -> None:
    blocks = (shared_data / "conll2003" / "test.txt").read_text(encoding="utf-8").strip().split("\n\n")
    golds = [tuple(line.split()[1] for line in block.splitlines()) for block in blocks]
    said = [("O", *tags[:-1]) for tags in golds]  # shifted by a word: hits where an entity starts the next one's place
    result = score("entity_f1", golds, said)
    assert result.scores == pytest.approx(conll_entities.evaluate(golds, said))
    assert result.counts["tokens"] == 46_435
    assert result.counts["entities"] == 5_648


def test_word_errors_are_those_of_other_letters() -> None:
    assert word_errors([["A", "b"], ["c"]], [["a", "x"], ["c"]]) == pytest.approx(100 / 3)
    assert word_errors([["A", "b"], ["c"]], [["a", "x"], ["c"]], cased=True) == pytest.approx(200 / 3)
