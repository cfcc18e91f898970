"""The manifest beside an attacked file: what was asked for, of which data, and the counts of what was done."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from robustbench_char.attacks.suites import Strength, Suite
from robustbench_char.common import InputError
from robustbench_char.common.files import files_below, is_ours, safe_name, sha256_file, write_json
from robustbench_char.common.frozen import Frozen, lines_of, read_json_model
from robustbench_char.common.provenance import Provenance
from robustbench_char.common.seeds import StoredSeed
from robustbench_char.tasks.base import Task

__all__ = [
    "ANSWERS", "LEDGER", "MANIFEST", "SPELLINGS", "Manifest", "is_set", "manifest_beside", "manifest_of_training",
    "read_manifest", "sets_below",
]  # fmt: skip

MANIFEST, LEDGER, ANSWERS, SPELLINGS = "manifest.json", "edits.parquet", "answers.parquet", "spellings.parquet"

_LOG = logging.getLogger(__name__)
_FOREIGN = f"a {MANIFEST} of another program"


def _plain(name: str) -> str:
    if safe_name(name) != name:
        raise ValueError("the name of a file, no path")
    return name


class FileInfo(Frozen):
    """A file by name and content. `rows` are examples, or the rows of a ledger."""

    name: Annotated[str, AfterValidator(_plain)]
    sha256: str
    rows: int


class StrengthInfo(Frozen):
    """Strength as requested, and as it came out: edited words as a share of eligible ones (None for none).

    `character_error_rate` is the same in characters: `character_edits` / `characters` of the counts (None for no
    character, and in manifests of versions before 0.2).
    """

    requested: Strength
    effective: float | None
    character_error_rate: float | None = None

    def __str__(self) -> str:
        share = "no eligible word" if self.effective is None else f"{self.effective:.1%} of the eligible words"
        rate = self.character_error_rate
        return share if rate is None else f"{share}, character error rate {rate:.2%}"


class Counts(Frozen):
    """`attempted` words were chosen by the strength; those that no draw changed are `no_ops`.

    `spell_known_word` counts edits whose result, in lower case, is another word of the clean input. `characters` are
    the code points of the clean texts that were attacked, white space included; `character_edits` those that the edits
    insert, delete or substitute (the Levenshtein distance between what each removes and inserts, so 2 for a swap).
    """

    texts: int
    words: int
    eligible_words: int
    attempted: int
    edited_words: int
    edits: int
    no_ops: int
    spell_known_word: int
    by_operator: dict[str, int]
    characters: int | None = None
    character_edits: int | None = None


class Manifest(Frozen):
    """All that determines the attacked file, and the counts of what was done.

    `no_op_share` is no_ops / attempted (None for no attempt). `restored_md5` is that of a set of published operations,
    in the layout of `operations.Restored` (None elsewhere).
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    task: str
    task_record: Task
    suite: Suite
    suite_sha256: str
    seed: StoredSeed
    fields: tuple[str, ...]
    format: Literal["native", "jsonl", "parquet"]
    input: FileInfo
    output: FileInfo
    ledger: FileInfo
    answers: FileInfo | None = None
    spellings: FileInfo | None = None
    strength: StrengthInfo
    counts: Counts
    no_op_share: float | None
    restored_md5: str | None = None
    provenance: Provenance

    def __repr__(self) -> str:
        version = f" (version {self.suite.version})" if self.suite.version > 1 else ""
        listed, edits = self.suite.misspellings, sorted(self.counts.by_operator.items())
        return lines_of(
            f"Attacked set of {self.task}, {self.suite.name}{version}, seed {self.seed}",
            file=f"{self.output.name}, {self.output.rows:,} examples, attacked in {', '.join(self.fields)}",
            edited=f"{self.counts.edited_words:,} of {self.counts.words:,} words ({self.strength})",
            edits=", ".join(f"{name} {number:,}" for name, number in edits),
            list=f"{listed.name}, {listed.licence}" if listed else "",
        )

    __str__ = __repr__


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` into a folder that exists."""
    write_json(folder / MANIFEST, manifest.model_dump(mode="json", by_alias=True))


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of an attacked set. Raises InputError for a folder without one, or a wrong field."""
    path = folder / MANIFEST
    if not is_set(folder):
        found = _FOREIGN if path.is_file() else f"no {MANIFEST}"
        if below := sorted(inner.parent for inner in folder.glob(f"*/{MANIFEST}") if is_set(inner.parent)):
            fix = f"Name one of them, such as {below[0]}; the commands verify, show and evaluate go through all."
            raise _no_set(folder, f"{found}, but {len(below)} attacked sets below it", fix=fix)
        raise _no_set(folder, found)
    return read_json_model(path, Manifest, expected="a manifest that `attack` wrote", fix="Run the attack again.")


def is_set(folder: Path) -> bool:
    """Return whether a folder is an attacked set: it has a manifest of ours, or any beside a ledger."""
    path = folder / MANIFEST
    return path.is_file() and ((folder / LEDGER).is_file() or is_ours(path, "suite", "suite_sha256", "ledger"))


def manifest_beside(path: Path, sha256: str) -> Manifest | None:
    """Return the manifest of the attack that a file with this SHA-256 came out of, or None outside their folders.

    Raises InputError when file or ledger are not the ones that the manifest describes.
    """
    folder = path.parent
    if not is_set(folder) and not (folder / LEDGER).is_file():
        return None
    if not (folder / LEDGER).is_file():
        wanted = f"the ledger that belongs to {MANIFEST}"
        raise InputError(folder / LEDGER, found="no such file", expected=wanted, fix="Run the attack again.")
    manifest = read_manifest(folder)
    if path.name != manifest.output.name:
        found = "another file than the attacked one in a folder that `attack` wrote"
        fix = "Keep other files elsewhere, so that clean and attacked data cannot be mixed up."
        raise InputError(path, found=found, expected=manifest.output.name, fix=fix)
    for file, actual, expected in (
        (path, sha256, manifest.output),
        (folder / LEDGER, sha256_file(folder / LEDGER), manifest.ledger),
    ):
        if actual != expected.sha256:
            right = f"{expected.sha256}, as {MANIFEST} says"
            fix = "The file was altered after the attack: run the attack again."
            raise InputError(file, found=f"SHA-256 {actual}", expected=right, fix=fix)
    return manifest


def manifest_of_training(path: Path, sha256: str) -> Manifest | None:
    """Return the manifest of the attack that a file to train on came out of, with a warning, or None for a clean one.

    Raises InputError as `manifest_beside` does.
    """
    if (manifest := manifest_beside(path, sha256)) is not None:
        _LOG.warning("%s was attacked by %s: scores under its operators are marked", path, manifest.suite.name)
    return manifest


def sets_below(folder: Path) -> list[Path]:
    """Return the folder itself if it is an attacked set, else all sets below it (of a sweep, of suites), by name.

    Raises InputError where there is none.
    """
    if folder.is_file():
        raise _no_set(folder, "a file", fix="Give the folder that `attack` wrote it to.")
    if not folder.is_dir():
        raise _no_set(folder, "no such folder")
    if is_set(folder):
        return [folder]
    sets = [path.parent for path in files_below(folder, MANIFEST) if is_set(path.parent)]
    if not sets:
        found = _FOREIGN if (folder / MANIFEST).is_file() else f"no {MANIFEST} in it or below it"
        raise _no_set(folder, found)
    return sorted(sets)


def _no_set(folder: Path, found: str, *, fix: str = "Check the path, or run the attack again.") -> InputError:
    return InputError(folder, found=found, expected="a folder that `attack` wrote", fix=fix)
