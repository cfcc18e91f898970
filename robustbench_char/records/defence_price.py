"""What `defence-price` writes: `defence_price.json`, what a defence repairs, what it breaks, and how fast it is."""

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

__all__ = ["EARLIER_PRICE", "PRICE", "PriceRecord", "WordErrors", "find_prices"]

PRICE, EARLIER_PRICE = "defence_price.json", "recogniser_price.json"
"""The file of a price, and its name in earlier versions."""


class WordErrors(Frozen):
    """Shares of words in percent; None where there are no words of the kind.

    Words are tokens (tagging) or what stands between white space. `wer_before`, `wer_after`: words of the attacked text
    that differ from the clean ones before and after correction, compared in lower case (the headline, as in Pruthi et
    al. 2019); `_cased`: compared with their capitals. `clean_changed`: words of the clean text that correction changes,
    in lower case; `entity_changed`: the same among the words of entities, of which `entity_before` and `entity_after`
    are wrong in the attacked text (None in older records). `words` and `entity_words` are what the shares are of. A
    text that several examples share counts once.
    """

    wer_before: float | None
    wer_after: float | None
    wer_before_cased: float | None
    wer_after_cased: float | None
    clean_changed: float | None
    clean_changed_cased: float | None
    entity_changed: float | None
    entity_before: float | None = None
    entity_after: float | None = None
    words: int
    entity_words: int
    examples: int


class PriceRecord(Frozen):
    """One defence measured on one task's data, clean and under one attack. Numbers alone, no text.

    `words_per_second` is over both, by the time of one core (None in older records).
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    task: str
    defence: StoredDefence = Field(validation_alias=KEYS)
    source: str
    clean_sha256: str
    attacked_sha256: str
    attack: AttackInfo
    errors: WordErrors
    words_per_second: float | None = None
    created: str
    provenance: Provenance

    def __repr__(self) -> str:
        return price_lines(self)

    __str__ = __repr__


def find_prices(folders: list[Path]) -> list[PriceRecord]:
    """Return every record below the folders, in sorted order, each once; there may be none.

    Raises InputError that names file and field, also for a record of a newer version.
    """
    expected, fix = "a record that `defence-price --output` wrote", "Run `robustbench-char defence-price` again."
    names = (PRICE, EARLIER_PRICE)
    records = [one for name in names for one in find_results(folders, name, PriceRecord, expected=expected, fix=fix)]
    records.sort(key=lambda one: one[0])
    return list({record.model_dump_json(): record for _, record in records}.values())
