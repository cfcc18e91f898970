"""What `fragility --output` writes: a typed record of what a tokenizer splits, and of what one deletion does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from robustbench_char.common.frozen import Frozen, read_json_model
from robustbench_char.common.provenance import Provenance

__all__ = ["FRAGILITY", "Deletions", "FragilityRecord", "find_fragility"]

FRAGILITY = "fragility.json"


class Deletions(Frozen):
    """What one deletion does to the pieces of nouns (see `metrics.fragility.deletion_frame`).

    Shares of `words` in [0, 1]: `split` before, `none_shared` after; means over words: `pieces_changed`,
    `characters_changed`. None where there are no words.
    """

    group: str
    words: int
    split: float | None
    none_shared: float | None
    pieces_changed: float | None
    characters_changed: float | None


class FragilityRecord(Frozen):
    """One tokenizer measured on the words of one tagging file. Numbers alone, no text.

    `split_words` and `split_entities` are shares in [0, 1], None where there are none. `nouns` counts each occurrence,
    `noun_types` each distinct noun with its first deletion; both are empty where the file has no tags of nouns.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    task: str
    tokenizer: str
    source: str
    source_sha256: str
    seed: int
    words: int
    split_words: float | None
    entities: int
    split_entities: float | None
    noun_tags: tuple[str, ...]
    nouns: tuple[Deletions, ...]
    noun_types: tuple[Deletions, ...]
    created: str
    provenance: Provenance


def find_fragility(folders: Sequence[Path]) -> list[FragilityRecord]:
    """Return every record below the folders, in sorted order, each once; there may be none.

    Raises InputError that names file and field, also for a record of a newer version.
    """
    paths = [path for folder in folders for path in sorted(folder.rglob(FRAGILITY))]
    expected, fix = "a record that `fragility --output` wrote", "Run `robustbench-char fragility` again."
    records = [read_json_model(path, FragilityRecord, expected=expected, fix=fix) for path in paths]
    return list({record.model_dump_json(): record for record in records}.values())
