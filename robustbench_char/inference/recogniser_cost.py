"""The price of a recogniser: what it repairs on attacked text, and what it breaks on clean text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from robustbench_char.common import InputError
from robustbench_char.common.provenance import provenance
from robustbench_char.defences.wordrec.files import check_recogniser
from robustbench_char.inference._attack_set import matching_attack
from robustbench_char.inference.results import write_alone
from robustbench_char.metrics.tagging import Words, word_errors
from robustbench_char.records.recogniser_cost import PRICE, PriceRecord, WordErrors
from robustbench_char.tasks.base import Example, Task
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import SourceKeywords, open_source

if TYPE_CHECKING:
    from robustbench_char.defences.wordrec import Recogniser

__all__ = ["recogniser_price"]

_Field = str | tuple[str, ...]
_Pair = tuple[_Field, _Field, list[bool]]


def recognition_price(
    recogniser: Recogniser, clean: Sequence[Example], attacked: Sequence[Example], task: Task
) -> WordErrors:
    """Measure a recogniser on the examples of one file, clean and attacked, in the same order.

    Raises InputError where the two do not hold the same examples.
    """
    if [example.row for example in clean] != [example.row for example in attacked]:
        raise _other_file(f"{len(attacked)} examples, beside {len(clean)} clean ones")
    pairs = _pairs(clean, attacked, task)
    before, after = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    good, bad = _words(before), _words(after)
    _check_words(good, bad)
    repaired, broken = _corrected(recogniser, after), _corrected(recogniser, before)
    marks = [pair[2] for pair in pairs]
    names, names_after = _marked(good, marks), _marked(broken, marks)
    return WordErrors(
        wer_before=word_errors(good, bad),
        wer_after=word_errors(good, repaired),
        wer_before_cased=word_errors(good, bad, cased=True),
        wer_after_cased=word_errors(good, repaired, cased=True),
        clean_changed=word_errors(good, broken),
        clean_changed_cased=word_errors(good, broken, cased=True),
        entity_changed=word_errors(names, names_after),
        words=sum(map(len, good)),
        entity_words=sum(map(len, names)),
        examples=len(clean),
    )


def _pairs(clean: Sequence[Example], attacked: Sequence[Example], task: Task) -> list[_Pair]:
    """Return each distinct pair of a clean and an attacked field, with the marks of the words of entities."""
    pairs: list[_Pair] = []
    seen: set[tuple[_Field, _Field]] = set()
    for before, after in zip(clean, attacked, strict=True):
        for name in task.fields:
            texts: tuple[_Field, _Field] = before.fields[name], after.fields[name]
            if isinstance(texts[0], str) and texts in seen:
                continue
            seen.add(texts)
            tagged = task.metric == "entity_f1" and isinstance(before.label, tuple)
            pairs.append((texts[0], texts[1], [tag != "O" for tag in before.label or ()] if tagged else []))
    return pairs


def _words(fields: Iterable[_Field]) -> list[Words]:
    return [field.split() if isinstance(field, str) else field for field in fields]


def _corrected(recogniser: Recogniser, fields: Sequence[_Field]) -> list[Words]:
    """Correct fields the way a system does; correction never touches white space, so that words pair up."""
    texts = [field for field in fields if isinstance(field, str)]
    tokens = [field for field in fields if not isinstance(field, str)]
    if tokens:
        return list(recogniser.correct(tokens))
    return [correction.text.split() for correction in recogniser.correct_texts(texts)]


def _marked(sentences: Sequence[Words], marks: Sequence[Sequence[bool]]) -> list[Words]:
    return [
        [word for word, marked in zip(words, own, strict=True) if marked]
        for words, own in zip(sentences, marks, strict=True)
        if own
    ]


def _check_words(clean: Sequence[Words], attacked: Sequence[Words]) -> None:
    for before, after in zip(clean, attacked, strict=True):
        if len(before) != len(after):
            raise _other_file(f"a text of {len(after)} words whose clean version has {len(before)}")


def _other_file(found: str) -> InputError:
    expected = "the attacked version of the clean file, word for word"
    return InputError("--attacked", found=found, expected=expected, fix="Name the clean file that the attack read.")


def recogniser_price(
    folder: Path | str | Recogniser,
    *,
    task: Task | Path | str,
    attacked: Path | str,
    output: Path | str | None = None,
    overwrite: bool = False,
    **source: Unpack[SourceKeywords],
) -> PriceRecord:
    """Measure what a word recogniser repairs on attacked text, and what it breaks on clean text, in percent of words.

    `folder` is what `train_recogniser` wrote, or a loaded recogniser, `attacked` what `attack_file` wrote for these
    data. `output` keeps the record, which reports show. Raises InputError for an attack on other data.
    """
    task = get_task(task, "--task")
    if isinstance(folder, str | Path):
        check_recogniser(Path(folder))
    clean = open_source(task, **source)
    attack = matching_attack(Path(attacked), clean, task)
    from robustbench_char.defences.wordrec import Recogniser  # loads torch

    recogniser = Recogniser.load(Path(folder)) if isinstance(folder, str | Path) else folder
    bad = open_source(task, input=attack.folder / attack.manifest.output.name)
    record = PriceRecord(
        task=task.name,
        defence=recogniser.info,
        source=attack.manifest.input.name,
        clean_sha256=attack.manifest.input.sha256,
        attacked_sha256=attack.manifest.output.sha256,
        attack=attack.info(),
        errors=recognition_price(recogniser, list(clean.examples()), list(bad.examples()), task),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        provenance=provenance(),
    )
    if output is not None:
        write_alone(Path(output), PRICE, record, overwrite=overwrite, inputs=(clean.path, Path(attacked)))
    return record
