"""Attacking a file, which gives a folder with attacked file, ledger and manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Literal, Unpack

from robustbench_char.attack_sets.manifest import (
    ANSWERS,
    LEDGER,
    MANIFEST,
    SPELLINGS,
    FileInfo,
    Manifest,
    StrengthInfo,
    is_set,
    read_manifest,
    write_manifest,
)
from robustbench_char.attack_sets.replay import SPELLING_COLUMNS, Ledger, spellings_of
from robustbench_char.attack_sets.stream import Attack, Tally, attack_blocks
from robustbench_char.attacks.ledger import ledger_schema
from robustbench_char.attacks.suites import Suite
from robustbench_char.common import InputError
from robustbench_char.common.files import output_folder, safe_name, sha256_bytes, sha256_file
from robustbench_char.common.process import cycles_kept
from robustbench_char.common.provenance import provenance
from robustbench_char.tasks.base import AttackedBlock, Example, NativeFile, Task
from robustbench_char.tasks.formats import open_native
from robustbench_char.tasks.formats.table import write_table
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import Input, NamedSource, as_read, open_source

__all__ = ["attack_file", "source_sha256"]

OutputFormat = Literal["native", "jsonl", "parquet"]
ANSWER_COLUMNS = ("row", "id", "kind", "index", "start_clean", "text_clean", "start_attacked", "text_attacked")
"""Columns of `answers.parquet`: the clean answers where contexts were attacked. `kind`: `answer` or `plausible`."""


def attack_file(
    task: str | Path | Task,
    input: Input | None = None,
    *,
    suite: str | Path | Suite,
    output: str | Path,
    operations: str | Path | None = None,
    seed: int = 0,
    fields: Iterable[str] | None = None,
    workers: int = 1,
    format: OutputFormat = "native",
    overwrite: bool = False,
    **source: Unpack[NamedSource],
) -> Manifest:
    """Write an attacked file, its ledger (edits.parquet) and its manifest to the folder `output`; return the manifest.

    The clean data are the file or rows `input`, or what `data`, `hub`, `split` and `data_dir` name, as in
    `open_source`. `operations` is a file of published edit operations, which take the place of draws; `suite` then
    names its declaration (`nat2021_typos`; `operations` for any other). `workers` are processes; the bytes are the same
    for any number. Raises InputError for bad input, for operations that do not fit the file, and where `output` holds
    something else (unless `overwrite`); nothing half-written stays.

    >>> made = attack_file("conll2003", data="mini", split="test", suite="charbert_2020", seed=1, output="attacked")
    >>> made.output.name, made.counts.words, made.counts.edited_words
    ('test.txt', 3779, 1901)
    """
    record = as_read(get_task(task), source)
    file = open_source(record, input=input, **source)
    request = Attack.of(record, suite, seed, fields, operations)
    refuse_other_request(request, Path(output), format, overwrite)
    return write_set(request, file, Path(output), format=format, workers=workers, overwrite=overwrite)


def write_set(
    request: Attack, file: NativeFile, folder: Path, *, format: OutputFormat, workers: int = 1, overwrite: bool = False,
    beside: Callable[[Path], object] | None = None, volatile: tuple[str, ...] = (), inputs: Iterable[Path] = (),
) -> Manifest:  # fmt: skip
    """Write an attacked set as `attack_file` does; `beside` writes further files into its folder.

    `volatile` names those of them that may differ where nothing else does; no output may replace `inputs`.
    """
    kept = [file.path, *inputs, *([request.operations.path] if request.operations else [])]
    changing = (MANIFEST, *volatile)
    with cycles_kept(), output_folder(folder, overwrite=overwrite, volatile=changing, inputs=kept) as scratch:
        manifest = _write_set(request, file, scratch, format, workers)
        write_manifest(scratch, manifest)
        if beside is not None:
            beside(scratch)
    return manifest


def _write_set(attack: Attack, source: NativeFile, folder: Path, file_format: OutputFormat, workers: int) -> Manifest:
    """Write the attacked file, the ledger and, where contexts are attacked, the clean answers."""
    import pyarrow.parquet as pq

    target, tally = folder / _output_name(source.path, file_format), Tally()
    answers: list[tuple[object, ...]] | None = [] if "context" in attack.fields else None
    with pq.ParquetWriter(folder / LEDGER, ledger_schema(), compression="zstd") as ledger:
        attacked = attack_blocks(attack, source, tally, ledger.write_table, workers=workers)
        if answers is not None:
            attacked = _noting_answers(attacked, answers)
        if file_format == "native":
            with target.open("wb") as out:
                source.rewrite(out, attacked)
                next(attacked, None)  # the checks at the end of an attack
        else:
            write_table(attack.task, target, chain.from_iterable(block.examples() for block in attacked))
    if tally.examples == 0:
        raise InputError(source.path, found="no example", expected="at least one example", fix="Check the file.")
    manifest = _manifest(attack, source, target, tally, file_format)
    if answers is None:
        return manifest
    kept = {"answers": _write_beside(folder / ANSWERS, ANSWER_COLUMNS, answers)}
    if file_format == "native" and source.spells_freely():
        kept |= _written_spellings(attack, source, target)
    return manifest.model_copy(update=kept)


def _noting_answers(attacked: Iterator[AttackedBlock], answers: list[tuple[object, ...]]) -> Iterator[AttackedBlock]:
    for block in attacked:
        for clean, item in zip(block.block.examples, block.items, strict=True):
            answers += answer_rows(clean, item.example)
        yield block


def answer_rows(clean: Example, attacked: Example) -> Iterator[tuple[object, ...]]:
    """Yield the rows of `answers.parquet` for one example."""
    pairs = {"answer": (clean.answers, attacked.answers), "plausible": (clean.plausible, attacked.plausible)}
    for kind, answers in pairs.items():
        for index, (before, after) in enumerate(zip(*answers, strict=True)):
            yield (clean.row, clean.id, kind, index, *before, *after)


def _written_spellings(attack: Attack, source: NativeFile, target: Path) -> dict[str, FileInfo]:
    """Write `spellings.parquet`, unless undoing the edits of the ledger gives the clean file's spelling of its own."""
    attacked, ledger = open_native(attack.task, target), Ledger(target.parent)
    found = spellings_of(attack.task, source, attacked, ledger)
    rows = [(number, spelling.decode()) for number, spelling in found.items()]
    return {"spellings": _write_beside(target.parent / SPELLINGS, SPELLING_COLUMNS, rows)} if rows else {}


