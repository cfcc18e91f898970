"""Measuring sensitivity S: clean and attacked examples read by one model, their words matched by the ledger."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rich.progress import Progress

from robustbench_char.attacks.eligibility import find_words
from robustbench_char.attacks.suites import WordRule
from robustbench_char.common import InputError
from robustbench_char.common.files import output_folder, sha256_file
from robustbench_char.common.process import progress_bar
from robustbench_char.common.provenance import provenance
from robustbench_char.defences.opening import open_defence
from robustbench_char.inference._attack_set import (
    AttackSet,
    Edits,
    matching_attack,
    piece_counts,
    token_at,
    token_starts,
)
from robustbench_char.inference._defended import defend, defended_name
from robustbench_char.inference._models import device_name
from robustbench_char.inference.systems import load_system
from robustbench_char.metrics.sensitivity import WORD_COLUMNS, cosine_distances, summary_frame
from robustbench_char.models.bases import Limits, resolve_base
from robustbench_char.models.batching import Batching, shortest
from robustbench_char.models.charbert import CharBertConfig
from robustbench_char.models.charbert.system import CharBertSystem
from robustbench_char.models.checkpoints import load_config
from robustbench_char.models.encoders import EncoderSystem, limits_of, read_encoder
from robustbench_char.models.representations import Passage, PassageWindow, Pooling, Stream, WordReader
from robustbench_char.models.system import System
from robustbench_char.records.evaluation import SystemInfo
from robustbench_char.records.sensitivity import (
    SENSITIVITY,
    WORDS,
    Group,
    ModelInfo,
    Profile,
    ProfileWord,
    SensitivityRecord,
    side_by_side,
    write_sensitivity,
)
from robustbench_char.tasks.base import Example, NativeFile, Task
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import SourceKeywords, as_read, open_source
from robustbench_char.text.columns import Column
from robustbench_char.training.saved import SYSTEM

__all__ = ["Sensitivity", "profile_sentence", "sensitivity"]

_CHUNK = 256  # examples whose vectors are held at a time
_LONGEST = 512
_WORD = re.compile(r"\S+")


class Sensitivity(NamedTuple):
    """A measurement: its record, the table of words (WORD_COLUMNS), and the profiles that were asked for."""

    record: SensitivityRecord
    words: pd.DataFrame
    profiles: tuple[Profile, ...]


class _Word(NamedTuple):
    """A word of a field: its number and clean start there, its text clean and attacked, what hit it (joined by +)."""

    field: str
    number: int
    start: int
    clean: str
    attacked: str
    operator: str


class _Pair(NamedTuple):
    """One example as the model reads it before and after the attack, and its words in the order of both passages."""

    example: Example
    clean: Passage
    attacked: Passage
    words: list[_Word]


def open_reader(
    model: str,
    task: Task | None,
    *,
    layer: int = -1,
    pooling: Pooling = "mean",
    stream: Stream = "both",
    max_length: int | None = None,
    defence: Path | str | None = None,
) -> tuple[WordReader, SystemInfo | ModelInfo]:
    """Return a reader of words, and what records say of the model.

    `model` is a folder that `finetune` wrote, any encoder's folder, fine-tuned or not, a hub id, or `minilm`; without a
    task it may be a system of any, and an encoder reads words one by one. `defence` is put before it. Raises InputError
    for one that cannot be used, and for a system of another task.
    """
    if (Path(model).expanduser() / SYSTEM).is_file():
        system = load_system(Path(model).expanduser())
        if task is not None and system.file.task.name != task.name:
            expected = f"{system.file.task.name}, which the system was fine-tuned on"
            fix = "Name the system's own task, or another system."
            raise InputError("--task", found=task.name, expected=expected, fix=fix)
        if defence is not None:
            defend(system, str(defence))
        length = max_length or system.file.settings.max_length
        encoder, words = system.model.base_model, system.file.task.family == "tagging"
        how = layer, pooling, stream, words, system.batching
        return WordReader(encoder, system.kind, length, *how).measured(), system.info
    words = task is None or task.family == "tagging"
    base = resolve_base(model, any_type=True)
    kind, limits = _plain_kind(base.folder, words)
    plain: Any = read_encoder(base.folder)
    on_device = plain.to(torch.accelerator.current_accelerator() or torch.device("cpu"))
    length = max_length or min(_LONGEST * limits.scale, limits.longest)
    kind.defence = open_defence(defence) if defence else None
    how = layer, pooling, stream, words, Batching(least=shortest(plain.config))
    reader = WordReader(on_device.eval(), kind, length, *how).measured()
    name = defended_name(base.name, str(defence)) if defence else base.name
    return reader, ModelInfo(name=name, weights_sha256=base.weights_sha256)


def _plain_kind(folder: Path, words: bool) -> tuple[System, Limits]:
    """Return how texts are read for an encoder that was not fine-tuned, and how much of them."""
    config = load_config(folder)
    if config.model_type == CharBertConfig.model_type:
        return CharBertSystem.open(folder, words=words), CharBertSystem.limits(folder)
    kind = EncoderSystem.open(folder, words=words)
    return kind, limits_of(config, kind.tokenizer, folder)


def sensitivity(
    model: Path | str,
    *,
    task: Task | Path | str,
    attacked: Path | str,
    output: Path | str | None = None,
    layer: int = -1,
    pooling: Pooling = "mean",
    stream: Stream = "both",
    max_length: int | None = None,
    limit: int | None = None,
    batch_size: int = 32,
    profile: Sequence[str] = (),
    defence: Path | str | None = None,
    label: str | None = None,
    overwrite: bool = False,
    progress: bool = True,
    **source: Unpack[SourceKeywords],
) -> Sensitivity:
    """Measure sensitivity S: how much each word's contextual representation shifts under an attack.

    S is the mean over words of 1 - cos, from 0 to 2 (Ma et al. 2020, section 5; docs/metrics.md). `model` is a folder
    that `finetune` wrote, the folder or hub id of an encoder, fine-tuned or not, or "minilm"; `attacked` the folder
    that `attack_file` wrote for these data. `layer` counts hidden states (-1 the last, 0 the embeddings), `limit` keeps
    the first examples. `defence`, a folder or a ready one's name, is put before the model, `profile` lists ids of
    examples whose words are returned, `label` is how the record calls the model. Returns record, data frame of words
    and profiles. Raises InputError for a model that cannot be used and for data that were not attacked so.
    """
    started = time.monotonic()
    task, attacked = as_read(get_task(task, "--task"), source), Path(attacked)
    clean = open_source(task, **source)
    how: dict[str, Any] = {"layer": layer, "pooling": pooling, "stream": stream, "max_length": max_length}
    reader, info = open_reader(str(model), task, defence=defence, **how)
    info = _called(info, label)
    attack = matching_attack(attacked, clean, task)
    total = min(attack.manifest.output.rows, limit or attack.manifest.output.rows)
    pairs, bar = list(islice(_pairs(clean, attack, task), limit)), progress_bar(progress)
    words, profiles = _measured(reader, pairs, profile, batch_size, bar, total)
    measured = Sensitivity(_record(reader, info, attack, words, total, started), words, profiles)
    return measured if output is None else _saved(measured, Path(output), overwrite, (clean.path, attacked))


def _called(info: SystemInfo | ModelInfo, label: str | None) -> SystemInfo | ModelInfo:
    field = "label" if isinstance(info, SystemInfo) else "name"
    return info if label is None else info.model_copy(update={field: label})


def _saved(measured: Sensitivity, output: Path, overwrite: bool, inputs: Sequence[Path]) -> Sensitivity:
    """Write a measurement, whole or not at all; its record then holds the hash of the table of words."""
    with output_folder(output, overwrite=overwrite, inputs=inputs, volatile=(SENSITIVITY,)) as folder:
        measured.words.to_parquet(folder / WORDS, index=False, compression="zstd")
        record = measured.record.model_copy(update={"words_sha256": sha256_file(folder / WORDS)})
        write_sensitivity(folder, record, measured.profiles)
    return measured._replace(record=record)


def _record(
    reader: WordReader,
    info: SystemInfo | ModelInfo,
    attack: AttackSet,
    words: pd.DataFrame,
    examples: int,
    started: float,
) -> SensitivityRecord:
    """Return the record of the measured words, without the hash of their table."""
    groups = summary_frame(words).astype(object)
    return SensitivityRecord(
        task=attack.manifest.task,
        system=info if isinstance(info, SystemInfo) else None,
        model=info if isinstance(info, ModelInfo) else None,
        layer=reader.layer,
        pooling=reader.pooling,
        stream=reader.stream if reader.model.config.model_type == "charbert" else "subword",
        max_length=reader.max_length,
        examples=examples,
        clean_sha256=attack.manifest.input.sha256,
        attacked_sha256=attack.manifest.output.sha256,
        attack=attack.info(),
        summary=tuple(Group.model_validate(row) for row in groups.where(groups.notna(), None).to_dict("records")),
        words_sha256="",
        wall_seconds=time.monotonic() - started,
        device=device_name(reader.model.device),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        provenance=provenance(),
    )


def _pairs(clean: NativeFile, attack: AttackSet, task: Task) -> Iterator[_Pair]:
    """Match clean and attacked examples. Raises InputError where ids or numbers of examples differ."""
    after = list(open_source(task, input=attack.folder / attack.manifest.output.name).examples())
    edits = attack.edits(after)
    rule = attack.manifest.suite.words
    for number, (before, attacked) in enumerate(zip_longest(clean.examples(), after)):
        if before is None or attacked is None or before.id != attacked.id:
            found, expected = f"another example {number} than the clean file has", "the same examples in the same order"
            fix = "Name the clean file that the attack read."
            raise InputError("--attacked", found=found, expected=expected, fix=fix)
        yield _pair(before, attacked, edits[number], task, rule)


def _pair(clean: Example, attacked: Example, edits: Edits, task: Task, rule: WordRule) -> _Pair:
    if task.family == "tagging":
        return _tokens(clean, attacked, edits, task.fields[0])
    names = [name for name in task.fields if isinstance(clean.fields.get(name), str)]
    before, after = (tuple(str(example.fields[name]) for name in names) for example in (clean, attacked))
    spans: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    words: list[_Word] = []
    for name, text, other in zip(names, before, after, strict=True):
        own = [edit for edit in edits if edit["field"] == name]
        spans.append(_spans(text, own, rule))
        hit = _operators((edit["word"], edit) for edit in own)
        words += [
            _Word(name, number, start, text[start:end], other[first:last], hit.get(number, ""))
            for number, ((start, end), (first, last)) in enumerate(
                zip(*(span.tolist() for span in spans[-1]), strict=True)
            )
        ]
    old, new = zip(*spans, strict=True)
    return _Pair(clean, Passage(texts=before, spans=old), Passage(texts=after, spans=new), words)


def _tokens(clean: Example, attacked: Example, edits: Edits, field: str) -> _Pair:
    before, after = (tuple(example.fields[field]) for example in (clean, attacked))
    starts = token_starts(before)
    hit = _operators((token_at(starts, edit["start_clean"]), edit) for edit in edits)
    words = [
        _Word(field, number, start, old, new, hit.get(number, ""))
        for number, (start, old, new) in enumerate(zip(starts, before, after, strict=True))
    ]
    return _Pair(clean, Passage(words=before), Passage(words=after), words)


def _spans(text: str, edits: Edits, rule: WordRule) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the words of a text stand before and after its edits, each [W, 2]."""
    words = find_words(Column.of([text.replace("\n", " ")]), rule, False)
    before = np.stack([words.starts, words.ends], axis=1)
    growth = np.zeros(len(before) + 1, np.int64)
    for edit in edits:
        growth[edit["word"] + 1] += len(edit["inserted"]) - len(edit["removed"])
    moved = np.cumsum(growth)
    return before, before + np.stack([moved[:-1], moved[1:]], axis=1)


