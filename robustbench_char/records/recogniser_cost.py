"""What `recogniser-price` writes: `recogniser_price.json`, what a recogniser repairs and what it breaks."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from robustbench_char.common.frozen import Frozen
from robustbench_char.common.provenance import Provenance
from robustbench_char.records.defence import KEYS, StoredDefence
from robustbench_char.records.evaluation import AttackInfo
from robustbench_char.records.published import find_results
from robustbench_char.records.readable import price_lines

__all__ = ["PRICE", "PriceRecord", "WordErrors", "find_prices"]

PRICE = "recogniser_price.json"


class WordErrors(Frozen):
    """Shares of words in percent; None where there are no words of the kind.

    Words are tokens (tagging) or what stands between white space. `wer_before`, `wer_after`: words of the attacked text
    that differ from the clean ones before and after correction, compared in lower case (the headline, as in Pruthi et
    al. 2019); `_cased`: compared with their capitals. `clean_changed`: words of the clean text that correction changes,
    in lower case; `entity_changed`: the same among the words of entities. `words` and `entity_words` are what the
    shares are of. A text that several examples share counts once.
    """

    wer_before: float | None
    wer_after: float | None
    wer_before_cased: float | None
    wer_after_cased: float | None
    clean_changed: float | None
    clean_changed_cased: float | None
    entity_changed: float | None
    words: int
    entity_words: int
    examples: int


class PriceRecord(Frozen):
    """One recogniser measured on one task's data, clean and under one attack. Numbers alone, no text."""

    schema_version: Literal[1] = Field(1, alias="schema")
    task: str
    defence: StoredDefence = Field(validation_alias=KEYS)
    source: str
    clean_sha256: str
    attacked_sha256: str
    attack: AttackInfo
    errors: WordErrors
    created: str
    provenance: Provenance

    def __repr__(self) -> str:
        return price_lines(self)

    __str__ = __repr__


def find_prices(folders: list[Path]) -> list[PriceRecord]:
    """Return every record below the folders, in sorted order, each once; there may be none.

    Raises InputError that names file and field, also for a record of a newer version.
    """
    expected, fix = "a record that `recogniser-price --output` wrote", "Run `robustbench-char recogniser-price` again."
    records = find_results(folders, PRICE, PriceRecord, expected=expected, fix=fix)
    return list({record.model_dump_json(): record for _, record in records}.values())
