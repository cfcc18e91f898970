"""Building a channel: lexicon and pairs from plain text and a task's texts, errors from misspellings."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from robustbench_char.attack_sets.aligned import aligned_words
from robustbench_char.attack_sets.manifest import is_set, read_manifest
from robustbench_char.common import InputError
from robustbench_char.common.extras import package_folder
from robustbench_char.common.files import check_output, output_folder, sha256_file
from robustbench_char.common.frozen import read_json_model
from robustbench_char.common.options import Option, options_of
from robustbench_char.common.provenance import provenance
from robustbench_char.defences._sources import named, task_data, text_lines
from robustbench_char.defences.channel._edits import Edits, parsed
from robustbench_char.defences.channel._index import LONGEST, Spelled
from robustbench_char.defences.channel._spelling import Spelling
from robustbench_char.defences.channel._words import Tokens, split_words
from robustbench_char.defences.channel.errors import ErrorModel
from robustbench_char.defences.channel.files import ChannelFile, Listed, Tables, check_memory, write_channel
from robustbench_char.defences.channel.lexicon import CLASSES, Lexicon, count_lexicon
from robustbench_char.defences.channel.options import ChannelKeywords, ChannelOptions, Ends
from robustbench_char.defences.opening import CONFIG
from robustbench_char.tasks.base import Example, Task
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import Input
from robustbench_char.text.misspellings import read_misspellings

__all__ = ["build_tables", "train_channel"]

Ints = NDArray[np.int64]

_LINES = 20_000
"""Lines of text that are counted at a time."""
_LEAST = 2.0
"""How often a word is seen at least, to be known."""
_TASK_WEIGHT = 3.0
"""What a word of the task's own texts counts for; one of plain text counts for 1."""
_DICTIONARY, _PAIRS = "frequency_dictionary_en_82_765.txt", "frequency_bigramdictionary_en_243_342.txt"
_BESIDE_TEXT, _ALONE = 2e5, 4e6
"""How many words the dictionary's frequencies stand for, beside text and without any."""
_CONTRACTED = 1e-4
"""How frequent each contraction is: symspellpy's dictionary has the same count for all of them, far too low."""
_RARE = 6
"""What new words look like is learnt from words that are no more frequent."""
_LISTED = 0.3
"""The share of errors that a list of misspellings explains, before a file is seen."""


def build_tables(
    options: ChannelOptions, lines: Iterable[str] = (), sentences: Sequence[Sequence[str]] = (), **training: Any
) -> tuple[ChannelFile, Tables]:
    """Count what a channel knows from lines of text and from tokens; `training` is what its file says of their sources.

    Raises InputError where there is no word to know, for a list of misspellings that is missing or wrong or has none
    that can be used, and for more words than memory holds.
    """
    misspelled = _misspelled(options.misspellings, options.ends)
    parts = [(tokens, 1.0) for tokens in _counted(islice(lines, options.limit))]
    own = Tokens.of(sentences)
    if len(sentences):
        parts.append((own, _TASK_WEIGHT))
    total = _BESIDE_TEXT if parts else _ALONE
    words, pairs = _dictionary(total) if options.dictionary else ({}, {})
    lexicon = count_lexicon(parts, words, pairs if not parts else {}, least=_LEAST, size=options.vocabulary)
    lexicon = replace(lexicon, alone=_alone(lexicon, own))
    counts = _counts(parts, words)
    rare = [word for word, count in counts.items() if count <= _RARE] or list(counts)
    if not rare or len(lexicon) == len(CLASSES):
        raise InputError(Option("text"), found="no word seen twice", expected="text to know words from",
                         fix="Give more text, or do not leave out the dictionary.")  # fmt: skip
    spelling = Spelling.of(Spelled.of(rare), np.ones(len(rare)))
    errors = ErrorModel.uniform(most=options.max_edits, ends=options.ends == "free")
    errors, listed = _estimated(errors, misspelled, options.max_edits)
    read = sum(len(tokens.which) for tokens, _ in parts)
    training = {**training, "options": _decided(options), "words": read}
    file = ChannelFile(max_edits=options.max_edits, ends=options.ends, training=training, provenance=provenance())
    return file, Tables(lexicon, spelling, errors, listed)


