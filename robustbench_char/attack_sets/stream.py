"""Attacking a data set: reads examples, edits their texts in chunks, lets labels follow, keeps the ledger.

Chunks hold a fixed number of examples, whatever the number of workers, and come back in order: the same bytes every
time.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import chain, count
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from robustbench_char.attack_sets.manifest import Counts
from robustbench_char.attack_sets.operations import (
    Operations,
    Restored,
    TokenOperations,
    apply_operations,
    operations_suite,
    read_operations,
)
from robustbench_char.attacks.engine import Batch, Choice, Outcome, apply_chosen, attack_batch
from robustbench_char.attacks.keys import text_keys
from robustbench_char.attacks.ledger import Slot, TextEdits, character_edits, ledger_table, word_vocabulary
from robustbench_char.attacks.suites import (
    Suite,
    check_keeps_words,
    load_suite_file,
    load_suites,
    only_suite,
    without_operations,
)
from robustbench_char.common import InputError
from robustbench_char.common.errors import nearest
from robustbench_char.common.seeds import seed_of
from robustbench_char.tasks.base import Attacked, AttackedBlock, Block, Example, ExampleSource, Task
from robustbench_char.tasks.registry import TASKS, follow
from robustbench_char.text.edits import Edit, Moves

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Attack", "Tally", "attack_blocks", "check_task_names", "chosen_fields", "suites_of", "texts_of"]


@dataclass(frozen=True)
class Attack:
    """What to do: a resolved suite with a seed, on some fields of a task, or published operations.

    `chosen`: the edits that a search chose, by row and field of a text (those of a context: by the first row that has
    it), in place of draws.
    """

    task: Task
    suite: Suite
    seed: int
    fields: tuple[str, ...]
    operations: Operations | None = None
    chosen: Mapping[tuple[int, str], Sequence[Choice]] | None = None

    @classmethod
    def of(
        cls,
        task: Task,
        suite: str | Path | Suite,
        seed: int,
        fields: Iterable[str] | None,
        operations: str | Path | None = None,
        *,
        option: str = "--{}",
    ) -> Attack:
        """Resolve a suite by name and the fields to attack; `option` is how messages write the name of an argument.

        Raises InputError for a wrong seed, an unknown suite or field, a suite of several strengths, a mistake in its
        file or in that of the operations, and operations for a task that is not tagging, or with a seed.
        """
        seed = seed_of(seed)
        place, read = option.format("suite"), read_operations(operations) if operations is not None else None
        resolved = only_suite(suites_of(suite, task, read, place=place), place=place)
        if read is not None and task.family != "tagging":
            raise InputError(option.format("operations"), found=f"the task {task.name}", expected="a tagging task",
                             fix="Operations belong to the tokens of a file of tagged sentences.")  # fmt: skip
        if read is not None and seed:
            raise InputError(option.format("seed"), found=f"the seed {seed} with operations", expected="no seed",
                             fix="Leave out the seed: operations draw nothing.")  # fmt: skip
        return cls(task, resolved, seed, chosen_fields(task, resolved, fields, place=option.format("fields")), read)


@dataclass
class Tally:
    """Counts of what was done, by the names that the manifest has for them, the words of the clean texts in lower case,
    and the MD5 of what operations restored."""

    examples: int = 0
    numbers: Counter[str] = field(default_factory=Counter)
    by_operator: Counter[str] = field(default_factory=Counter)
    known: set[str] = field(default_factory=set)
    restored_md5: str | None = None

    @classmethod
    def of(cls, outcome: Outcome, ledger: pa.Table, *, strength_only: bool = False) -> Tally:
        """Count one batch of texts; with `strength_only`, no more than words, which is quicker."""
        numbers = Counter(texts=len(outcome.clean.ends), words=len(outcome.words.starts))
        numbers.update(eligible_words=outcome.eligible, attempted=outcome.attempted, edited_words=outcome.edited)
        if strength_only:
            return cls(0, numbers)
        numbers.update(characters=len(outcome.clean.codes) - len(outcome.clean.ends))
        numbers.update(character_edits=character_edits(ledger))
        drawn = outcome.edits.operator
        made = [(int(np.argmax(drawn == at)), at) for at in range(len(outcome.operators)) if (drawn == at).any()]
        operators = Counter({outcome.operators[at]: int((drawn == at).sum()) for _, at in sorted(made)})
        return cls(0, numbers, operators, word_vocabulary(outcome))

    def add(self, other: Tally) -> None:
        """Take in the counts of more texts."""
        self.examples += other.examples
        self.numbers.update(other.numbers)
        self.by_operator.update(other.by_operator)
        self.known |= other.known

    def counts(self, spell_known_word: int) -> Counts:
        """Return the counts as the manifest holds them."""
        no_ops, operators = self.numbers["attempted"] - self.numbers["edited_words"], self.by_operator
        totals = {"edits": operators.total(), "no_ops": no_ops, "spell_known_word": spell_known_word}
        return Counts(**self.numbers, **totals, by_operator=dict(operators))


Answers = dict[str | None, list[tuple[int, int]]]
_Seen = dict[str, tuple[str, Callable[[], Sequence[Edit]]]]
"""Contexts by their keys: as attacked, and what makes their edits."""
_Known = dict[tuple[object, object], Moves]


class _Job(NamedTuple):
    """The texts of a chunk, as a worker process gets them, and where each comes from."""

    slots: list[Slot]
    batch: Batch
    operations: list[tuple[TokenOperations, ...]] | None = None
    chosen: list[Sequence[Choice]] | None = None
    strength_only: bool = False


class _Done(NamedTuple):
    texts: list[str]
    ledger: pa.Table
    tally: Tally


def chosen_fields(task: Task, suite: Suite, asked: Iterable[str] | None, *, place: str = "--fields") -> tuple[str, ...]:
    """Return the fields to attack: those asked for, else the suite's, else all of the task's.

    Raises InputError for an unknown one.
    """
    fields = (asked,) if isinstance(asked, str) else tuple(asked or suite.fields or task.fields)
    for name in fields:
        if name not in task.fields:
            at, fix = (
                place if asked else f"suite {suite.name}: fields",
                f"Correct the name.{nearest(name, task.fields)}",
            )
            expected = f"fields of {task.name}: {', '.join(task.fields)}"
            raise InputError(at, found=f"unknown field {name!r}", expected=expected, fix=fix)
    return tuple(name for name in task.fields if name in fields)


def suites_of(
    suite: str | Path | Suite, task: Task, operations: Operations | None = None, *, place: str = "--suite"
) -> list[Suite]:
    """Return the suites that a name stands for, one per strength; a `Suite` stands for itself.

    With operations, it is the one suite that they are. Raises InputError for an unknown name, a mistake in the file,
    exceptions for a task that does not exist, or one that changes the number of words and a task of tagged tokens.
    """
    if operations is not None:
        return [operations_suite(suite, operations, place=place)]
    if isinstance(suite, Suite):
        if suite.operations is not None:
            raise without_operations(suite.name, place)
        suites = [suite]
    else:
        suites = load_suites(str(suite), task=task.name, place=place)
        check_task_names(str(suite), task.name)
    if task.family == "tagging":
        for resolved in suites:
            check_keeps_words(resolved, f"the tokens of {task.name} carry labels", place=place)
    return suites


def check_task_names(suite: str, *own: str) -> None:
    """Check that the tasks for which a suite (by name, path, or either with a strength) makes exceptions exist."""
    base = suite if suite.endswith((".yaml", ".yml")) else suite.rpartition("@")[0] or suite
    for task in load_suite_file(base).tasks:
        if task not in own:
            TASKS.get(task, place=f"{base}: tasks.{task}")


def attack_blocks(
    attack: Attack, source: ExampleSource, tally: Tally, keep: Callable[[pa.Table], None], *, workers: int = 1,
    strength_only: bool = False,
) -> Iterator[AttackedBlock]:  # fmt: skip
    """Yield each block with its attack, in file order; `tally` counts and `keep` gets the ledger, block by block.

    `strength_only`: as in `Tally.of`.
    """
    seen, known = _Seen(), _Known()
    answers, restored = _answers(source) if "answers" in attack.suite.words.protect else None, Restored()
    jobs = ((block, _job(attack, block, seen, answers)) for block in source.blocks())
    planned = ((block, job._replace(strength_only=strength_only)) for block, job in jobs)
    for block, job, done in _in_order(attack, planned, workers):
        keep(_with_sources(done.ledger, source, block, job))
        tally.examples += len(block.rows)
        tally.add(done.tally)
        attacked = _attacked(attack, block, job, done, seen, known)
        if attack.operations:
            for clean, item in zip(block.examples, attacked.items, strict=True):
                restored.add(clean, item.example)
        yield attacked
    if attack.operations and attack.suite.operations:
        attack.operations.check_end(tally.examples)
        restored.check(attack.suite.operations, attack.operations.path)
        tally.restored_md5 = restored.md5


def texts_of(attack: Attack, source: ExampleSource, blocks: Iterable[Block]) -> Iterator[tuple[list[Slot], Batch]]:
    """Yield the texts of blocks of a source as an attack has them, and where each comes from."""
    seen, answers = _Seen(), _answers(source) if "answers" in attack.suite.words.protect else None
    for block in blocks:
        job = _job(attack, block, seen, answers)
        yield job.slots, job.batch


def _in_order(
    attack: Attack, planned: Iterator[tuple[Block, _Job]], workers: int
) -> Iterator[tuple[Block, _Job, _Done]]:
    if workers <= 1:
        for block, job in planned:
            yield block, job, _work(attack.suite, job)
        return
    waiting: deque[tuple[Block, _Job, Future[_Done]]] = deque()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for block, job in planned:
            waiting.append((block, job, pool.submit(_work, attack.suite, job)))
            if len(waiting) > 2 * workers:
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())


def _result(item: tuple[Block, _Job, Future[_Done]]) -> tuple[Block, _Job, _Done]:
    block, job, future = item
    return block, job, future.result()


def _work(suite: Suite, job: _Job) -> _Done:
    if job.operations is not None:
        outcome = apply_operations(job.batch, job.operations)
    elif job.chosen is not None:
        outcome = apply_chosen(job.batch, suite, job.chosen)
    else:
        outcome = attack_batch(job.batch, suite)
    ledger = ledger_table(outcome, job.slots)
    return _Done(outcome.texts, ledger, Tally.of(outcome, ledger, strength_only=job.strength_only))


def _job(attack: Attack, block: Block, seen: _Seen, answers: Answers | None) -> _Job:
    """Collect the texts of a block. A context that many questions share is attacked once per run."""
    shared = block.contexts if "context" in attack.fields else None
    fresh = {key: number for number, key in reversed([*enumerate(shared or ())]) if key not in seen}
    seen.update(dict.fromkeys(fresh, ("", list)))
    first = set(fresh.values())
    taken = [[name for name in attack.fields if name != "context" or number in first]
             for number in range(len(block.rows))] if shared else [attack.fields] * len(block.rows)  # fmt: skip
    numbers, fields = [number for number, own in enumerate(taken) for _ in own], list(chain.from_iterable(taken))
    slots = list(map(Slot, map(block.rows.__getitem__, numbers), map(block.ids.__getitem__, numbers), fields))
    names = list(map("{}\x1f{}".format, map(block.keys.__getitem__, numbers), fields))
    texts = [block.texts[name][number] for number, name in zip(numbers, fields, strict=True)]
    for place, number in enumerate(numbers if shared else ()):
        if shared and fields[place] == "context":
            names[place] = f"context:{shared[number]}"
            slots[place] = slots[place]._replace(id=names[place][: len("context:") + 16])
    keys = text_keys(names, seed=attack.seed, family=attack.suite.family, task=attack.task.name)
    entities = spans = None
    if "entities" in attack.suite.words.protect:
        entities = [_entity_spans(block.examples[number]) for number in numbers]
    if answers is not None:
        spans = [answers[block.examples[number].context_key] if name == "context" else []
                 for number, name in zip(numbers, fields, strict=True)]  # fmt: skip
    operations = list(map(attack.operations.of, block.examples)) if attack.operations else None
    chosen = None if attack.chosen is None else [attack.chosen.get((slot.row, slot.field), ()) for slot in slots]
    return _Job(slots, Batch(texts, keys, attack.task.family == "tagging", entities, spans), operations, chosen)


def _entity_spans(example: Example) -> list[tuple[int, int]]:
    if not isinstance(example.label, tuple):
        return []
    spans, start = [], 0
    tokens = next(value for value in example.fields.values() if not isinstance(value, str))
    for token, tag in zip(tokens, example.label, strict=False):
        if tag != "O":
            spans.append((start, start + len(token)))
        start += len(token) + 1
    return spans


def _answers(source: ExampleSource) -> Answers:
    """Return, by context, the spans of the answers of all questions of the file."""
    by_context: Answers = {}
    for example in source.examples():
        spans = [(answer.start, answer.start + len(answer.text)) for answer in (*example.answers, *example.plausible)]
        by_context.setdefault(example.context_key, []).extend(spans)
    return by_context


def _with_sources(ledger: pa.Table, source: ExampleSource, block: Block, job: _Job) -> pa.Table:
    """Fill `removed_source` where the native file spells the removed characters in another way."""
    import pyarrow as pa

    escaped = {(slot.row, slot.field) for slot in job.slots if source.escaped(slot.row, slot.field)}
    if not escaped:
        return ledger
    examples = dict(zip(block.rows, block.examples, strict=True))
    columns = (ledger[name].to_pylist() for name in ("row", "field", "start_clean", "removed"))
    spelled = [
        source.source(examples[row], name, start, start + len(removed)) if (row, name) in escaped else None
        for row, name, start, removed in zip(*columns, strict=True)
    ]
    if not any(spelled):
        return ledger
    index = ledger.schema.get_field_index("removed_source")
    return ledger.set_column(index, "removed_source", pa.array(spelled, pa.string()))


class _Changes(dict[str, Any]):
    """Edits by field, made when asked for."""

    def get(self, field: str, default: Any = ()) -> Any:
        return self[field]() if field in self else default


def _attacked(attack: Attack, block: Block, job: _Job, done: _Done, seen: _Seen, known: _Known) -> AttackedBlock:
    """Return a block with its attacked texts; those of contexts are in `seen`, which takes in what the block has."""
    edits = cache(lambda: TextEdits(done.ledger))

    def maker(row: int, field: str) -> Callable[[], Sequence[Edit]]:
        return lambda: edits().of(row, field)

    shared = block.contexts if "context" in attack.fields else None
    own = {name: [text for slot, text in zip(job.slots, done.texts, strict=True) if slot.field == name]
           for name in attack.fields}  # fmt: skip
    if shared is not None:
        contexts = dict(zip(block.rows, zip(shared, block.texts["context"], strict=True), strict=True))
        first = (slot.row for slot in job.slots if slot.field == "context")
        for row, text in zip(first, own["context"], strict=True):
            key, clean = contexts[row]
            seen[key], known[clean, text] = (text, maker(row, "context")), edits().moves(row, "context")
        own["context"] = [seen[key][0] for key in shared]

    def item(number: int, example: Example) -> Attacked:
        fields, changes = dict[str, str | tuple[str, ...]](), _Changes()
        for name in attack.fields:
            text = own[name][number]
            fields[name] = text if isinstance(example.fields[name], str) else tuple(text.split(" ")) if text else ()
            changes[name] = maker(example.row, name)
        if shared is not None:
            _, changes["context"] = seen[shared[number]]
        return Attacked(follow(attack.task, example, fields, changes, known), changes, plain=True)

    return AttackedBlock(block, {**block.texts, **own}, lambda: list(map(item, count(), block.examples)))
