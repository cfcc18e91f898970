"""Measuring how fragile a tokenizer is on the words of a tagging file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Unpack

from robustbench_char.attack_sets.attack import source_sha256
from robustbench_char.attacks.engine import Batch, attack_batch
from robustbench_char.attacks.keys import text_keys
from robustbench_char.attacks.suites import OperatorRule, Suite, WordRule, load_suites
from robustbench_char.common import InputError
from robustbench_char.common.extras import needed
from robustbench_char.common.files import safe_name
from robustbench_char.common.provenance import provenance
from robustbench_char.common.seeds import seed_of
from robustbench_char.inference._attack_set import word_pieces
from robustbench_char.inference.results import write_alone
from robustbench_char.metrics.fragility import NOUN_TAGS, Pieces, deletions, nouns, split_shares
from robustbench_char.models.bases import resolve_base
from robustbench_char.records.sensitivity import FRAGILITY, Deletions, FragilityRecord
from robustbench_char.tasks.base import NativeFile, Task
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import SourceKeywords, as_read, open_source

__all__ = ["fragility"]

Sentences = Sequence[tuple[str, ...]]


def fragility(
    tokenizer: Path | str,
    *,
    task: Task | Path | str = "ptb_pos",
    output: Path | str | None = None,
    seed: int = 0,
    overwrite: bool = False,
    **source: Unpack[SourceKeywords],
) -> FragilityRecord:
    """Measure the share of words, entities and nouns that a tokenizer splits, and what one deletion does to nouns.

    `tokenizer` is a model's folder, a hub id, or "minilm"; `task` a tagging task; `seed` that of the deletions. Shares
    are fractions. `output` keeps the record, which reports show. Raises InputError for a task of another family, and
    for a file without words.
    """
    task, seed = as_read(get_task(task, "--task"), source), seed_of(seed)
    file = open_source(task, **source)
    if task.family != "tagging":
        raise InputError("--task", found=f"{task.name}, a task of {task.family.replace('_', ' ')}",
                         expected="a tagging task", fix="Use ptb_pos or conll2003.")  # fmt: skip
    record = _measured(file, task, str(tokenizer), seed)
    if output is not None:
        write_alone(Path(output), FRAGILITY, record, overwrite=overwrite, inputs=(file.path,))
    return record


@needed()
def _measured(file: NativeFile, task: Task, tokenizer: str, seed: int) -> FragilityRecord:
    sentences, tags = _read(file, task)
    base = resolve_base(tokenizer, any_type=True)
    from robustbench_char.models import charbert  # noqa: F401  # registers it with Transformers
    from robustbench_char.models.checkpoints import load_tokenizer

    pairs = with_one_character_fewer(nouns(sentences, tags) if tags else [], seed)
    words = [word for sentence in sentences for word in sentence]
    loaded = load_tokenizer(base.folder, words=True, offsets=False)
    pieces = word_pieces(loaded, [*words, *(attacked for _, attacked in pairs)])
    shares = split_shares(sentences, tags if task.metric == "entity_f1" else None, pieces)._asdict()
    return FragilityRecord(
        task=task.name,
        tokenizer=base.name,
        source=safe_name(file.path.name),
        source_sha256=source_sha256(file.path),
        seed=seed,
        **shares,
        noun_tags=tuple(sorted(NOUN_TAGS)),
        nouns=_deletions(pairs, pieces),
        noun_types=_deletions(list(dict(reversed(pairs)).items()), pieces),  # each word with its first deletion
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        provenance=provenance(),
    )


def _read(file: NativeFile, task: Task) -> tuple[Sentences, Sentences | None]:
    """Return the words of each sentence, and their tags where all sentences have some."""
    examples = list(file.examples())
    if not examples:
        raise InputError(file.path, found="no sentences", expected="at least one", fix="Check the file.")
    tags = [example.label for example in examples if isinstance(example.label, tuple)]
    return [tuple(example.fields[task.fields[0]]) for example in examples], tags if len(tags) == len(examples) else None


def _deletions(pairs: Sequence[tuple[str, str]], pieces: Pieces) -> tuple[Deletions, ...]:
    clean, attacked = [old for old, _ in pairs], [new for _, new in pairs]
    return tuple(Deletions(**row) for row in deletions(clean, attacked, pieces)) if pairs else ()


def with_one_character_fewer(sentences: Sequence[Sequence[str]], seed: int) -> list[tuple[str, str]]:
    """Return words, each beside itself without one character, drawn by seed and sentence.

    Left out are words of one character, and those of nothing but punctuation.
    """
    longer = ([word for word in words if len(word) > 1] for words in sentences)
    kept = [words for words in longer if words]
    suite = _one_deletion()
    texts = [" ".join(words) for words in kept]
    names = (f"{number}:{text}" for number, text in enumerate(texts))
    keys = text_keys(names, seed=seed, family=suite.family, task="nouns")
    after = [text.split(" ") for text in attack_batch(Batch(texts, keys, tokens=True), suite).texts]
    pairs = (zip(words, changed, strict=True) for words, changed in zip(kept, after, strict=True))
    return [(old, new) for sentence in pairs for old, new in sentence if old != new]


def _one_deletion() -> Suite:
    """Return the suite that drops a character anywhere in each word."""
    (drop,) = load_suites("drop", task="ptb_pos")
    words = WordRule(split="whitespace", min_length=2)
    return drop.model_copy(update={"words": words, "positions": "all", "operators": {"drop": OperatorRule()}})
