"""CoNLL files: columns, schemes, separators; everything but the edited tokens stays byte for byte."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_char.common import InputError
from robustbench_char.tasks import Edit, get_task
from robustbench_char.tasks.formats._tags import Survey, to_bio2

TWO = "Anna B-PER\nBerg I-PER\nsings O\n\nRiga B-LOC\n"
FOUR = (
    "-DOCSTART- -X- -X- O\n\nAnna NNP B-NP B-PER\nsings VBZ B-VP O\n. . O O\n\n"
    "-DOCSTART- -X- -X- O\n\nIn IN B-PP O\nRiga NNP B-NP B-LOC\n\n"
)
IOB1 = "Anna I-PER\nmet O\nOslo I-LOC\nRiga B-LOC\n. O\n"


def labels(file: Any) -> list[tuple[str, ...]]:
    return [example.label for example in file.examples()]


def test_two_columns(kit: Any) -> None:
    file = kit.open("conll2003", TWO)
    first, second = file.examples()
    assert (first.row, first.id, first.fields) == (0, "0", {"tokens": ("Anna", "Berg", "sings")})
    assert (first.label, second.label) == (("B-PER", "I-PER", "O"), ("B-LOC",))
    assert (file.scheme, file.tag_column) == ("BIO2", 1)


def test_tag_column_is_found(kit: Any) -> None:
    file = kit.open("conll2003", FOUR)
    assert labels(file) == [("B-PER", "O", "O"), ("O", "B-LOC")]
    assert file.tag_column == 3
    file = kit.open("conll2003", "SOCCER O 0\nRIGA B-LOC 0\n")
    assert (labels(file), file.tag_column) == ([("O", "B-LOC")], 1)
    file = kit.open("conll2003", "Anna NNP B-PER\n")
    assert (labels(file), file.tag_column) == ([("B-PER",)], 2)


def test_tag_column_may_be_named(kit: Any) -> None:
    task = get_task("conll2003").model_copy(update={"format_options": {"tag_column": 2}})
    assert labels(kit.open(task, FOUR)) == [("B-NP", "B-VP", "O"), ("B-PP", "B-NP")]
    pos = task.model_copy(update={"format_options": {"tag_column": 1, "tags": "any"}})
    assert labels(kit.open(pos, FOUR)) == [("NNP", "VBZ", "."), ("IN", "NNP")]
    with pytest.raises(InputError, match="found 2 columns; expected a tag column 2"):
        labels(kit.open(task, TWO))


def test_iob1_is_read_as_bio2_and_written_as_it_was(kit: Any) -> None:
    file = kit.open("conll2003", IOB1)
    assert labels(file) == [("B-PER", "O", "B-LOC", "B-LOC", "O")]
    assert file.scheme == "IOB1"
    task = get_task("conll2003")
    items = kit.attacked(task, file.examples(), {(0, "tokens"): [Edit(1, "nn", "n")]})
    assert kit.rewritten(file, items) == IOB1.replace("Anna", "Ana").encode()


@pytest.mark.parametrize(
    ("tags", "scheme", "expected"),
    [
        ("I-PER I-PER O I-LOC", "IOB1", "B-PER I-PER O B-LOC"),
        ("I-PER B-PER I-PER I-LOC", "IOB1", "B-PER B-PER I-PER B-LOC"),
        ("B-PER I-PER B-LOC", "BIO2", "B-PER I-PER B-LOC"),
        ("O O", "BIO2", "O O"),
    ],
)
def test_schemes(tags: str, scheme: Any, expected: str) -> None:
    survey = Survey()
    assert survey.add(tags.split()) is None
    assert survey.scheme == scheme
    assert to_bio2(tags.split(), scheme) == tuple(expected.split())


ENTITIES = st.lists(st.tuples(st.sampled_from(["PER", "LOC", "O"]), st.integers(1, 3)), min_size=1, max_size=6)


@given(ENTITIES)
def test_both_schemes_of_the_same_entities_read_alike(entities: list[tuple[str, int]]) -> None:
    bio2, iob1, before = [], [], ""
    for kind, length in entities:
        if kind == "O":
            bio2, iob1 = bio2 + ["O"] * length, iob1 + ["O"] * length
        else:
            rest = [f"I-{kind}"] * (length - 1)
            bio2 += [f"B-{kind}", *rest]
            iob1 += [f"{'B' if kind == before else 'I'}-{kind}", *rest]
        before = kind
    survey = Survey()
    assert survey.add(iob1) is None
    assert to_bio2(iob1, survey.scheme) == tuple(bio2)
    assert to_bio2(bio2, "IOB1") == tuple(bio2)


@pytest.mark.parametrize(
    "data",
    [
        TWO,
        FOUR,
        IOB1,
        TWO.rstrip("\n"),
        TWO.replace("\n", "\r\n"),
        TWO.replace(" ", "\t"),
        "\ufeff" + TWO,
        "\n \n\nAnna   B-PER  \n\tBerg \t I-PER\n \t\nRiga O\n\n\n",
        "# O\n#comment B-MISC\n\n\u2028x O\n",
        FOUR.replace("-DOCSTART- -X- -X- O", "-DOCSTART-"),
    ],
)
def test_read_and_write_returns_the_same_bytes(kit: Any, data: str) -> None:
    assert kit.rewritten(kit.open("conll2003", data)) == data.encode()


def test_comment_signs_and_odd_white_space_are_text(kit: Any) -> None:
    file = kit.open("conll2003", "# O\n#b\u00a0c B-MISC\n")
    assert [example.fields["tokens"] for example in file.examples()] == [("#", "#b\u00a0c")]


def test_edited_tokens_and_back(kit: Any) -> None:
    data = "Anna \t B-PER\r\nBerg I-PER \r\n\r\nRiga B-LOC"
    file, task = kit.open("conll2003", data), get_task("conll2003")
    items = kit.attacked(task, file.examples(), {(0, "tokens"): [Edit(5, "B", "")], (1, "tokens"): [Edit(0, "", "X")]})
    expected = data.replace("Berg", "erg").replace("Riga", "XRiga").encode()
    assert kit.rewritten(file, items) == expected
    assert kit.undone(task, file, kit.path(expected), items) == data.encode()


@pytest.mark.parametrize("space", ["\u00a0", "\u2009", "\f"])
def test_other_white_space_stays_in_its_token(kit: Any, space: str) -> None:
    data = f"10{space}000 O\nRiga B-LOC\n"
    file, task = kit.open("conll2003", data), get_task("conll2003")
    items = kit.attacked(task, file.examples(), {(0, "tokens"): [Edit(4, "0", "")]})
    attacked = kit.rewritten(file, items)
    assert attacked == data.replace("000", "00").encode()
    assert kit.undone(task, file, kit.path(attacked), items) == data.encode()


def test_chunks_are_not_entities(kit: Any) -> None:
    data = "Anna NNP B-NP -\nsings VBZ B-VP -\n. . O -\n"
    with pytest.raises(InputError, match=r"no column of entity tags \(column 2 holds chunks\).*`tag_column=` 2"):
        labels(kit.open("conll2003", data))
    named = get_task("conll2003").model_copy(update={"format_options": {"tag_column": 2}})
    assert labels(kit.open(named, data)) == [("B-NP", "B-VP", "O")]
    assert labels(kit.open("conll2003", data.replace("-\n", "O\n"))) == [("O", "O", "O")]
    assert labels(kit.open("conll2003", "Anna O\n")) == [("O",)]


@pytest.mark.parametrize("token", ["", "a b", "a\u00a0b"])
def test_a_token_stays_one_token(kit: Any, token: str) -> None:
    file = kit.open("conll2003", "Riga B-LOC\n")
    (item,) = kit.attacked(get_task("conll2003"), file.examples(), {})
    broken = item._replace(example=item.example._replace(fields={"tokens": (token,)}))
    with pytest.raises(ValueError, match="is empty or holds white space"):
        kit.rewritten(file, [broken])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("Anna B-PER\nsings\n", r"data.txt:2: found a token without a tag; expected 2 columns, as in the first line"),
        ("Anna\n", r"data.txt:1: found a token without a tag; expected 2 or 3 or 4 columns"),
        ("a b c d e\n", r"data.txt:1: found 5 columns; expected 2 or 3 or 4 columns.*`token_column=` and `tag_column="),
        ("Anna B-PER\nsings O O\n", r"data.txt:2: found 3 columns; expected 2"),
        (
            "Anna I-PER\nsings B-LOC\n",
            r"data.txt:1: found the tag 'I-PER' in a sentence .* neither .*; expected B-PER, as line 2 begins an ent",
        ),
        ("a O\n\nb B-PER\nc O\nd I-LOC\n", r"data.txt:5: found the tag 'I-LOC' after 'O'"),
        ("a B-PER\n\nb O\nc I-LOC\nd O\ne B-LOC\n", r"data.txt:4: found the tag 'I-LOC' after 'O'.*expected B-LOC, as"),
        ("a I-PER\n\nb O\nc I-LOC\nd O\ne B-LOC\n", r"data.txt:6: found the tag 'B-LOC' after 'O'.*expected I-LOC, as"),
        (
            "Anna B-PER\nBerg E-PER\n",
            r"data.txt:2: found the tag 'E-PER'; expected O, B-x or I-x.*`convert_tags=`; the",
        ),
        ("Anna S-PER\n", r"data.txt:1: found the tag 'S-PER'"),
        ("Anna\tB-PER\n\tO\n", r"data.txt:2: found a tag without a token; expected 2 columns"),
        ("Anna B-PER\n O\n", r"data.txt:2: found a tag without a token"),
        ("Anna\tNNP\tB-PER\nx\t\tO\n", r"data.txt:2: found an empty cell \(two tabs in a row\)"),
        ("Anna B-PER\n# a b\nBerg I-PER\n", r"data.txt:2: found a comment inside of a sentence"),
        (
            "New York\tB-LOC\nAnna\tO\n",
            r"data.txt:1: found white space inside of a cell \('New York'\); expected cells",
        ),
        ("Anna\tNNP\tB-PER\nNew York\t\tB-LOC\n", r"data.txt:2: found white space inside of a cell \('New York'\)"),
        ("0 Anna B-PER\n1 sings O\n", r"found numbers in the first column \(0, 1\); expected words.*`token_column=` 1"),
        ("t1 Anna B-PER\nt2 . O\n", r"found numbers in the first column"),
        ("Anna B-PER O\nBerg I-PER B-LOC\n", r"found entity tags in the columns 1 and 2; .*Say which.*`tag_column=`"),
        ("Anna B-PER B-PER\nBerg I-PER O\n", r"found entity tags in the columns 1 and 2"),
        ("Anna B-PER\nBerg I-PER\nsings X\n", r"data.txt:3: found the tag 'X'; expected O, B-x or I-x"),
        (FOUR.replace("B-LOC", "LOC"), r"data.txt:10: found the tag 'LOC'"),
        ("Anna NNP\n", r"data.txt: found no column of entity tags"),
        ("\n \n-DOCSTART- -X- O\n", r"data.txt: found no token"),
        ("", r"found an empty file"),
        (b"Anna B-PER\ncaf\xe9 O\n", r"data.txt:2: found byte 0xe9 at offset 14"),
        ("<html><body>Anna B-PER", r"found an HTML page"),
    ],
)
def test_bad_files(kit: Any, data: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(kit.open("conll2003", data).examples())


def test_keys_count_equal_sentences_whatever_the_layout(kit: Any) -> None:
    two = [example.key for example in kit.open("conll2003", "a O\n\nb O\n\na O\n").examples()]
    tabs = [example.key for example in kit.open("conll2003", "a\tO\r\n\r\n\r\nb\tO\r\n\r\na\tO").examples()]
    assert two == tabs
    assert two[0].split("#")[0] == two[2].split("#")[0]
    assert [key.split("#")[1] for key in two] == ["0", "0", "1"]
    three = [example.key for example in kit.open("conll2003", "a X O\n\na Y O\n\na X O\n").examples()]
    assert three == [two[0], two[0], two[2]]  # no equals, though one in texts and tags


TOKEN = st.text(st.characters(exclude_characters=" \t\n\r\ufeff", exclude_categories=("Cs",)), min_size=1, max_size=5)
ROW = st.tuples(TOKEN.filter(lambda token: token != "-DOCSTART-"), st.sampled_from(["O", "B-PER", "B-LOC"]))


@given(
    st.lists(st.lists(ROW, min_size=1, max_size=4), min_size=1, max_size=4),
    st.sampled_from([" ", "\t", "  "]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", " "]),
    st.booleans(),
)
def test_any_sentences_come_back(kit: Any, sentences: Any, gap: str, end: str, blank: str, last: bool) -> None:
    text = (blank + end).join("".join(gap.join(row) + end for row in sentence) for sentence in sentences)
    data = ("start O" + end + end + text) if last else ("start O" + end + end + text).removesuffix(end)
    file = kit.open("conll2003", data)
    read = [list(zip(example.fields["tokens"], example.label, strict=True)) for example in file.examples()]
    assert read == [[("start", "O")], *sentences]
    assert kit.rewritten(file) == data.encode("utf-8")
