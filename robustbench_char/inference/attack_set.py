"""The attack that a file went through, as read from the manifest, ledger and clean answers that stand beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from robustbench_char.attack_sets.manifest import ANSWERS, LEDGER, MANIFEST, Manifest, read_manifest
from robustbench_char.attack_sets.write import source_sha256
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.metrics.metrics import QaGold
from robustbench_char.records.evaluation import AttackInfo
from robustbench_char.tasks.base import Example, NativeFile, Task

__all__ = ["AttackSet", "attack_set_of", "matching_attack"]

_EDIT_KEYS = (
    "field", "word", "operator", "start_clean", "start_attacked", "removed", "inserted", "word_before", "word_after",
)  # fmt: skip
_SHARED = "context:"
"""How the ledger's ids begin for a context that several questions share; it stands once, in the row of the first."""


@dataclass(frozen=True)
class AttackSet:
    """An attacked file's folder, checked against its manifest."""

    folder: Path
    manifest: Manifest

    def info(self) -> AttackInfo:
        """Return what a record says about the attack."""
        manifest = self.manifest
        return AttackInfo(
            suite=manifest.suite.name,
            suite_sha256=manifest.suite_sha256,
            seed=manifest.seed,
            clean_sha256=manifest.input.sha256,
            requested_strength=manifest.strength.requested.rate,
            effective_strength=manifest.strength.effective,
            eligible_words=manifest.counts.eligible_words,
            edits=manifest.counts.edits,
            words=manifest.counts.words,
            no_op_share=manifest.no_op_share,
            counts_by_operator=manifest.counts.by_operator,
        )

    def edits(self, examples: Sequence[Example]) -> list[list[dict[str, Any]]]:
        """Return the ledger's edits of each example; those of a shared context for every question that has it."""
        own: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
        shared: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
        for entry in pq.read_table(self.folder / LEDGER, columns=["row", "id", *_EDIT_KEYS]).to_pylist():
            target = shared if entry["field"] == "context" and entry["id"].startswith(_SHARED) else own
            target[entry["row"]].append({key: entry[key] for key in _EDIT_KEYS})
        by_context = {example.fields["context"]: shared[example.row] for example in examples if example.row in shared}
        return [own[example.row] + by_context.get(example.fields.get("context", ""), []) for example in examples]

    def clean_golds(self, examples: Sequence[Example]) -> list[QaGold] | None:
        """Return the answers as the clean contexts spell them, or None where contexts were not attacked."""
        if not (self.folder / ANSWERS).is_file():
            return None
        answers = {example.row: [answer.text for answer in example.answers] for example in examples}
        for entry in pq.read_table(self.folder / ANSWERS, columns=["row", "kind", "index", "text_clean"]).to_pylist():
            if entry["kind"] == "answer" and entry["row"] in answers:  # `examples` may be the first ones alone
                answers[entry["row"]][entry["index"]] = entry["text_clean"]
        return [QaGold(tuple(answers[example.row])) for example in examples]


def attack_set_of(path: Path, sha256: str) -> AttackSet | None:
    """Return the attack that a file with this SHA-256 came out of, or None outside the folders of attacks.

    Raises InputError when file or ledger are not the ones that the manifest describes.
    """
    folder = path.parent
    if not (folder / MANIFEST).is_file() and not (folder / LEDGER).is_file():
        return None
    if not (folder / LEDGER).is_file():
        raise InputError(
            folder / LEDGER,
            found="no such file",
            expected=f"the ledger that belongs to {MANIFEST}",
            fix="Run the attack again.",
        )
    manifest = read_manifest(folder)
    if path.name != manifest.output.name:
        raise InputError(
            path,
            found="another file than the attacked one in a folder that `attack` wrote",
            expected=manifest.output.name,
            fix="Keep other files elsewhere, so that clean and attacked data cannot be mixed up.",
        )
    for file, found, expected in (
        (path, sha256, manifest.output),
        (folder / LEDGER, sha256_file(folder / LEDGER), manifest.ledger),
    ):
        if found != expected.sha256:
            raise InputError(
                file,
                found=f"SHA-256 {found}",
                expected=f"{expected.sha256}, as {MANIFEST} says",
                fix="The file was altered after the attack: run the attack again.",
            )
    return AttackSet(folder, manifest)


def matching_attack(folder: Path, clean: NativeFile, task: Task) -> AttackSet:
    """Return the attack on a clean file that `attack` wrote into a folder.

    Raises InputError for a folder that is none or was altered, another task's, or one of another clean file.
    """
    manifest = read_manifest(folder)
    path = folder / manifest.output.name
    if not path.is_file():
        raise InputError(path, found="no such file", expected="the attacked file that the manifest names",
                         fix="Run the attack again.")  # fmt: skip
    attack = attack_set_of(path, source_sha256(path))
    if attack is None or manifest.task != task.name:
        raise InputError("--attacked", found=f"an attacked set of {manifest.task}", expected=f"one of {task.name}",
                         fix="Name the task of the data.")  # fmt: skip
    if manifest.input.sha256 != source_sha256(clean.path):
        raise InputError(
            "--input",
            found="another file than the one that was attacked",
            expected=f"{manifest.input.name} with SHA-256 {manifest.input.sha256}",
            fix="Name the clean file that the attack read.",
        )
    return attack
