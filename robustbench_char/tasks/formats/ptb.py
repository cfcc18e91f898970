"""Penn Treebank: a folder of combined trees as the Linguistic Data Consortium ships it, or the column file of it.

Trees are read by section, some files at a time; traces are dropped and brackets unescaped. They are written as a column
file: token, tab, tag, and a blank line after each sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustbench_char.common.errors import InputError
from robustbench_char.common.lines import read_lines, read_text
from robustbench_char.tasks.base import Block, NativeFile, Task
from robustbench_char.tasks.formats._cells import Cells, Ints, Layout
from robustbench_char.tasks.formats.conll import TokenFile
from robustbench_char.text.columns import ranges, strings

__all__ = ["open_ptb"]

PTB_TAGS = frozenset(
    "CC CD DT EX FW IN JJ JJR JJS LS MD NN NNS NNP NNPS PDT POS PRP PRP$ RB RBR RBS RP SYM TO UH "  # noqa: SIM905
    "VB VBD VBG VBN VBP VBZ WDT WP WP$ WRB # $ `` '' -LRB- -RRB- , . :".split()
)
"""The 45 tags of the treebank (Marcus et al. 1993, table 2, with its nine tags of punctuation)."""

PTB_SPLITS = {"train": range(19), "dev": range(19, 22), "test": range(22, 25), "all": range(25)}
"""The sections of the standard splits (Collins 2002)."""

_TRACE = "-NONE-"
_BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LCB-": "{", "-RCB-": "}", "-LSB-": "[", "-RSB-": "]"}
_PIECE = re.compile(r"[()]|[^()\s]+", re.ASCII)  # other white space stays in the token, where it is refused
_ESCAPE = re.compile(r"\\([/*])")

_OPEN, _CLOSE = b"()"
_ODD = [char for char in map(chr, range(0x3001)) if (char < " " or char.isspace()) and char not in " \t\n\v\f\r"]
_TOGETHER = 64  # files that are read at once

Tagged = list[tuple[str, str]]


def open_ptb(task: Task, path: Path) -> NativeFile:
    """Open a folder of trees (all its sections) or a column file."""
    return PtbTrees(task, path) if path.is_dir() else PtbColumns(task, path)


class PtbColumns(TokenFile):
    """One column file: token, tag, blank line after a sentence. Streams."""

    layout = Layout((2,))

    def blocks(self) -> Iterator[Block]:
        """Read the sentences. Raises InputError that names the line of a tag which is not the treebank's."""
        yield from self._blocks(self._tags)

    def _tags(self, cells: Cells) -> list[str]:
        names, which = cells.distinct(1)
        wrong = np.isin(which, [at for at, name in enumerate(names) if name not in PTB_TAGS])
        if wrong.any():
            first = int(np.argmax(wrong))
            _check_tag(f"{self.path}:{cells.lines[first]}", names[which[first]])
        return cells.joined(slice(1, 2))


class PtbTrees(PtbColumns):
    """The trees below a folder, of one split or all, as the column file of their sentences. Streams by some files."""

    def __init__(self, task: Task, path: Path, split: str = "all") -> None:
        super().__init__(task, path)
        self._files = _tree_files(path, split)

    def _pieces(self) -> Iterator[str]:
        """Read the sentences, file by file in order. Raises InputError that names file and line of what is wrong."""
        for at in range(0, len(self._files), _TOGETHER):
            files = self._files[at : at + _TOGETHER]
            text = _columns(["".join(read_text(file)) for file in files])
            if text is None:  # read once more, tree by tree, which says what is wrong
                trees = chain.from_iterable(map(_read_trees, files))
                text = "".join("".join(map("{0[0]}\t{0[1]}\n".format, tree)) + "\n" for tree in trees)
            if text:
                yield text
        yield ""


def _columns(texts: Sequence[str]) -> str | None:
    """Return the sentences of some files as a column file, or None where a tree is wrong or holds odd characters.

    The order of brackets and words tells: the first word of a node is its label, and only a leaf has a second one.
    """
    whole = "\n".join([*texts, ""])
    if any(char in whole for char in _ODD):
        return None
    codes = np.frombuffer(whole.encode("ascii" if whole.isascii() else "utf-32-le"), "B" if whole.isascii() else "<u4")
    heads = (codes | 1) == _CLOSE  # or the bracket that opens
    edges = np.flatnonzero(np.diff((codes > ord(" ")) & ~heads, prepend=False))
    heads[edges[::2]] = True
    at = np.flatnonzero(heads)
    opens, closes = codes[at] == _OPEN, codes[at] == _CLOSE
    kinds = np.append(np.zeros(3, np.int8), opens.view(np.int8) - closes.view(np.int8))  # a word is 0
    third, second, first, kind = (kinds[back : len(at) + back] for back in range(4))
    leaves = np.flatnonzero(closes & (first == 0) & (second == 0) & (third == 1))
    words, inner = (kind == 0).sum() - ((kind == 0) & (first == 1)).sum(), (closes & (first == -1)).sum()
    depth = np.cumsum(kind, dtype=np.int64)
    files = np.append(0, depth)[np.searchsorted(at, np.cumsum([len(text) + 1 for text in texts]))]
    if words != len(leaves) or closes.sum() - inner != len(leaves) or (depth < 0).any() or files.any():
        return None
    pairs = np.stack([leaves - 1, leaves - 2], axis=1)  # token and tag
    ends = edges[1::2][(np.cumsum(kind == 0) - 1)[pairs]]
    return _lines(codes, at[pairs], ends, np.cumsum(depth == 0)[leaves - 1])


