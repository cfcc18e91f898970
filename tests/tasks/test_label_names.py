"""What the labels of somebody's model mean: by name, by synonym, by number, or as `--labels` says."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustbench_char.common import InputError
from robustbench_char.tasks.label_names import LabelMap, given_labels, map_labels
from robustbench_char.tasks.registry import get_task

TYPES = ("PER", "ORG", "LOC", "MISC")
CONLL = get_task("conll2003")
BIO = ("O", *(f"{mark}-{kind}" for kind in TYPES for mark in "BI"))


@pytest.mark.parametrize(
    ("task", "names", "meant"),
    [
        ("mrpc", ("not_equivalent", "equivalent"), ("not_equivalent", "equivalent")),
        ("mrpc", ("Equivalent", "NOT-equivalent"), ("equivalent", "not_equivalent")),
        ("mrpc", ("0", "1"), ("not_equivalent", "equivalent")),
        ("mrpc", ("1", "0"), ("equivalent", "not_equivalent")),
        ("mrpc", ("not paraphrase", "paraphrase"), ("not_equivalent", "equivalent")),
        ("qqp", ("paraphrase", "not_paraphrase"), ("duplicate", "not_duplicate")),
        ("qnli", ("entailment", "not_entailment"), ("entailment", "not_entailment")),
        ("qnli", ("non-entailment", "ENTAILMENT"), ("not_entailment", "entailment")),
        ("cola", ("unacceptable", "acceptable"), ("unacceptable", "acceptable")),
        ("cola", ("ungrammatical", "grammatical"), ("unacceptable", "acceptable")),
        ("cola", ("not_acceptable", "acceptable"), ("unacceptable", "acceptable")),
        ("mrpc", ("non_paraphrase", "paraphrased"), ("not_equivalent", "equivalent")),
        ("mrpc", ("no_paraphrase", "is_paraphrase"), ("not_equivalent", "equivalent")),
        ("mrpc", ("inequivalent", "equivalent"), ("not_equivalent", "equivalent")),
        ("qqp", ("non_duplicate", "is_duplicate"), ("not_duplicate", "duplicate")),
        ("qqp", ("no_duplicate", "duplicate"), ("not_duplicate", "duplicate")),
        ("qnli", ("no_entailment", "entails"), ("not_entailment", "entailment")),
        ("qnli", ("not_entailed", "entailed"), ("not_entailment", "entailment")),
    ],
)
def test_classes_by_name(task: str, names: tuple[str, ...], meant: tuple[str, ...]) -> None:
    assert map_labels(get_task(task), names) == LabelMap(names, meant)


def _marked(marks: str, *types: str) -> tuple[str, ...]:
    return ("O", *(f"{mark}-{kind}" for kind in types for mark in marks))


@pytest.mark.parametrize(
    ("names", "scheme"),
    [
        (BIO, "BIO2"),
        (_marked("BI", "Person", "organization", "LOCATION", "Miscellaneous"), "BIO2"),
        (_marked("BILU", *TYPES), "BILOU"),
        (_marked("BIES", *TYPES), "IOBES"),
        (("O", "B-MISC", "I-MISC", "I-PER", "I-ORG", "B-LOC", "I-LOC"), "IOB1"),
        (_marked("I", *TYPES), "IO"),
        (("O", *TYPES), "IO"),
        (("O", "B_PER", "I_PER", "B_ORG", "I_ORG", "B_LOC", "I_LOC", "B_MISC", "I_MISC", "[PAD]"), "BIO2"),
    ],
)
def test_tags_by_name(names: tuple[str, ...], scheme: str) -> None:
    found = map_labels(CONLL, names)
    assert (found.scheme, found.missing) == (scheme, ())
    assert {*found.meant} <= {*BIO}
    assert {str(tag)[2:] for tag in found.meant} == {"", *TYPES}


def test_marks_of_all_schemes() -> None:
    found = map_labels(CONLL, _marked("BILU", *TYPES)).meant
    assert found[:5] == ("O", "B-PER", "I-PER", "I-PER", "B-PER")
    found = map_labels(CONLL, _marked("BIES", *TYPES)).meant
    assert found[:5] == ("O", "B-PER", "I-PER", "I-PER", "B-PER")


def test_tags_of_a_task_that_lists_none() -> None:
    assert map_labels(get_task("ptb_pos"), ("NN", "X", "[PAD]")).meant == ("NN", "X", None)
    own = CONLL.model_copy(update={"format_options": {}, "name": "own"})
    assert map_labels(own, ("O", "B-gene", "L-gene")).meant == ("O", "B-gene", "I-gene")


def test_answers_have_no_labels() -> None:
    assert map_labels(get_task("squad_v2"), ("LABEL_0", "LABEL_1")) == LabelMap()


def test_given_labels_decide() -> None:
    mnli = ("contradiction", "entailment", "neutral")
    given = ("not_entailment", "entailment", "not_entailment")
    assert map_labels(get_task("qnli"), mnli, given).meant == given
    some = map_labels(get_task("cola"), ("a", "b", "c"), ("acceptable", "-", "acceptable"))
    assert some == LabelMap(("a", "b", "c"), ("acceptable", None, "acceptable"), ("unacceptable",))
    persons = map_labels(CONLL, ("NIL", "P", "Q"), ("O", "I-PER", "-"))
    assert persons == LabelMap(("NIL", "P", "Q"), ("O", "I-PER", "O"), ("ORG", "LOC", "MISC"), "IO")


def test_given_as_a_text_or_a_file(tmp_path: Path) -> None:
    assert given_labels(()) == ()
    assert given_labels(("a", "b")) == ("a", "b")
    assert given_labels(("a, b,-",)) == ("a", "b", "-")
    (tmp_path / "labels.txt").write_text("a\nb\n\n", encoding="utf-8")
    assert given_labels((str(tmp_path / "labels.txt"),)) == ("a", "b")
    (tmp_path / "labels.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"--labels: found a file that cannot be read"):
        given_labels((str(tmp_path / "labels.txt"),))


@pytest.mark.parametrize(
    ("task", "names", "message"),
    [
        (
            "mrpc",
            ("LABEL_0", "LABEL_1"),
            r"labels LABEL_0, LABEL_1; expected those of mrpc: not_equivalent, equivalent\. .*--labels"
            r" not_equivalent,equivalent$",
        ),
        (
            "qnli",
            ("contradiction", "neutral", "entailment"),
            r"expected those of qnli: entailment, not_ent.*--labels not_entailment,not_entailment,entailment$",
        ),
        ("cola", ("LABEL_0",), r"a model with the labels LABEL_0; .*--labels unacceptable$"),
        ("cola", ("LABEL_0", "LABEL_1", "LABEL_2"), r"--labels unacceptable,acceptable,-$"),
        ("conll2003", ("O", "B-PER", "I-PER", "B-DATE"), r"of conll2003: O, B-PER.*--labels O,B-PER,I-PER,-$"),
        ("conll2003", ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-MISC", "X"),
         r"--labels O,B-PER,I-PER,B-LOC,I-LOC,B-ORG,I-ORG,B-MISC,-$"),
        ("conll2003", ("O", "B-PER", "I-PER"), r"a model with the labels O, B-PER, I-PER; expected those of conll2003"),
        ("ptb_pos", ("LABEL_0", "LABEL_1"), r"expected those of ptb_pos: the tags of the data\. .*--labels -,-$"),
    ],
)  # fmt: skip
def test_labels_that_do_not_match(task: str, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        map_labels(get_task(task), names, place="my-model")


def test_tags_that_differ_in_case_are_different_tags() -> None:
    task = get_task("ptb_pos").model_copy(update={"format_options": {"tag_names": ["N", "V"]}})
    assert map_labels(task, ("N", "V")).meant == ("N", "V")
    with pytest.raises(InputError, match=r"a model with the labels n, V; expected those of ptb_pos: N, V"):
        map_labels(task, ("n", "V"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("acceptable",), r"--labels: found 1 label; expected 2, .*The model's labels, in order: no, yes\."),
        (("acceptable", "fine"), r"found 'fine'; expected a label of cola: unacceptable, acceptable"),
        (("-", "-"), r"found no label of the task; expected at least one of unacceptable, acceptable"),
    ],
)
def test_given_labels_that_are_wrong(given: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        map_labels(get_task("cola"), ("no", "yes"), given)


def test_given_tags_that_are_wrong() -> None:
    with pytest.raises(InputError, match=r"found 'B-DATE'; expected a label of conll2003"):
        map_labels(CONLL, ("a", "b"), ("O", "B-DATE"))