def _alone(lexicon: Lexicon, own: Tokens) -> NDArray[np.bool_]:
    """Return which entries would not be known without the one place where the task's own texts have them."""
    counts = np.bincount(lexicon.ids(own)[own.which], minlength=len(lexicon))
    alone = (counts == 1) & (lexicon.frequency - _TASK_WEIGHT < _LEAST)
    alone[: len(CLASSES)] = False
    return np.asarray(alone)


def _counted(lines: Iterable[str]) -> Iterator[Tokens]:
    rest, words, distinct = iter(lines), 0, set[str]()
    while chunk := list(islice(rest, _LINES)):
        tokens = Tokens.of([[line[start:end] for start, end in split_words(line)] for line in chunk])
        words += len(tokens.which)
        distinct.update(tokens.distinct.to_pylist())
        check_memory(Option("text"), len(distinct), words, fix="Read fewer lines: give `limit=`.")
        yield tokens


def _counts(parts: Sequence[tuple[Tokens, float]], words: Mapping[str, float]) -> Mapping[str, float]:
    """Return how often each word with a letter was seen, in lower case; of no text, the words known from elsewhere."""
    if not parts:
        return words
    counts = defaultdict[str, float](float)
    for tokens, weight in parts:
        number = np.bincount(tokens.which, minlength=len(tokens.distinct)) * weight
        some = tokens.letters > 0
        for word, count, kept in zip(tokens.lower.to_pylist(), number.tolist(), some.tolist(), strict=True):
            if kept and len(word) <= LONGEST:
                counts[word] += count
    return counts


def _dictionary(total: float) -> tuple[dict[str, float], dict[tuple[str, str], float]]:
    """Return symspellpy's words, with frequencies that sum to about `total`, and its pairs of words in proportion."""
    folder = package_folder("symspellpy", place=Option("dictionary"))
    lines = [line.split() for line in (folder / _DICTIONARY).read_text(encoding="utf-8-sig").splitlines()]
    words = {word: float(count) for word, count in lines if len(word) > 1 or word in "ai"}
    scale = total / sum(words.values())
    words |= dict.fromkeys([word for word in words if "'" in word] + ["ain't", "shan't"], _CONTRACTED * total / scale)
    lines = [line.split() for line in (folder / _PAIRS).read_text(encoding="utf-8-sig").splitlines()]
    pairs = {(first, second): float(count) for first, second, count in lines}
    for word, count in list(words.items()):
        parts = [word[start:end] for start, end in split_words(word)]
        if len(parts) == 2:  # don't is read as do n't
            words |= {part: words.get(part, 0.0) + count for part in parts}
            pairs[parts[0], parts[1]] = count
    return (
        {word: max(0.2, count * scale) for word, count in words.items()},
        {pair: count * scale for pair, count in pairs.items()},
    )


def _misspelled(sources: Iterable[str], ends: Ends) -> Counter[tuple[str, str]]:
    """Count pairs (wrong, right) of lists and attacked sets, in lower case: single words, with ends as asked for."""
    counts = Counter[tuple[str, str]]()
    for source in sources:
        listed = aligned_words(source) if is_set(Path(source)) else read_misspellings(source)
        lower = ((wrong.lower(), right.lower()) for wrong, right in listed)
        usable = [
            (wrong, right) for wrong, right in lower
            if wrong != right and any(map(str.isalpha, wrong)) and len(right.split()) == 1 == len(wrong.split())
            and (ends == "free" or (wrong[0], wrong[-1]) == (right[0], right[-1]))
        ]  # fmt: skip
        if not usable:
            found = f"no misspelling of a single word{' with its ends kept' if ends == 'kept' else ''}"
            raise InputError(source, found=found, expected="words, written wrong and right",
                             fix="Give a list with some, or leave it out.")  # fmt: skip
        counts.update(usable)
    return counts


