"""What a task is, what its examples look like, and what identifies them: shared by every format, source and model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol, TypeVar

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from robustbench_char.common.frozen import Frozen
from robustbench_char.text.edits import Edit

__all__ = ["Answer", "Attacked", "Example", "ExampleSource", "Family", "NativeFile", "Task", "token_text"]

T = TypeVar("T")
Family = Literal["classification", "tagging", "question_answering"]


class Answer(NamedTuple):
    """One answer of a question: `context[start : start + len(text)] == text`."""

    start: int
    text: str


class Example(NamedTuple):
    """One example of any task.

    `fields` maps a field to its text, or to its tokens (tagging). `label` is the class name, the tags (one per token),
    or None where the file has none. Question answering uses `answers` (empty where unanswerable) and `plausible` (the
    answers of SQuAD 2.0 that only look right). `key` identifies the clean example for the draws of an attack;
    `context_key` does so for a context that several questions share.
    """

    row: int
    id: str
    key: str
    fields: Mapping[str, str | tuple[str, ...]]
    label: str | tuple[str, ...] | None = None
    answers: tuple[Answer, ...] = ()
    plausible: tuple[Answer, ...] = ()
    answerable: bool | None = None
    context_key: str | None = None


class Attacked(NamedTuple):
    """An example after an attack, with the edits that led there, by field (positions in the clean text).

    `plain`: no edit brings a spelling of its own (`Edit.inserted_source`).
    """

    example: Example
    edits: Mapping[str, Sequence[Edit]]
    plain: bool = False


BLOCK = 2000
"""Examples in a block, but for the last one of a source: what an attack works on at once."""


def in_blocks(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield items by the block."""
    iterator = iter(items)
    return iter(lambda: list(islice(iterator, BLOCK)), [])


@dataclass(frozen=True)
class Block:
    """Examples that follow one another in a source, as columns: item `i` of each belongs to the same example.

    `texts` has, by field, the texts; tokens are joined by single spaces. `contexts`: the keys of shared contexts.
    `native` is what a format keeps to write them again, `make` makes the examples themselves.
    """

    rows: Sequence[int]
    ids: Sequence[str]
    keys: Sequence[str]
    texts: Mapping[str, Sequence[str]]
    make: Callable[[], Sequence[Example]]
    contexts: Sequence[str] | None = None
    native: Any = None

    @classmethod
    def of(cls, examples: Sequence[Example]) -> Block:
        """Return examples as a block."""
        rows, ids, keys, fields, *_, contexts = zip(*examples, strict=True)
        texts = {name: [token_text(values[name]) for values in fields] for name in fields[0]}
        return cls(rows, ids, keys, texts, lambda: examples, None if None in contexts else contexts)

    @classmethod
    def of_columns(
        cls, rows: Sequence[int], ids: Sequence[str], keys: Sequence[str], texts: Mapping[str, Sequence[str]],
        labels: Sequence[str | None], *, tokens: bool = False, native: Any = None,
    ) -> Block:  # fmt: skip
        """Return columns as a block; with `tokens`, texts and labels are lists, their items joined by single spaces."""

        def part(value: str | None) -> Any:
            return tuple(value.split(" ")) if tokens and value is not None else value

        def make() -> list[Example]:
            fields = (dict(zip(texts, map(part, row), strict=True)) for row in zip(*texts.values(), strict=True))
            return list(map(Example, rows, ids, keys, fields, map(part, labels)))

        return cls(rows, ids, keys, texts, make, native=native)

    @cached_property
    def examples(self) -> Sequence[Example]:
        """The examples."""
        return self.make()


@dataclass(frozen=True)
class AttackedBlock:
    """A block after an attack: all texts of its examples, by field, and the examples themselves with their edits."""

    block: Block
    texts: Mapping[str, Sequence[str]]
    make: Callable[[], Sequence[Attacked]]

    @cached_property
    def items(self) -> Sequence[Attacked]:
        """The attacked examples, with their edits."""
        return self.make()

    def examples(self) -> list[Example]:
        """Return the attacked examples."""
        return [item.example for item in self.items]


class ExampleSource(Protocol):
    """What can be attacked: examples, and how their texts are spelled where they came from."""

    def examples(self) -> Iterator[Example]:
        """Read the examples in file order, streaming where the format allows. Raises InputError with file and line."""
        return chain.from_iterable(block.examples for block in self.blocks())

    def blocks(self) -> Iterator[Block]:
        """Read the same examples as columns. A source has to define one of the two."""
        return map(Block.of, in_blocks(self.examples()))

    def escaped(self, row: int, field: str) -> bool:
        """Return whether slices of a text of an example may be spelled in another way, so that `source` has to say."""
        return False

    def source(self, example: Example, field: str, start: int, end: int) -> str | None:
        """Return how `text[start:end]` is spelled in the file, or None (by default) where that is the text itself."""
        return None


