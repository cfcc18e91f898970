"""Measuring sensitivity S: clean and attacked examples read by one model, their words matched by the ledger."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rich.progress import Progress

from robustbench_char.attacks.eligibility import find_words
from robustbench_char.attacks.suites import WordRule
from robustbench_char.common import InputError
from robustbench_char.common.files import output_folder, sha256_file
from robustbench_char.common.progress import progress_bar
from robustbench_char.common.provenance import provenance
from robustbench_char.inference.attack_set import (
    AttackSet,
    Edits,
    matching_attack,
    piece_counts,
    token_at,
    token_starts,
)
from robustbench_char.inference.load_system import device_name, load_system
from robustbench_char.metrics.sensitivity import WORD_COLUMNS, cosine_distances, summary_frame
from robustbench_char.models.charbert import CharBertConfig
from robustbench_char.models.charbert.system import CharBertSystem
from robustbench_char.models.checkpoints import load_config, resolve_base
from robustbench_char.models.encoder_system import EncoderSystem
from robustbench_char.models.encoders import limits_of, read_encoder
from robustbench_char.models.representations import Passage, Pooling, Stream, WordReader
from robustbench_char.models.system import Limits, System
from robustbench_char.records.sensitivity import (
    SENSITIVITY,
    WORDS,
    Group,
    ModelInfo,
    Profile,
    ProfileWord,
    SensitivityRecord,
    write_sensitivity,
)
from robustbench_char.tasks.base import Example, NativeFile, Task
from robustbench_char.tasks.sources import open_source
from robustbench_char.text.columns import Column
from robustbench_char.training.saved_system import SYSTEM, system_info

__all__ = ["Sensitivity", "measure_sensitivity", "open_reader"]

_CHUNK = 256  # examples whose vectors are held at a time
_LONGEST = 512


class Sensitivity(NamedTuple):
    """A measurement: its record, the table of words (WORD_COLUMNS), and the profiles that were asked for."""

    record: SensitivityRecord
    words: pd.DataFrame
    profiles: tuple[Profile, ...]


class _Words(NamedTuple):
    """The words of one example, clean and attacked: field, number and clean start in it, text, and what hit them."""

    fields: list[str]
    numbers: list[int]
    starts: list[int]
    clean: list[str]
    attacked: list[str]
    operators: list[str]


class _Pair(NamedTuple):
    example: Example
    clean: Passage
    attacked: Passage
    words: _Words


def open_reader(
    model: str,
    task: Task | None,
    *,
    layer: int = -1,
    pooling: Pooling = "mean",
    stream: Stream = "both",
    max_length: int | None = None,
) -> tuple[WordReader, Any]:
    """Return a reader of words, and what records say of the model (SystemInfo or ModelInfo).

    `model` is a folder that `finetune` wrote, any encoder's folder, a hub id, or `minilm`; without a task it may be a
    system of any, and an encoder reads words one by one. Raises InputError for one that cannot be used, and for a
    system of another task.
    """
    if (Path(model).expanduser() / SYSTEM).is_file():
        system = load_system(Path(model).expanduser())
        if task is not None and system.file.task.name != task.name:
            raise InputError(
                "--task",
                found=task.name,
                expected=f"{system.file.task.name}, which the system was fine-tuned on",
                fix="Name the system's own task, or another system.",
            )
        length = max_length or system.file.settings.max_length
        encoder, words = system.model.base_model, system.file.task.family == "tagging"
        return WordReader(encoder, system.kind, length, layer, pooling, stream, words), system_info(system.file)
    words = task is None or task.family == "tagging"
    base = resolve_base(model, any_type=True)
    kind, limits = _plain_kind(base.folder, words)
    plain: Any = read_encoder(base.folder)
    on_device = plain.to(torch.accelerator.current_accelerator() or torch.device("cpu"))
    length = max_length or min(_LONGEST * limits.scale, limits.longest)
    reader = WordReader(on_device.eval(), kind, length, layer, pooling, stream, words)
    return reader, ModelInfo(name=base.name, weights_sha256=base.weights_sha256)


def _plain_kind(folder: Path, words: bool) -> tuple[System, Limits]:
    """Return how texts are read for an encoder that was not fine-tuned, and how much of them."""
    config = load_config(folder)
    if config.model_type == CharBertConfig.model_type:
        return CharBertSystem.open(folder, words=words), CharBertSystem.limits(folder)
    kind = EncoderSystem.open(folder, words=words)
    return kind, limits_of(config, kind.tokenizer, folder)


def measure_sensitivity(
    model: str,
    clean: NativeFile,
    attacked: Path,
    task: Task,
    *,
    output: Path | None = None,
    layer: int = -1,
    pooling: Pooling = "mean",
    stream: Stream = "both",
    max_length: int | None = None,
    limit: int | None = None,
    batch_size: int = 32,
    profiles: Sequence[str] = (),
    label: str | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Sensitivity:
    """Measure how far each word of a clean file moves under an attack, and write the result to `output`.

    `attacked` is the folder that `attack` wrote for this very file. `limit` keeps the first examples, `profiles` names
    examples (by id) whose words are written out as text. `label` is how the result calls a saved system (default: as
    system.json says). Raises InputError for an unusable model, files that do not
    belong together, a layer or stream that the model does not have, and an unknown id.
    """
    started = time.monotonic()
    reader, info = open_reader(model, task, layer=layer, pooling=pooling, stream=stream, max_length=max_length)
    if label is not None and not isinstance(info, ModelInfo):
        info = info.model_copy(update={"label": label})
    attack = matching_attack(attacked, clean, task)
    pairs = islice(_pairs(clean, attack, task), limit)
    total = min(attack.manifest.output.rows, limit or attack.manifest.output.rows)
    frames, found = _measured(reader, pairs, batch_size, set(profiles), progress_bar(progress), total)
    missing = [name for name in profiles if name not in {one.id for one in found}]
    if missing:
        raise InputError(
            "--profile", found=missing[0], expected="the id of an example that is read", fix="See `show` for ids."
        )
    words = pd.concat(frames, ignore_index=True)
    summary = tuple(Group(**row) for row in _records(summary_frame(words)))
    values: dict[str, Any] = {
        "task": task.name,
        "system" if not isinstance(info, ModelInfo) else "model": info,
        "layer": layer,
        "pooling": pooling,
        "stream": stream if reader.model.config.model_type == "charbert" else "subword",
        "max_length": reader.max_length,
        "examples": total,
        "clean_sha256": attack.manifest.input.sha256,
        "attacked_sha256": attack.manifest.output.sha256,
        "attack": attack.info(),
        "summary": summary,
        "device": device_name(reader.model.device),
    }
    if output is None:
        return Sensitivity(_record(values, "", started), words, tuple(found))
    with output_folder(output, overwrite=overwrite, inputs=(clean.path, attacked), volatile=(SENSITIVITY,)) as folder:
        words.to_parquet(folder / WORDS, index=False, compression="zstd")
        record = _record(values, sha256_file(folder / WORDS), started)
        write_sensitivity(folder, record, tuple(found))
    return Sensitivity(record, words, tuple(found))


def _record(values: dict[str, Any], words_sha256: str, started: float) -> SensitivityRecord:
    return SensitivityRecord(
        **values,
        words_sha256=words_sha256,
        wall_seconds=time.monotonic() - started,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        provenance=provenance(),
    )


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows with None where a number is missing."""
    return [{str(key): None if pd.isna(value) else value for key, value in row.items()} for row in
            frame.astype(object).to_dict("records")]  # fmt: skip