def _estimated(errors: ErrorModel, misspelled: Counter[tuple[str, str]], most: int) -> tuple[ErrorModel, Listed]:
    """Return the error model as misspellings have it, and what each listed one is meant to be."""
    if not misspelled:
        return errors, {}
    wrong, right = zip(*misspelled, strict=True)
    known = Spelled.of(right)
    pair, edits = _all_readings(known, Spelled.of(wrong), most)
    counts = np.fromiter(misspelled.values(), np.float64, len(misspelled))
    weights = counts[pair] / np.bincount(pair, minlength=len(counts))[pair]
    learnt = errors.learnt(edits, known.lengths[pair[edits.pair]], weights, base=errors, strength=0.1)
    of_right = Counter[str]()
    for (_, word), count in misspelled.items():
        of_right[word] += count
    listed: dict[str, list[tuple[str, float]]] = {}
    for (written, word), count in sorted(misspelled.items()):
        listed.setdefault(written, []).append((word, count / (of_right[word] + 2)))
    return (
        ErrorModel(learnt.share, learnt.number, learnt.kinds, learnt.added, learnt.replaced, _LISTED),
        {written: tuple(meant) for written, meant in listed.items()},
    )


def _all_readings(known: Spelled, given: Spelled, most: int) -> tuple[Ints, Edits]:
    """Return the readings of pairs as one edit, and as two where that is allowed."""
    pair, edits = parsed(known, given, 1)
    if most < 2:
        return pair, edits
    other, more = parsed(known, given, 2)
    return np.concatenate([pair, other]), Edits.joined(edits, more.numbered(more.pair + len(pair)))


def train_channel(
    *,
    output: Path | str,
    text: Path | str | Sequence[Path | str] = (),
    task: Task | Path | str | None = None,
    input: Input | None = None,
    data: str | None = None,
    hub: bool = False,
    split: str | None = None,
    data_dir: Path | str | None = None,
    examples: int | None = None,
    overwrite: bool = False,
    **options: Unpack[ChannelKeywords],
) -> Path:
    """Build a channel and write it to `output` atomically; return the folder.

    Words come from plain text, from the (first) `examples` of a task's data, named as in `open_source`, and from
    symspellpy's dictionary. `options` are those of `options.ChannelOptions`. Raises InputError for bad input.
    """
    (chosen,) = options_of(options, ChannelOptions)
    texts = [Path(path) for path in ([text] if isinstance(text, str | Path) else text)]
    record = None if task is None else get_task(task, "--task")
    source = task_data(record, {"input": input, "data": data, "hub": hub, "split": split, "data_dir": data_dir})
    inputs = [*texts, source.path] if source else texts
    if not (Path(output) / CONFIG).is_file():
        check_output(Path(output), overwrite=overwrite, inputs=inputs)
    said = {"texts": named(inputs), "misspellings": [_named_list(one) for one in chosen.misspellings]}
    if not _says(Path(output), {**said, "options": _decided(chosen)}):
        check_output(Path(output), overwrite=overwrite, inputs=inputs)
    sentences = list(_task_words(islice(source.examples(), examples))) if source else []
    made = build_tables(chosen, text_lines(texts), sentences, **said)
    with output_folder(Path(output), overwrite=overwrite, volatile=(CONFIG,), inputs=inputs) as folder:
        write_channel(folder, *made)
    return Path(output)


def _decided(options: ChannelOptions) -> dict[str, Any]:
    return options.model_dump(mode="json", exclude={"misspellings"})


def _says(folder: Path, said: Mapping[str, Any]) -> bool:
    """Return whether a channel was built from the same: this run may be that one, and is compared when it is built."""
    try:
        there = read_json_model(folder / CONFIG, ChannelFile, expected="a channel", fix="")
    except InputError:
        return False
    return said.items() <= there.training.items()


def _named_list(source: str) -> dict[str, str]:
    """Return what the file says of misspellings: of an attacked set, its suite and the hash of its ledger."""
    if is_set(Path(source)):
        manifest = read_manifest(Path(source))
        return {"suite": manifest.suite.name, "task": manifest.task, "sha256": manifest.ledger.sha256}
    return {"name": Path(source).name} | ({"sha256": sha256_file(Path(source))} if Path(source).is_file() else {})


def _task_words(examples: Iterable[Example]) -> Iterator[Sequence[str]]:
    """Yield the words of all fields of examples, each text once."""
    seen = set[object]()
    for example in examples:
        for value in example.fields.values():
            if value not in seen:
                seen.add(value)
                if isinstance(value, str):
                    yield [value[start:end] for start, end in split_words(value)]
                else:
                    yield value