def _lines(codes: NDArray[Any], starts: Ints, ends: Ints, trees: Ints) -> str | None:
    """Return leaves (n, 2: token and tag) as lines, with a blank one after each tree; None for an unknown tag."""
    tags = strings(codes, starts[:, 1], ends[:, 1] - starts[:, 1]).dictionary_encode()
    names = tags.dictionary.to_pylist()
    if not PTB_TAGS.issuperset({*names} - {_TRACE}):
        return None
    kept = np.array([name != _TRACE for name in names], np.bool_)[tags.indices.to_numpy()]
    lengths, trees = (ends - starts)[kept] + 1, trees[kept]
    last = np.diff(trees, append=-1) != 0
    lengths[last, 1] += 1
    lines, behind = codes[ranges(starts[kept].ravel(), lengths.ravel())], np.cumsum(lengths).reshape(-1, 2) - 1
    lines[behind[:, 0]], lines[behind[:, 1]] = ord("\t"), ord("\n")
    lines[behind[last, 1] - 1] = ord("\n")
    text = "\n" + lines.tobytes().decode("ascii" if codes.itemsize == 1 else "utf-32-le")
    for name, bracket in _BRACKETS.items():
        text = text.replace(f"\n{name}\t", f"\n{bracket}\t")
    return text[1:].replace("\\/", "/").replace("\\*", "*")


def _check_tag(place: str, tag: str) -> None:
    if tag not in PTB_TAGS:
        raise InputError(place, found=f"the tag {tag!r}",
                         expected=f"a tag of the Penn Treebank ({' '.join(sorted(PTB_TAGS))})",
                         fix="Correct the tag; other tag sets need a task of their own.")  # fmt: skip


def _tree_files(folder: Path, split: str) -> list[Path]:
    if split not in PTB_SPLITS:
        raise InputError("--split", found=f"the split {split!r}", expected=f"one of {', '.join(PTB_SPLITS)}",
                         fix="Choose one of them.")  # fmt: skip
    files = sorted(path for path in folder.rglob("*.mrg") if path.is_file())
    if not files:
        raise InputError(folder, found="no .mrg file", expected="a folder of trees, as parsed/mrg/wsj of LDC99T42",
                         fix="Give --data-dir the folder that holds the sections 00 to 24.")  # fmt: skip
    sections = {path: _section(path) for path in files}
    chosen = [path for path in files if sections[path] in PTB_SPLITS[split]]
    if not chosen:
        there = ", ".join(sorted({f"{section:02}" for section in sections.values() if section is not None})) or "none"
        wanted = PTB_SPLITS[split]
        raise InputError(folder, found=f"the sections {there}",
                         expected=f"sections {wanted[0]:02} to {wanted[-1]:02} (split {split})",
                         fix="Give the folder that holds them, or --split all.")  # fmt: skip
    return chosen


def _section(path: Path) -> int | None:
    match = re.fullmatch(r"(\d\d)", path.parent.name) or re.fullmatch(r"wsj_(\d\d)\d\d\.mrg", path.name)
    return int(match[1]) if match else None


def _read_trees(path: Path) -> Iterator[Tagged]:
    """Read the trees of one file as sentences of (token, tag); a tree that holds only traces gives none."""
    sentence: Tagged = []
    open_nodes: list[list[str]] = []
    for line in read_lines(path):
        place = f"{path}:{line.number}"
        for piece in _PIECE.findall(line.text):
            if piece == "(":
                if open_nodes:
                    open_nodes[-1].append(piece)
                open_nodes.append([])
            elif not open_nodes:
                raise _malformed(place, f"{piece!r} outside a tree")
            elif piece != ")":
                open_nodes[-1].append(piece)
            else:
                sentence += _leaf(place, open_nodes.pop())
                if not open_nodes and sentence:
                    yield sentence
                    sentence = []
    if open_nodes:
        raise _malformed(str(path), "a tree that is not closed at the end of the file")


def _leaf(place: str, node: list[str]) -> Tagged:
    """Return what a closed node adds to the sentence: its token, if it is a leaf and not a trace.

    `node` holds its words in order, and `(` for each node inside it.
    """
    inner = "(" in node
    if set(node[1:]) - {"("} if inner else len(node) != 2:
        raise _malformed(place, repr(f"({' '.join(node).replace('(', '(...)')})"))
    if inner or node[0] == _TRACE:
        return []
    tag, token = node
    _check_tag(place, tag)
    token = _BRACKETS.get(token, _ESCAPE.sub(r"\1", token))
    if any(character.isspace() for character in token):
        raise _malformed(place, f"the token {token!r}, which holds white space")
    return [(token, tag)]


def _malformed(place: str, found: str) -> InputError:
    return InputError(place, found=found, expected="trees in brackets, each leaf a tag and a token",
                      fix="Correct the file, or copy it again from the release.")  # fmt: skip
