"""The Penn Treebank: trees of our own by section, and the column file written from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_char.common import InputError
from robustbench_char.tasks import Edit, get_task, open_native, open_source
from robustbench_char.tasks.formats import ptb

TREE = """
( (S
    (NP-SBJ-1 (DT The) (NN crew) (-LRB- -LRB-) (CD 2\\/3) (-RRB- -RRB-) )
    (VP (VBD was)
      (VP (VBN paid)
        (NP (-NONE- *-1) )
        (NP ($ $) (CD 5) (-NONE- *U*) )))
    (. .) ))
( (S (NP-SBJ (-NONE- *) ) (VP (VB Go) ) (: --) (NN \\*star) (. !) ))
( (NP (-NONE- *T*-91) ))
"""
COLUMNS = (
    "The\tDT\ncrew\tNN\n(\t-LRB-\n2/3\tCD\n)\t-RRB-\nwas\tVBD\npaid\tVBN\n$\t$\n5\tCD\n.\t.\n\n"
    "Go\tVB\n--\t:\n*star\tNN\n!\t.\n\n"
)


@pytest.fixture
def treebank(tmp_path: Path) -> Path:
    for section in ("00", "18", "19", "22", "23"):
        folder = tmp_path / "mrg" / "wsj" / section
        folder.mkdir(parents=True)
        (folder / f"wsj_{section}01.mrg").write_text(f"( (NN section{section}) )\n")
    (tmp_path / "mrg" / "wsj" / "00" / "wsj_0002.mrg").write_text(TREE)
    return tmp_path


def test_traces_are_dropped_and_brackets_unescaped(treebank: Path, kit: Any) -> None:
    file = open_native(get_task("ptb_pos"), treebank / "mrg" / "wsj" / "00")
    examples = list(file.examples())
    assert [example.row for example in examples] == [0, 1, 2]
    assert examples[1].fields["tokens"] == ("The", "crew", "(", "2/3", ")", "was", "paid", "$", "5", ".")
    assert examples[1].label == ("DT", "NN", "-LRB-", "CD", "-RRB-", "VBD", "VBN", "$", "CD", ".")
    assert kit.rewritten(file).decode() == "section00\tNN\n\n" + COLUMNS


def test_brackets_of_each_kind(treebank: Path) -> None:
    marks = ("-LRB-", "-RRB-", "-LCB-", "-RCB-", "-LSB-", "-RSB-")
    path = treebank / "mrg" / "wsj" / "18" / "wsj_1802.mrg"
    path.write_text("( (X" + "".join(f" ({mark[0]}{mark[1]}RB- {mark})" for mark in marks) + ") )\n")
    *_, last = open_native(get_task("ptb_pos"), path.parent).examples()
    assert (last.fields["tokens"], last.label) == (tuple("(){}[]"), ("-LRB-", "-RRB-") * 3)


@pytest.mark.parametrize(
    ("split", "sections"),
    [("train", ["00", "18"]), ("dev", ["19"]), ("test", ["22", "23"]), ("all", ["00", "18", "19", "22", "23"])],
)
def test_standard_splits(treebank: Path, split: str, sections: list[str]) -> None:
    file = open_source(get_task("ptb_pos"), data_dir=treebank, split=split)
    tokens = [example.fields["tokens"][0] for example in file.examples()]
    assert [token for token in tokens if token.startswith("section")] == [f"section{name}" for name in sections]


def test_trees_and_columns_are_the_same_examples(treebank: Path, kit: Any) -> None:
    trees = open_native(get_task("ptb_pos"), treebank)
    columns = kit.open("ptb_pos", kit.rewritten(trees))
    assert list(columns.examples()) == list(trees.examples())
    assert kit.rewritten(columns) == columns.path.read_bytes()


def test_edits_of_trees_are_written_as_columns(treebank: Path, kit: Any) -> None:
    task = get_task("ptb_pos")
    trees = open_native(task, treebank / "mrg" / "wsj" / "00")
    items = kit.attacked(task, trees.examples(), {(1, "tokens"): [Edit(4, "cr", "rc")]})
    attacked = kit.rewritten(trees, items)
    assert attacked == ("section00\tNN\n\n" + COLUMNS.replace("crew", "rcew")).encode()
    assert kit.undone(task, trees, kit.path(attacked), items) == kit.rewritten(trees)


@pytest.mark.parametrize("data", [COLUMNS, COLUMNS.replace("\n", "\r\n"), COLUMNS.strip(), COLUMNS.replace("\t", "  ")])
def test_column_file_comes_back(kit: Any, data: str) -> None:
    assert kit.rewritten(kit.open("ptb_pos", data)) == data.encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("dog\tNOUN\n", r"data.txt:1: found the tag 'NOUN'; expected a tag of the Penn Treebank"),
        ("dog\tNN\ncat\n", r"data.txt:2: found a token without a tag"),
        ("dog\tNN\tx\n", r"data.txt:1: found 3 columns; expected 2 columns"),
        ("", "empty file"),
    ],
)
def test_bad_column_files(kit: Any, data: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(kit.open("ptb_pos", data).examples())


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ("( (S\n (NP (NOUN dog) )))", r"wsj_0003.mrg:2: found the tag 'NOUN'"),
        ("( (S (NN dog)", r"wsj_0003.mrg: found a tree that is not closed"),
        ("( (NN dog) ) )", r"wsj_0003.mrg:1: found '\)' outside a tree"),
        ("( (NN dog cat) )", r"wsj_0003.mrg:1: found '\(NN dog cat\)'"),
        ("( (S\n (NN ) (NN dog)))", r"wsj_0003.mrg:2: found '\(NN\)'; expected .* each leaf a tag and a token"),
        ("( (S (NN foo (NN barbar))))", r"wsj_0003.mrg:1: found '\(NN foo \(\.\.\.\)\)'"),
        ("( (S (NN dog) cat))", r"wsj_0003.mrg:1: found '\(S \(\.\.\.\) cat\)'"),
        ("()", r"wsj_0003.mrg:1: found '\(\)'"),
        ("( (NN dog\u00a0cat) )", r"found the token 'dog\\xa0cat', which holds white space"),
        ("<html>", r"found an HTML page"),
    ],
)
def test_bad_trees(treebank: Path, tree: str, message: str) -> None:
    (treebank / "mrg" / "wsj" / "00" / "wsj_0003.mrg").write_text(tree, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        list(open_native(get_task("ptb_pos"), treebank).examples())


def test_sections_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found no .mrg file; expected .*LDC99T42"):
        open_native(get_task("ptb_pos"), tmp_path)
    for section in ("00", "01"):
        (tmp_path / section).mkdir()
        (tmp_path / section / f"wsj_{section}01.mrg").write_text("( (NN a) )")
    with pytest.raises(InputError, match=r"found the sections 00, 01; expected sections 22 to 24 \(split test\)"):
        open_source(get_task("ptb_pos"), data_dir=tmp_path, split="test")
    with pytest.raises(InputError, match=r"--split: found the split 'tset'.*Did you mean 'test'"):
        open_source(get_task("ptb_pos"), data_dir=tmp_path, split="tset")


LEAVES = [
    "(NN dog)",
    "(NN 1\\/2)",
    "(-NONE- *-1)",
    "(-LRB- -LRB-)",
    "( JJ  a\\*b\n)",
    "(NN ñ)",
    "(. x-RRB-)",
    "(NN -RCB-)",
]
WRONG = ["(X y)", "(NN a\xa0b)", "(NN a\x1cb)", "\xa0", "(NN)", "()", "(NN a b)", "(S", ")", "dog"]
NODE = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.tuples(st.sampled_from(["(", "(S ", "(NP-1\r\n\t"]), st.lists(inner, min_size=1, max_size=3)).map(
        lambda node: f"{node[0]}{' '.join(node[1])})"
    ),
)
FILE = st.lists(st.one_of(NODE, NODE, NODE, NODE, st.sampled_from(WRONG)), max_size=4).map("\n".join)


@settings(max_examples=200)
@given(st.lists(FILE, min_size=1, max_size=3))
def test_trees_are_read_by_the_column_as_one_by_one(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder, lines = tmp_path_factory.mktemp("trees"), list[str]()
    by_column = ptb._columns(texts)
    try:
        for number, text in enumerate(texts):
            (folder / f"{number}.mrg").write_text(f"{text}\n", encoding="utf-8", newline="")
            for tree in ptb._read_trees(folder / f"{number}.mrg"):
                lines += [*(f"{token}\t{tag}\n" for token, tag in tree), "\n"]
    except InputError:
        assert by_column is None
        return
    assert by_column == "".join(lines) or (by_column is None and "\xa0" in "".join(texts))
