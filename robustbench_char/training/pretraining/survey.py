"""One reading of the training text before training: hashes, sizes, and the words that NLM may have to name."""

from __future__ import annotations

from dataclasses import dataclass

from robustbench_char.common import InputError
from robustbench_char.common.files import safe_name, sha256_file
from robustbench_char.text.columns import Column
from robustbench_char.text.words import SPLITTERS
from robustbench_char.training.pretraining.corpus import Corpus
from robustbench_char.training.pretraining.files import TextInfo
from robustbench_char.training.pretraining.terms import TermCounter

__all__ = ["Survey", "survey", "text_infos"]


@dataclass(frozen=True)
class Survey:
    """Lines and words (between white space) of the text that is trained on; `counter` holds terms, if asked for."""

    lines: int
    words: int
    counter: TermCounter


def survey(corpus: Corpus, *, terms: str | None) -> Survey:
    """Read the text once; `terms` names the word splitter whose words are counted, None: none are.

    Raises InputError that names file and line of what is no text, and for text without a word to count.
    """
    counter, lines, words = TermCounter(), 0, 0
    for chunk in corpus.chunks():
        lines += len(chunk.lines)
        words += sum(len(line.split()) for line in chunk.lines)
        if terms is not None:
            found, text = SPLITTERS.get(terms)(Column.of(chunk.lines)), "\n".join(chunk.lines)
            spans = zip(found.starts.tolist(), found.ends.tolist(), strict=True)
            counter.add(text[start:end] for start, end in spans)
    if terms is not None and not counter.counts:
        raise InputError(
            ", ".join(str(path) for path in corpus.files),
            found="no words",
            expected="text with words that NLM can name",
            fix="Give a text file with words in it.",
        )
    return Survey(lines, words, counter)


def text_infos(corpus: Corpus | None) -> tuple[TextInfo, ...]:
    """Return name and hash of each file."""
    files = corpus.files if corpus else ()
    return tuple(TextInfo(name=safe_name(str(path)), sha256=sha256_file(path)) for path in files)