class NativeFile(ExampleSource, Protocol):
    """A file (or folder) opened in its native format."""

    path: Path

    def spells_freely(self) -> bool:
        """Return whether a text that stands in the file twice may be spelled in two ways (by default not)."""
        return False

    def rewrite(self, out: BinaryIO, attacked: Iterable[AttackedBlock]) -> None:
        """Write the file again with its texts and answers replaced, in file order; all other bytes stay as they are."""
        ...


class HubSource(Frozen):
    """The task's data set on the hub. `columns` maps our field, or `label` and `id`, to the hub's column."""

    path: str
    revision: str
    config: str | None = None
    splits: dict[str, str]
    columns: dict[str, str] = Field(default_factory=dict)


class Task(Frozen):
    """One task: fields, labels, metric, format, source. The eight shipped ones are instances; users add theirs in YAML.

    `labels` lists class names in the order of the hub's class ids; it is None for tagging, whose tags come from the
    data, and for question answering. `metric` names an entry of the evaluation's registry; `headline` is the score
    that tables show. `columns` maps a field, or `label` and `id`, to its column in tables (CSV, JSON Lines, Parquet, in
    memory) where that has another name.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    name: str
    title: str
    family: Family
    fields: tuple[str, ...]
    labels: tuple[str, ...] | None = None
    metric: str
    headline: str
    format: str
    format_options: dict[str, Any] = Field(default_factory=dict)
    columns: dict[str, str] = Field(default_factory=dict)
    hub: HubSource | None = None
    note: str | None = None

    @model_serializer(mode="wrap")
    def _without_empty_columns(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out `columns` where there are none, so that records and keys of older results stay the same."""
        values: dict[str, Any] = serialise(self)
        return values if self.columns else {key: value for key, value in values.items() if key != "columns"}


def token_text(value: str | tuple[str, ...]) -> str:
    """Return the one text of a field that offsets count in: the text itself, or the tokens joined by single spaces."""
    return value if isinstance(value, str) else " ".join(value)


def text_key(text: str) -> str:
    """Return the SHA-256 of one text, which is the key of a context that several questions share."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class ContentKeys:
    """Keys of the examples of one file that has no ids: SHA-256 of the clean record, and its number among equals.

    Equals are alike in every native column, so nobody can tell which of them came first and the order of the file
    does not matter. Records that differ in some other column share one key: their texts are attacked alike.
    """

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._repeats: dict[bytes, int] = {}

    def key(self, fields: Mapping[str, str | tuple[str, ...]], label: str | tuple[str, ...] | None, native: str) -> str:
        """Return the key of the next example; `native` holds all its columns."""
        record = json.dumps({"fields": fields, "label": label}, sort_keys=True, separators=(",", ":"))
        return self.keys([record], [native])[0]

    def keys(self, records: Sequence[str], natives: Iterable[str]) -> list[str]:
        """Return the keys of the next examples. `records` are those of `json_records`, as `natives` may be too."""
        hashes = [hashlib.sha256(record.encode()).hexdigest() for record in records]
        digests = [bytes.fromhex(name[:32]) for name in hashes]
        if natives is not records:
            digests = [
                hashlib.blake2b(one.encode("utf-8", "surrogatepass"), digest_size=16).digest() for one in natives
            ]
        return [f"{name}#{self._count(digest)}" for name, digest in zip(hashes, digests, strict=True)]

    def _count(self, digest: bytes) -> int:
        """Return how many equals came before."""
        if digest not in self._seen:
            self._seen.add(digest)
            return 0
        count = self._repeats[digest] = self._repeats.get(digest, 0) + 1
        return count


def json_records(
    texts: Mapping[str, Sequence[str]], labels: Sequence[str | None], *, tokens: bool = False
) -> Sequence[str]:
    """Return fields and label of each example as `json.dumps` writes them, with sorted keys and no white space.

    With `tokens`, texts and labels are lists, their items joined by single spaces.
    """

    def listed(value: str) -> str:
        return "[" + quoted(value).replace(" ", '","') + "]"

    written = listed if tokens else quoted
    known = {label: "null" if label is None else written(label) for label in set(labels)}
    fields = ",".join(json.dumps(name).replace("%", "%%") + ":%s" for name in sorted(texts))
    columns = [*(map(written, texts[name]) for name in sorted(texts)), map(known.__getitem__, labels)]
    return list(map(f'{{"fields":{{{fields}}},"label":%s}}'.__mod__, zip(*columns, strict=True)))
