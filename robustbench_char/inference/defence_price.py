"""The price of a defence: what it repairs on attacked text, what it breaks on clean text, and how fast it is."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from robustbench_char.common import InputError
from robustbench_char.common.provenance import provenance
from robustbench_char.defences.opening import kind_of_defence, open_defence
from robustbench_char.inference._attack_set import matching_attack
from robustbench_char.inference._defended import defence_name
from robustbench_char.inference.results import write_alone
from robustbench_char.metrics.tagging import Words, word_errors
from robustbench_char.records.defence_price import PRICE, PriceRecord, WordErrors
from robustbench_char.tasks.base import Example, Task
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import SourceKeywords, as_read, open_source

if TYPE_CHECKING:
    from robustbench_char.models.system import Defence

__all__ = ["defence_price"]

_Field = str | tuple[str, ...]
_Pair = tuple[_Field, _Field, list[bool]]


def word_price(
    defence: Defence, clean: Sequence[Example], attacked: Sequence[Example], task: Task
) -> tuple[WordErrors, float]:
    """Measure a defence on the examples of one file, clean and attacked, in the same order; add words per second.

    What it loads when first used is not timed. Raises InputError where the two do not hold the same examples.
    """
    if [example.row for example in clean] != [example.row for example in attacked]:
        raise _other_file(f"{len(attacked)} examples, beside {len(clean)} clean ones")
    pairs = _pairs(clean, attacked, task)
    before, after = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    good, bad = _words(before), _words(after)
    _check_words(good, bad)
    defence.correct([("teh",)])
    started = time.process_time()
    repaired, broken = _corrected(defence, after), _corrected(defence, before)
    seconds = time.process_time() - started
    marks = [pair[2] for pair in pairs]
    names = _marked(good, marks)
    errors = WordErrors(
        wer_before=word_errors(good, bad),
        wer_after=word_errors(good, repaired),
        wer_before_cased=word_errors(good, bad, cased=True),
        wer_after_cased=word_errors(good, repaired, cased=True),
        clean_changed=word_errors(good, broken),
        clean_changed_cased=word_errors(good, broken, cased=True),
        entity_changed=word_errors(names, _marked(broken, marks)),
        entity_before=word_errors(names, _marked(bad, marks)),
        entity_after=word_errors(names, _marked(repaired, marks)),
        words=sum(map(len, good)),
        entity_words=sum(map(len, names)),
        examples=len(clean),
    )
    return errors, 2 * errors.words / max(seconds, 1e-9)


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


def _corrected(defence: Defence, fields: Sequence[_Field]) -> list[Words]:
    """Correct fields the way a system does; correction never touches white space, so that words pair up."""
    texts = [field for field in fields if isinstance(field, str)]
    tokens = [field for field in fields if not isinstance(field, str)]
    if tokens:
        return list(defence.correct(tokens))
    return [correction.text.split() for correction in defence.correct_texts(texts)]


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


def defence_price(
    defence: Path | str | Defence,
    *,
    task: Task | Path | str,
    attacked: Path | str,
    output: Path | str | None = None,
    overwrite: bool = False,
    **source: Unpack[SourceKeywords],
) -> PriceRecord:
    """Measure what a defence repairs on attacked text, and what it breaks on clean text, in percent of words.

    `defence` is a folder that `train_defence` wrote, the name of a ready one, or a defence that is open; `attacked` is
    what `attack_file` wrote for these data. `output` keeps the record, which reports show. Raises InputError for an
    attack on other data.
    """
    task = as_read(get_task(task, "--task"), source)
    if isinstance(defence, str | Path):
        kind_of_defence(defence, place="DEFENCE")
    clean = open_source(task, **source)
    attack = matching_attack(Path(attacked), clean, task)
    opened = open_defence(defence) if isinstance(defence, str | Path) else defence
    name = {"name": defence_name(defence)} if isinstance(defence, str | Path) else {}
    bad = open_source(task, input=attack.folder / attack.manifest.output.name)
    errors, speed = word_price(opened, list(clean.examples()), list(bad.examples()), task)
    record = PriceRecord(
        task=task.name,
        defence=opened.info.model_copy(update=name),
        source=attack.manifest.input.name,
        clean_sha256=attack.manifest.input.sha256,
        attacked_sha256=attack.manifest.output.sha256,
        attack=attack.info(),
        errors=errors,
        words_per_second=speed,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        provenance=provenance(),
    )
    if output is not None:
        write_alone(Path(output), PRICE, record, overwrite=overwrite, inputs=(clean.path, Path(attacked)))
    return record