def _pairs(clean: NativeFile, attack: AttackSet, task: Task) -> Iterator[_Pair]:
    """Match clean and attacked examples. Raises InputError where ids or numbers of examples differ."""
    after = list(open_source(task, input=attack.folder / attack.manifest.output.name).examples())
    edits = attack.edits(after)
    rule = attack.manifest.suite.words
    for number, (one, other) in enumerate(zip_longest(clean.examples(), after)):
        if one is None or other is None or one.id != other.id:
            raise InputError(
                "--attacked",
                found=f"another example {number} than the clean file has",
                expected="the same examples in the same order",
                fix="Name the clean file that the attack read.",
            )
        yield _pair(one, other, edits[number], task, rule)


def _pair(clean: Example, attacked: Example, edits: Edits, task: Task, rule: WordRule) -> _Pair:
    tokens = [clean.fields[name] for name in task.fields if isinstance(clean.fields.get(name), tuple)]
    if tokens:
        return _tokens(clean, attacked, edits, task.fields[0])
    names = [name for name in task.fields if isinstance(clean.fields.get(name), str)]
    before, after = (tuple(str(one.fields[name]) for name in names) for one in (clean, attacked))
    spans = [_spans(text, [edit for edit in edits if edit["field"] == name], rule)
             for name, text in zip(names, before, strict=True)]  # fmt: skip
    words = _Words([], [], [], [], [], [])
    for name, text, other, (old, new, hit) in zip(names, before, after, spans, strict=True):
        words.fields.extend([name] * len(old))
        words.numbers.extend(range(len(old)))
        words.starts.extend(old[:, 0].tolist())
        words.clean.extend(text[start:end] for start, end in old.tolist())
        words.attacked.extend(other[start:end] for start, end in new.tolist())
        words.operators.extend(hit)
    return _Pair(
        clean,
        Passage(texts=before, spans=tuple(old for old, _, _ in spans)),
        Passage(texts=after, spans=tuple(new for _, new, _ in spans)),
        words,
    )