def _operators(edits: Iterable[tuple[int, Mapping[str, Any]]]) -> dict[int, str]:
    """Return the operators that hit each word, by its number."""
    names: defaultdict[int, set[str]] = defaultdict(set)
    for word, edit in edits:
        names[word].add(edit["operator"])
    return {word: "+".join(sorted(own)) for word, own in names.items()}


def _measured(
    reader: WordReader, pairs: Sequence[_Pair], wanted: Sequence[str], batch_size: int, bar: Progress, total: int
) -> tuple[pd.DataFrame, tuple[Profile, ...]]:
    """Read examples chunk by chunk: vectors are dropped once distances are taken. A defence sees a whole file at once.

    Raises InputError where an example that is wanted was not read.
    """
    frames: list[pd.DataFrame] = []
    profiles: list[Profile] = []
    clean, attacked = ([getattr(pair, which) for pair in pairs] for which in ("clean", "attacked"))
    windows = zip(reader.windows(clean), reader.windows(attacked), strict=True)
    with bar:
        shown = bar.add_task("reading", total=total)
        for start in range(0, len(pairs), _CHUNK):
            chunk = pairs[start : start + _CHUNK]
            distances = _distances(reader, list(chain(*islice(windows, len(chunk)))), batch_size)
            frames.append(_frame(reader, chunk, distances))
            for (example, _, _, words), own in zip(chunk, distances, strict=True):
                if example.id in wanted:
                    profile = _profile((word.clean for word in words), (word.attacked for word in words), own)
                    profiles.append(Profile(id=example.id, row=example.row, words=profile))
            bar.advance(shown, len(chunk))
    for name in wanted:
        if name not in {profile.id for profile in profiles}:
            raise InputError("--profile", found=name, expected="the id of an example that is read",
                             fix="See `show` for ids.")  # fmt: skip
    return pd.concat(frames, ignore_index=True), tuple(profiles)


