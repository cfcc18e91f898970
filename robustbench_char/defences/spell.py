"""An off-the-shelf spelling checker before a model: symspellpy with the dictionary that it ships, its first candidate.

A word is corrected by itself, whatever stands around it. Source: the SymSpell algorithm (Garbe 2012) as symspellpy has
it; of the known words near enough the nearest is taken, of these the most frequent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from robustbench_char.common import InputError
from robustbench_char.common.extras import needed, package_folder
from robustbench_char.common.files import sha256_bytes, sha256_file, write_json
from robustbench_char.common.frozen import Frozen, read_json_model
from robustbench_char.defences.opening import CONFIG
from robustbench_char.records.evaluation import DefenceInfo
from robustbench_char.text.corrections import Correction, match_case, replaced

__all__ = ["Spell"]

_DICTIONARY, _PREFIX = "frequency_dictionary_en_82_765.txt", 7
_WORD = re.compile(r"(?<![\w'])[A-Za-z]+(?:['’][A-Za-z]+)*(?![\w'])")
"""Words that the dictionary can hold: letters from a to z, with apostrophes between them. All else stays as it is."""


class SpellFile(Frozen):
    """`defence.json` of a spelling checker: the dictionary stays in the package that ships it.

    Words of fewer than `min_letters` characters stay as they are. The defaults left fewest words wrong on the
    development set of CoNLL-2003, attacked and misspelled by people, and changed fewest clean ones.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    kind: Literal["spell"] = "spell"
    dictionary: str = _DICTIONARY
    dictionary_sha256: str
    max_edits: int = Field(1, ge=1, le=2)
    min_letters: int = Field(3, ge=1)


class Spell:
    """Corrects each word that the dictionary does not hold to the nearest one that it holds, if any is near enough."""

    def __init__(self, file: SpellFile) -> None:
        self.file = file
        self._known: dict[str, str] = {}

    @classmethod
    def ready(cls) -> Spell:
        """Return the checker with the dictionary that is installed. Raises InputError without symspellpy."""
        return cls(SpellFile(dictionary_sha256=sha256_file(_dictionary())))

    @classmethod
    def load(cls, folder: Path) -> Spell:
        """Load what `save` wrote. Raises InputError where another dictionary is installed than it was saved with."""
        expected, fix = "what saving a spelling checker wrote", "Copy the folder again."
        file = read_json_model(folder / CONFIG, SpellFile, expected=expected, fix=fix)
        if (sha256 := sha256_file(_dictionary())) != file.dictionary_sha256:
            expected = f"{sha256}, that of the installed symspellpy"
            fix = "Install the version of symspellpy that it was saved with."
            place = f"{folder / CONFIG}: dictionary_sha256"
            raise InputError(place, found=file.dictionary_sha256, expected=expected, fix=fix)
        return cls(file)

    def save(self, folder: Path) -> None:
        """Write what `load` reads into `folder`, which is made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / CONFIG, self.file.model_dump(mode="json", by_alias=True))

    @property
    def info(self) -> DefenceInfo:
        """What records hold of it."""
        settings = self.file.model_dump(exclude={"schema_version", "kind"})
        sha256 = sha256_bytes(repr(sorted(settings.items())).encode())
        return DefenceInfo(kind="spell", name="spell", sha256=sha256, edits=self.file.max_edits, settings=settings)

    def correct(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """Return the sentences with the words of each token corrected: as many tokens as given, in the order given."""
        return [[_WORD.sub(lambda match: self._best(match[0]), token) for token in tokens] for tokens in sentences]

    def correct_texts(self, texts: Sequence[str]) -> list[Correction]:
        """Correct the words of texts, and leave all between them as it is."""
        found = [list(_WORD.finditer(text)) for text in texts]
        return [
            replaced(text, [match.span() for match in own], [self._best(match[0]) for match in own])
            for text, own in zip(texts, found, strict=True)
        ]

    def choices(self, sentence: Sequence[Sequence[str]]) -> list[dict[str, frozenset[str]]]:
        """Return the one output of each form of each word."""
        return [{form: frozenset(self.correct([[form]])[0]) for form in forms} for forms in sentence]

    def choices_of_stretches(self, stretches: Sequence[Sequence[str]]) -> list[dict[str, list[frozenset[str]]]]:
        """Return the one output of each form of each stretch."""
        return [{form: [choices] for form, choices in forms.items()} for forms in self.choices(stretches)]

    def _best(self, word: str) -> str:
        """Return the nearest known word; each distinct word is looked up once."""
        if word not in self._known:
            self._known[word] = self._looked_up(word)
        return self._known[word]

    def _looked_up(self, word: str) -> str:
        if len(word) < self.file.min_letters:
            return word
        checker, top = _checker(_dictionary(), self.file.max_edits)
        plain = word.lower().replace("’", "'")
        near = checker.lookup(plain, top, max_edit_distance=self.file.max_edits)
        return match_case(near[0].term, word) if near and near[0].term != plain else word


def _dictionary() -> Path:
    return package_folder("symspellpy") / _DICTIONARY


@lru_cache(maxsize=2)
@needed()
def _checker(dictionary: Path, max_edits: int) -> tuple[Any, Any]:
    """Return symspellpy with a dictionary, and how to ask for the first candidate; it takes seconds to make."""
    from symspellpy import SymSpell, Verbosity

    checker = SymSpell(max_dictionary_edit_distance=max_edits, prefix_length=_PREFIX)
    checker.load_dictionary(dictionary, 0, 1, encoding="utf-8-sig")
    return checker, Verbosity.TOP
