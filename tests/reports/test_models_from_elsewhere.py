"""The page says how a model that was fine-tuned elsewhere was read, and that its training is not known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from robustbench_char.records.evaluation import ForeignModelInfo, Record
from robustbench_char.reports.sections.systems import _fairness, _models

TAGGER = ForeignModelInfo(
    source="some/tagger", revision="a" * 40, architecture="BertForTokenClassification",
    labels=(("O", "O"), ("B-PERSON", "B-PER"), ("B-DATE", "O")), missing=("ORG", "LOC"), tag_scheme="IOB1",
    max_length=1024, words_alone=True,
)  # fmt: skip


def test_a_note_for_each_model(make_record: Callable[..., Record]) -> None:
    parts: dict[str, Any] = {"model": TAGGER}
    records = [
        make_record(suite=suite, name="some/tagger", base="external", parts=dict(parts)) for suite in (None, "mixed")
    ]
    (note,) = _models([*records, make_record()])
    assert note.text == (
        "some/tagger: BertForTokenClassification from some/tagger, revision aaaaaaaaaaaa, at most 1,024 sub-words, tags"
        " in IOB1. Labels of some/tagger: B-PERSON = B-PER, B-DATE = O; labels of the task that some/tagger does not"
        " have: ORG, LOC; the tokenizer of some/tagger gives no offsets: words are tokenised one by one. What it was"
        " trained on, and whether it saw an attack, is not known."
    )
    assert _fairness(records) == []
    assert records[1].saw_attack is None


def test_answers_have_no_labels_to_tell() -> None:
    reader = TAGGER.model_copy(update={"labels": (), "missing": (), "tag_scheme": None, "words_alone": False})
    assert reader.notes == []
    same = reader.model_copy(update={"labels": (("0", "0"),)})
    assert same.notes == ["labels of some/tagger: those of the task"]