def _distances(reader: WordReader, windows: Sequence[PassageWindow], batch_size: int = 32) -> list[NDArray[np.float64]]:
    """Return the distances of the words of passages, clean and attacked in turn; NaN where a word was cut off."""
    read = reader.read_windows(windows, batch_size=batch_size)
    return [
        np.where((old.pieces > 0) & (new.pieces > 0), cosine_distances(old.vectors, new.vectors), np.nan)
        for old, new in zip(read[::2], read[1::2], strict=True)
    ]


def _frame(reader: WordReader, pairs: Sequence[_Pair], distances: Sequence[NDArray[np.float64]]) -> pd.DataFrame:
    words = [word for pair in pairs for word in pair.words]
    pieces = piece_counts(reader.kind.tokenizer, (form for word in words for form in (word.clean, word.attacked)))
    columns: dict[str, Any] = {
        "row": [pair.example.row for pair in pairs for _ in pair.words],
        "field": [word.field for word in words],
        "word": [word.number for word in words],
        "start": [word.start for word in words],
        "changed": [word.clean != word.attacked for word in words],
        "operator": [word.operator for word in words],
        "pieces_clean": [pieces[word.clean] for word in words],
        "pieces_attacked": [pieces[word.attacked] for word in words],
        "length": [len(word.clean) for word in words],
        "distance": np.concatenate(distances),
    }
    numbers = dict.fromkeys(("row", "word", "start", "pieces_clean", "pieces_attacked", "length"), "int32")
    return pd.DataFrame(columns, columns=list(WORD_COLUMNS)).astype(numbers)