def _write_beside(path: Path, columns: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> FileInfo:
    """Write a table of an attacked set."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    values = zip(*rows, strict=True) if rows else [()] * len(columns)
    pq.write_table(pa.table(dict(zip(columns, map(list, values), strict=True))), path)
    return FileInfo(name=path.name, sha256=sha256_file(path), rows=len(rows))


def source_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and hashes of the trees in a folder."""
    if path.is_file():
        return sha256_file(path)
    files = sorted(file for file in path.rglob("*.mrg") if file.is_file())
    lines = (f"{file.relative_to(path).as_posix()} {sha256_file(file)}" for file in files)
    return sha256_bytes("\n".join(lines).encode())


def _output_name(path: Path, file_format: OutputFormat) -> str:
    name = safe_name(path.name)
    if file_format != "native":
        name = f"{Path(name).stem}.{file_format}"
    elif path.is_dir():
        name = f"{name}.txt"  # a folder of trees is written as columns
    return f"data-{name}" if name in (MANIFEST, LEDGER, ANSWERS, SPELLINGS) else name


def refuse_other_request(attack: Attack, output: Path, file_format: OutputFormat, overwrite: bool) -> None:
    """Say at once, before any work, that the folder holds an attack with another suite, seed or task."""
    if overwrite or not is_set(output):
        return
    old = read_manifest(output)
    before = old.task, old.suite_sha256, old.seed, old.fields, old.format
    now = attack.task.name, attack.suite.sha256, attack.seed, attack.fields, file_format
    names = ("task", "suite", "seed", "fields", "format")
    if changed := [name for name, one, other in zip(names, before, now, strict=True) if one != other]:
        fix = "Choose another --output, or add --overwrite to replace it."
        raise InputError(output, found=f"an attacked set with another {changed[0]}", expected="a new folder", fix=fix)


def _spell_known_word(ledger: Path, known: set[str]) -> int:
    """Count the edits whose result, in lower case, is another word of the clean input."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    words, total = pa.array(sorted(known), pa.string()), 0
    for batch in pq.ParquetFile(ledger).iter_batches(columns=["word_before", "word_after"]):
        after = pc.utf8_lower(batch["word_after"])
        spelled = pc.is_in(after, words)
        total += (
            pc.sum(pc.not_equal(pc.utf8_lower(batch["word_before"].filter(spelled)), after.filter(spelled))).as_py()
            or 0
        )
    return int(total)


def _manifest(attack: Attack, source: NativeFile, target: Path, tally: Tally, file_format: OutputFormat) -> Manifest:
    ledger = target.parent / LEDGER
    counts = tally.counts(_spell_known_word(ledger, tally.known))
    effective = counts.edited_words / counts.eligible_words if counts.eligible_words else None
    rate = tally.numbers["character_edits"] / tally.numbers["characters"] if tally.numbers["characters"] else None
    return Manifest(
        task=attack.task.name,
        task_record=attack.task,
        suite=attack.suite,
        suite_sha256=attack.suite.sha256,
        seed=attack.seed,
        fields=attack.fields,
        format=file_format,
        input=FileInfo(name=safe_name(source.path.name), sha256=source_sha256(source.path), rows=tally.examples),
        output=FileInfo(name=target.name, sha256=sha256_file(target), rows=tally.examples),
        ledger=FileInfo(name=LEDGER, sha256=sha256_file(ledger), rows=counts.edits),
        strength=StrengthInfo(requested=attack.suite.strength, effective=effective, character_error_rate=rate),
        counts=counts,
        no_op_share=counts.no_ops / counts.attempted if counts.attempted else None,
        restored_md5=tally.restored_md5,
        provenance=provenance(),
    )
