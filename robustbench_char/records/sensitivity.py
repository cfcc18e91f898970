"""What `sensitivity` and `fragility` write: how far an attack moves words in a model, and what a tokenizer splits.

`sensitivity.json` stores a summary, `words.parquet` beside it the table of all words, `profile.json` the words of
chosen examples. `fragility.json` stores the shares of split words, and what one deletion does to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, PrivateAttr

from robustbench_char.common.files import write_json
from robustbench_char.common.frozen import Frozen, read_json_model
from robustbench_char.common.provenance import Provenance
from robustbench_char.common.seeds import StoredSeed
from robustbench_char.metrics.sensitivity import WORD_COLUMNS
from robustbench_char.records.evaluation import AttackInfo, SystemInfo
from robustbench_char.records.published import find_results, read_table
from robustbench_char.records.readable import fragility_lines, sensitivity_lines

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "FRAGILITY", "PROFILE", "SENSITIVITY", "WORDS", "Deletions", "FragilityRecord", "Group", "ModelInfo", "Profile",
    "ProfileWord", "SensitivityRecord", "find_fragility", "find_sensitivities", "read_profiles", "read_words",
    "side_by_side", "summary_of", "write_sensitivity",
]  # fmt: skip

SENSITIVITY, WORDS, PROFILE, FRAGILITY = "sensitivity.json", "words.parquet", "profile.json", "fragility.json"
_EXPECTED, _FIX = "a file that `sensitivity` wrote", "Run `robustbench-char sensitivity` again."


class ModelInfo(Frozen):
    """An encoder that is not a saved system of ours: what it was loaded by (never a path), and its weights."""

    name: str
    weights_sha256: str


class Group(Frozen):
    """One row of the summary (see `metrics.sensitivity.summary_frame`)."""

    group: str
    value: str
    words: int
    left_out: int
    s: float | None
    low: float | None
    high: float | None
    half: float | None
    note: str = ""


class SensitivityRecord(Frozen):
    """One measurement of S. `system` is None for a plain encoder, which `model` names; `examples` were read.

    `words_sha256` is that of the table of words beside it.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    task: str
    system: SystemInfo | None = None
    model: ModelInfo | None = None
    layer: int
    pooling: Literal["mean", "first"]
    stream: Literal["both", "subword", "character"]
    max_length: int
    examples: int
    clean_sha256: str
    attacked_sha256: str
    attack: AttackInfo
    summary: tuple[Group, ...]
    words_sha256: str
    wall_seconds: float
    device: str
    created: str
    provenance: Provenance

    _variant: str = PrivateAttr("")

    @property
    def shown(self) -> str:
        """The name that reports call the system or model by; of one that was measured in several ways, with its own."""
        name = self.system.shown if self.system else self.model.name if self.model else ""
        return f"{name} ({self._variant})" if self._variant else name

    def varied(self, variant: str) -> SensitivityRecord:
        """Return the same measurement under a name that says what sets it apart (see `analysis.variants`)."""
        copy = self.model_copy()
        copy._variant = variant
        return copy

    def __repr__(self) -> str:
        return sensitivity_lines(self)

    __str__ = __repr__

    def group(self, group: str, value: str) -> Group | None:
        """Return one row of the summary, or None where there is no such word."""
        return next((row for row in self.summary if (row.group, row.value) == (group, value)), None)


class ProfileWord(Frozen):
    """One word of a sentence, clean and attacked; `distance` is None where it was cut off."""

    word: str
    attacked: str
    distance: float | None


class Profile(Frozen):
    """The words of one example. These are texts: of licensed data they must not be published."""

    id: str
    row: int
    words: tuple[ProfileWord, ...]


class _Profiles(Frozen):
    schema_version: Literal[1] = Field(1, alias="schema")
    profiles: tuple[Profile, ...]


class Deletions(Frozen):
    """What one deletion does to the pieces of nouns (see `metrics.fragility.deletions`).

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
    seed: StoredSeed
    words: int
    split_words: float | None
    entities: int
    split_entities: float | None
    noun_tags: tuple[str, ...]
    nouns: tuple[Deletions, ...]
    noun_types: tuple[Deletions, ...]
    created: str
    provenance: Provenance

    def __repr__(self) -> str:
        return fragility_lines(self)

    __str__ = __repr__


def write_sensitivity(folder: Path, record: SensitivityRecord, profiles: tuple[Profile, ...]) -> None:
    """Write the record, and profiles where there are any, into a folder that holds the table of words."""
    if profiles:
        write_json(folder / PROFILE, _Profiles(profiles=profiles).model_dump(mode="json", by_alias=True))
    write_json(folder / SENSITIVITY, record.model_dump(mode="json", by_alias=True))


def find_sensitivities(folders: list[Path]) -> list[tuple[Path, SensitivityRecord]]:
    """Return every measurement below the folders with the folder it stands in, in sorted order; there may be none.

    Raises InputError that names file and field, also for a record of a newer version.
    """
    return find_results(folders, SENSITIVITY, SensitivityRecord, expected=_EXPECTED, fix=_FIX)


def find_fragility(folders: Sequence[Path]) -> list[FragilityRecord]:
    """Return every record below the folders, in sorted order, each once; there may be none.

    Raises InputError that names file and field, also for a record of a newer version.
    """
    expected, fix = "a record that `fragility --output` wrote", "Run `robustbench-char fragility` again."
    records = find_results(folders, FRAGILITY, FragilityRecord, expected=expected, fix=fix)
    return list({record.model_dump_json(): record for _, record in records}.values())


def summary_of(records: list[SensitivityRecord]) -> pd.DataFrame:
    """Return the summaries as one frame, one row per group, with task, system, suite and seeds before it."""
    import pandas as pd

    rows = [
        {
            "task": record.task,
            "system": record.shown,
            "training_seed": record.system.training_seed if record.system else None,
            "suite": record.attack.suite,
            "attack_seed": record.attack.seed,
            **group.model_dump(),
        }
        for record in records
        for group in record.summary
    ]
    return pd.DataFrame(rows).astype({"training_seed": "Int64", "attack_seed": "Int64"}) if rows else pd.DataFrame()


def read_words(folder: Path, record: SensitivityRecord) -> pd.DataFrame | None:
    """Return the table of words beside a record, or None where it was not kept.

    Raises InputError for one that is not the record's.
    """
    path = folder / WORDS
    if not path.is_file():
        return None
    sha256, expected = record.words_sha256, f"the words of one run (columns {', '.join(WORD_COLUMNS)})"
    return read_table(path, sha256, fits=set(WORD_COLUMNS).issubset, expected=expected, fix=_FIX, columns=WORD_COLUMNS)


def read_profiles(folder: Path) -> tuple[Profile, ...]:
    """Return the profiles beside a record; none where none was asked for. Raises InputError for a damaged file."""
    path = folder / PROFILE
    if not path.is_file():
        return ()
    return read_json_model(path, _Profiles, expected=_EXPECTED, fix=_FIX).profiles


def side_by_side(systems: Mapping[str, Sequence[ProfileWord]]) -> pd.DataFrame:
    """Return the same words as several systems see them, one row per word and system.

    Columns: `system`, `number` (of the word), `word`, `attacked`, `changed`, `distance` (missing where the word was cut
    off).
    """
    import pandas as pd

    rows = [
        {
            "system": system,
            "number": number,
            "word": word.word,
            "attacked": word.attacked,
            "changed": word.word != word.attacked,
            "distance": word.distance,
        }
        for system, words in systems.items()
        for number, word in enumerate(words)
    ]
    return pd.DataFrame(rows).astype({"distance": "float64"}) if rows else pd.DataFrame()