def _profile(clean: Iterable[str], attacked: Iterable[str], distances: NDArray[np.float64]) -> tuple[ProfileWord, ...]:
    return tuple(
        ProfileWord(word=old, attacked=new, distance=None if np.isnan(distance) else float(distance))
        for old, new, distance in zip(clean, attacked, distances, strict=True)
    )


def profile_sentence(
    models: Sequence[str],
    clean: str,
    attacked: str,
    *,
    layer: int = -1,
    pooling: Pooling = "mean",
    stream: Stream = "both",
) -> pd.DataFrame:
    """Return how far each word of a sentence moves in each model (see `records.sensitivity.side_by_side`).

    `models` are folders of systems, whatever their task, or encoders as for `sensitivity`. Words stand between
    white space. Raises InputError for texts without words or of different numbers of words, for two models of one name,
    and for what `open_reader` refuses.
    """
    before, after = _WORD.findall(clean), _WORD.findall(attacked)
    if len(before) != len(after) or not before:
        expected, fix = f"{len(before) or 'some'}, as in the clean one", "Change words, but neither join nor part them."
        raise InputError("the attacked sentence", found=f"{len(after)} words", expected=expected, fix=fix)
    profiles: dict[str, Sequence[ProfileWord]] = {}
    for model in models:
        reader, info = open_reader(model, None, layer=layer, pooling=pooling, stream=stream)
        name = info.shown if isinstance(info, SystemInfo) else info.name
        if name in profiles:
            raise InputError(model, found=f"a second model called {name}", expected="different names",
                             fix="Leave one out.")  # fmt: skip
        passages = [_passage(text, words=reader.words) for text in (clean, attacked)]
        (distances,) = _distances(reader, list(reader.windows(passages)))
        profiles[name] = _profile(before, after, distances)
    return side_by_side(profiles)


def _passage(text: str, *, words: bool) -> Passage:
    if words:
        return Passage(words=tuple(_WORD.findall(text)))
    return Passage(texts=(text,), spans=(np.array([word.span() for word in _WORD.finditer(text)], np.int64),))
