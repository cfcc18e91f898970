"""The attack that a file went through, as its manifest, ledger and clean answers tell, and the words that it hit."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from robustbench_char.attack_sets.attack import ANSWER_COLUMNS, source_sha256
from robustbench_char.attack_sets.manifest import ANSWERS, Manifest, manifest_beside, read_manifest
from robustbench_char.attack_sets.replay import FIX, read_ledger, read_table
from robustbench_char.attacks.search import constraints
from robustbench_char.attacks.suites import check_keeps_words
from robustbench_char.common import InputError
from robustbench_char.metrics.base import QaGold
from robustbench_char.metrics.breakdowns import ExampleWords, WordState
from robustbench_char.records.evaluation import AttackInfo
from robustbench_char.tasks.base import Example, NativeFile, Task
from robustbench_char.text.edits import Edit, apply_edits

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = []  # fmt: skip

Edits: TypeAlias = Sequence[Mapping[str, Any]]
"""Rows of the ledger, in its order."""
PieceCounter: TypeAlias = Callable[[Iterable[str]], Mapping[str, int]]
"""A function from words to the number of sub-words of each distinct one, such as `piece_counts` of a tokenizer."""

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
        words = manifest.strength.requested.words
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
            character_error_rate=manifest.strength.character_error_rate,
            counts_by_operator=manifest.counts.by_operator,
            word_edits=manifest.suite.edits_per_word,
            requested_edits=words and words * manifest.suite.edits_per_word * len(manifest.fields),
            constraints=constraints(manifest.suite, manifest.fields),
            search=manifest.suite.search,
        )

    def edits(self, examples: Sequence[Example]) -> list[list[dict[str, Any]]]:
        """Return the ledger's edits of each example; those of a shared context for every question that has it.

        Of contexts that the attack made equal, a question has the last one that came before it, or with it.
        """
        own: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
        shared: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
        for entry in read_ledger(self.folder).select(["row", "id", *_EDIT_KEYS]).to_pylist():
            target = shared if entry["field"] == "context" and entry["id"].startswith(_SHARED) else own
            target[entry["row"]].append({key: entry[key] for key in _EDIT_KEYS})
        by_context, found = dict[Any, list[dict[str, Any]]](), []
        for example in examples:
            context = example.fields.get("context", "")
            if example.row in shared:
                by_context[context] = shared[example.row]
            found.append(own[example.row] + by_context.get(context, []))
        return found

    def clean_labels(self, examples: Sequence[Example]) -> list[QaGold] | None:
        """Return the answers as the clean contexts spell them, or None where contexts were not attacked.

        Raises InputError for the answers of another file.
        """
        if not (path := self.folder / ANSWERS).is_file():
            return None
        answers = {example.row: [answer.text for answer in example.answers] for example in examples}
        for entry in read_table(path, ANSWER_COLUMNS).to_pylist():
            own, index = answers.get(entry["row"]), entry["index"]  # `examples` may be the first ones alone
            if own is None or entry["kind"] != "answer":
                continue
            if not 0 <= index < len(own):
                raise InputError(path, found=f"an answer {index} of example {entry['row']}", fix=FIX,
                                 expected=f"one of the {len(own)} that it has")  # fmt: skip
            own[index] = entry["text_clean"]
        return [QaGold(tuple(answers[example.row])) for example in examples]


def attack_set_of(path: Path, sha256: str) -> AttackSet | None:
    """Return the attack that a file with this SHA-256 came out of (see `manifest_beside`), or None."""
    manifest = manifest_beside(path, sha256)
    return AttackSet(path.parent, manifest) if manifest else None


def matching_attack(folder: Path, clean: NativeFile, task: Task) -> AttackSet:
    """Return the attack on a clean file that `attack` wrote into a folder.

    Raises InputError for a folder that `attack` did not write, that was altered, is of another task or clean file, or
    has other numbers of words.
    """
    manifest = read_manifest(folder)
    check_keeps_words(manifest.suite, "clean and attacked text are compared word by word", place=folder)
    path = folder / manifest.output.name
    if not path.is_file():
        raise InputError(path, found="no such file", expected="the attacked file that the manifest names",
                         fix="Run the attack again.")  # fmt: skip
    attack = attack_set_of(path, source_sha256(path))
    if attack is None or manifest.task != task.name:
        raise InputError("--attacked", found=f"an attacked set of {manifest.task}", expected=f"one of {task.name}",
                         fix="Name the task of the data.")  # fmt: skip
    if manifest.input.sha256 != source_sha256(clean.path):
        found, fix = "another file than the one that was attacked", "Name the clean file that the attack read."
        expected = f"{manifest.input.name} with SHA-256 {manifest.input.sha256}"
        raise InputError("--input", found=found, expected=expected, fix=fix)
    return attack


def piece_counts(tokenizer: PreTrainedTokenizerBase, words: Iterable[str]) -> dict[str, int]:
    """Return how many sub-words each distinct word has after another one, which is how models read it.

    A word of characters that the tokenizer drops has 0.
    """
    return {word: len(pieces) for word, pieces in word_pieces(tokenizer, words).items()}


def word_pieces(tokenizer: PreTrainedTokenizerBase, words: Iterable[str]) -> dict[str, list[str]]:
    """Return the sub-words of each distinct word after another one."""
    from robustbench_char.models.inputs import PlainReader  # here, so that words are read without torch
    from robustbench_char.models.tokenizing import after_another

    distinct = sorted(set(words))
    if tokenizer.is_fast:
        return dict(zip(distinct, after_another(tokenizer, distinct), strict=True))
    reader = PlainReader(tokenizer)
    return {word: reader.tokens(word) for word in distinct}


def example_words(
    pieces: PieceCounter | None, examples: Sequence[Example], edits: Sequence[Edits], *, attacked: bool
) -> list[ExampleWords]:
    """Return what is known of the words of each example; `edits` are those of the ledger, for each example.

    Without `pieces` (a system that has no sub-words) their numbers are not known.
    """
    known = [_words(example, own) for example, own in zip(examples, edits, strict=True)]
    forms = (form for words in known for clean, read, _ in words for form in (clean, read))
    counts = pieces(forms) if pieces else {}
    return [
        ExampleWords(
            [WordState(len(clean), counts.get(clean), counts.get(read), hit) for clean, read, hit in words],
            _length(example),
            attacked,
        )
        for example, words in zip(examples, known, strict=True)
    ]


def _words(example: Example, edits: Edits) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return words clean and as read, with the operators that hit them: all words of tagged tokens, else those hit."""
    tokens = _tokens(example)
    if tokens is None:
        return [(edit["word_before"], edit["word_after"], (edit["operator"],)) for edit in edits]
    starts = token_starts(tokens)
    by_token: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for edit in sorted(edits, key=lambda edit: edit["start_attacked"]):
        by_token[token_at(starts, edit["start_attacked"])].append(edit)
    words = []
    for number, (token, start) in enumerate(zip(tokens, starts, strict=True)):
        own = by_token[number]
        undoing = [Edit(edit["start_attacked"] - start, edit["inserted"], edit["removed"]) for edit in own]
        words.append((apply_edits(token, undoing), token, tuple(dict.fromkeys(edit["operator"] for edit in own))))
    return words


def token_starts(tokens: Sequence[str]) -> list[int]:
    """Return where tokens start in their text, in which single spaces part them."""
    return list(accumulate((len(token) + 1 for token in tokens[:-1]), initial=0))


def token_at(starts: Sequence[int], offset: int) -> int:
    """Return the number of the token that an offset in the text belongs to, its very end included."""
    return bisect_right(starts, offset) - 1


def _tokens(example: Example) -> tuple[str, ...] | None:
    return next((value for value in example.fields.values() if isinstance(value, tuple)), None)


def _length(example: Example) -> int:
    """Count the words of a sentence, of a question, or of all texts of an example."""
    tokens = _tokens(example)
    if tokens is not None:
        return len(tokens)
    question = example.fields.get("question") if "context" in example.fields else None
    texts = [question] if question is not None else example.fields.values()
    return sum(len(text.split()) for text in texts if isinstance(text, str))