def _tokens(clean: Example, attacked: Example, edits: Edits, field: str) -> _Pair:
    before, after = (tuple(one.fields[field]) for one in (clean, attacked))
    starts = token_starts(before)
    hit = _operators((token_at(starts, edit["start_clean"]), edit) for edit in edits)
    operators = [hit.get(place, "") for place in range(len(before))]
    words = _Words([field] * len(before), list(range(len(before))), starts, list(before), list(after), operators)
    return _Pair(clean, Passage(words=before), Passage(words=after), words)


def _spans(text: str, edits: Edits, rule: WordRule) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Return the words of a text, before and after its edits [W, 2], and the operators that hit each."""
    found = find_words(Column.of([text.replace("\n", " ")]), rule, None)
    before = np.stack([found.starts, found.ends], axis=1)
    growth = np.zeros(len(before) + 1, np.int64)
    for edit in edits:
        growth[edit["word"] + 1] += len(edit["inserted"]) - len(edit["removed"])
    moved = np.cumsum(growth)
    hit = _operators((edit["word"], edit) for edit in edits)
    after = before + np.stack([moved[:-1], moved[1:]], axis=1)
    return before, after, [hit.get(place, "") for place in range(len(before))]


def _operators(edits: Iterator[tuple[int, Mapping[str, Any]]]) -> dict[int, str]:
    found: defaultdict[int, list[str]] = defaultdict(list)
    for place, edit in edits:
        found[place].append(edit["operator"])
    return {place: "+".join(sorted(set(names))) for place, names in found.items()}


def _measured(
    reader: WordReader, pairs: Iterator[_Pair], batch_size: int, wanted: set[str], bar: Progress, total: int
) -> tuple[list[pd.DataFrame], list[Profile]]:
    """Read examples chunk by chunk: vectors are dropped once distances are taken."""
    frames: list[pd.DataFrame] = []
    profiles: list[Profile] = []
    with bar:
        task = bar.add_task("reading", total=total)
        while chunk := list(islice(pairs, _CHUNK)):
            distances = _distances(reader, chunk, batch_size)
            frames.append(_frame(reader, chunk, distances))
            both = zip(chunk, distances, strict=True)
            profiles += [_profile(pair, found) for pair, found in both if pair.example.id in wanted]
            bar.advance(task, len(chunk))
    return frames, profiles


def _distances(reader: WordReader, pairs: Sequence[_Pair], batch_size: int) -> list[NDArray[np.float64]]:
    """Return the distance of each word of each example, NaN where it was cut off on either side."""
    read = reader.read([one for pair in pairs for one in (pair.clean, pair.attacked)], batch_size=batch_size)
    return [
        np.where((old.pieces > 0) & (new.pieces > 0), cosine_distances(old.vectors, new.vectors), np.nan)
        for old, new in zip(read[::2], read[1::2], strict=True)
    ]


def _frame(reader: WordReader, pairs: Sequence[_Pair], distances: Sequence[NDArray[np.float64]]) -> pd.DataFrame:
    words = [pair.words for pair in pairs]
    pieces = piece_counts(reader.kind.tokenizer, (one for some in words for one in (*some.clean, *some.attacked)))
    columns: dict[str, Any] = {
        "row": [pair.example.row for pair in pairs for _ in pair.words.clean],
        "field": [name for some in words for name in some.fields],
        "word": [number for some in words for number in some.numbers],
        "start": [start for some in words for start in some.starts],
        "changed": [a != b for some in words for a, b in zip(some.clean, some.attacked, strict=True)],
        "operator": [name for some in words for name in some.operators],
        "pieces_clean": [pieces[word] for some in words for word in some.clean],
        "pieces_attacked": [pieces[word] for some in words for word in some.attacked],
        "length": [len(word) for some in words for word in some.clean],
        "distance": np.concatenate(distances) if distances else [],
    }
    numbers = dict.fromkeys(("row", "word", "start", "pieces_clean", "pieces_attacked", "length"), "int32")
    return pd.DataFrame(columns, columns=list(WORD_COLUMNS)).astype(numbers)


def _profile(pair: _Pair, distances: NDArray[np.float64]) -> Profile:
    words = tuple(
        ProfileWord(word=old, attacked=new, distance=None if np.isnan(distance) else float(distance))
        for old, new, distance in zip(pair.words.clean, pair.words.attacked, distances, strict=True)
    )
    return Profile(id=pair.example.id, row=pair.example.row, words=words)
