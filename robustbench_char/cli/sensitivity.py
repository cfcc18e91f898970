"""`sensitivity`: how far the words of a text move in a model's eyes when the text is attacked."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustbench_char.cli.options import Data, DataDir, Hub, Input, Overwrite, Split, source_of

if TYPE_CHECKING:
    from robustbench_char.records.sensitivity import SensitivityRecord

__all__ = ["sensitivity"]


class Pooling(StrEnum):
    """How the pieces of a word become one vector."""

    mean = "mean"
    first = "first"


class Stream(StrEnum):
    """Which of CharBERT's streams is read."""

    both = "both"
    subword = "subword"
    character = "character"


def sensitivity(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A folder that `finetune` wrote, an encoder's folder or hub id, or minilm."
        ),
    ],
    task: Annotated[str, typer.Option(help="The task of the data (see `list`).")],
    attacked: Annotated[Path, typer.Option(help="The folder that `attack` wrote for these data.")],
    input: Input = None,
    data: Data = None,
    hub: Hub = False,
    split: Split = None,
    data_dir: DataDir = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="The folder for sensitivity.json and words.parquet (no text in them)."),
    ] = None,
    layer: Annotated[int, typer.Option(help="The hidden states to read: -1 the last layer, 0 the embeddings.")] = -1,
    pooling: Annotated[Pooling, typer.Option(help="A word is the mean of its pieces, or the first.")] = Pooling.mean,
    stream: Annotated[Stream, typer.Option(help="CharBERT: both streams side by side, or one.")] = Stream.both,
    max_length: Annotated[
        int | None,
        typer.Option(min=8, help="Sub-words that are read; default the system's own, or what the model holds."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Read the first examples only.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts at once; does not change the result.")] = 32,
    profile: Annotated[
        list[str] | None, typer.Option(help="Write the words of this example, by id, to profile.json; may be repeated.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Measure sensitivity S: the mean cosine distance of words before and after an attack (see docs/metrics.md)."""
    from robustbench_char.inference.sensitivity import measure_sensitivity
    from robustbench_char.tasks.registry import get_task

    record = get_task(task, "--task")
    source = source_of(record, input=input, data=data, hub=hub, split=split, data_dir=data_dir)
    found = measure_sensitivity(
        model,
        source,
        attacked,
        record,
        output=output,
        layer=layer,
        pooling=pooling.value,
        stream=stream.value,
        max_length=max_length,
        limit=limit,
        batch_size=batch_size,
        profiles=profile or (),
        overwrite=overwrite,
    )
    if json:
        typer.echo(found.record.model_dump_json(by_alias=True, indent=2))
    else:
        _print_table(found.record)


def _print_table(record: SensitivityRecord) -> None:
    from rich.console import Console
    from rich.table import Table

    title = f"S of {record.shown} on {record.task}, {record.attack.suite}, {record.examples:,} examples"
    table = Table("words", "S", "95%", "S / 2", "measured", "cut off", title=title)
    for row in record.summary:
        s, half = ("" if value is None else f"{value:.4f}" for value in (row.s, row.half))
        limits = row.note if row.low is None else f"{row.low:.4f} to {row.high:.4f}"
        table.add_row(_name(row.group, row.value), s, limits, half, f"{row.words:,}", f"{row.left_out:,}")
    Console().print(table)


def _name(group: str, value: str) -> str:
    return {"all": "all", "operator": f"hit by {value}", "word_length": f"{value} characters"}.get(group, value)
