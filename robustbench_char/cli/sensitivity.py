"""`sensitivity`: how much each word's contextual representation shifts when its text is attacked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from robustbench_char.cli.options import Attacked, DataTask, Input, Json, Overwrite, with_options
from robustbench_char.common.options import keywords_of
from robustbench_char.tasks.sources import SourceOptions

if TYPE_CHECKING:
    from robustbench_char.records.sensitivity import SensitivityRecord

__all__ = ["sensitivity"]


Pooling = Literal["mean", "first"]
Stream = Literal["both", "subword", "character"]


@with_options
def sensitivity(
    *,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A folder that `finetune` wrote, an encoder's folder or hub id, or minilm."
        ),
    ],
    task: DataTask,
    attacked: Attacked,
    input: Input = None,
    source: SourceOptions,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="The folder for sensitivity.json and words.parquet (no text in them)."),
    ] = None,
    layer: Annotated[int, typer.Option(help="Hidden states to read: -1 the last layer, 0 the embeddings.")] = -1,
    pooling: Annotated[
        Pooling, typer.Option(help="Representation of a word: the mean of its sub-words, or the first.")
    ] = "mean",
    stream: Annotated[Stream, typer.Option(help="CharBERT only: both streams concatenated, or one.")] = "both",
    max_length: Annotated[
        int | None,
        typer.Option(
            min=8, help="Maximum sequence length in tokens (default: the system's own, or the model's limit)."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Use only the first examples.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Batch size; does not affect the result.")] = 32,
    profile: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Write the words of this example to profile.json (repeat for more)."),
    ] = None,
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Measure sensitivity S: the mean cosine distance of words before and after an attack (docs/metrics.md)."""
    import robustbench_char as rbc

    record = rbc.sensitivity(
        model,
        task=task,
        attacked=attacked,
        input=input,
        output=output,
        layer=layer,
        pooling=pooling,
        stream=stream,
        max_length=max_length,
        limit=limit,
        batch_size=batch_size,
        profile=profile or (),
        overwrite=overwrite,
        **keywords_of(source),
    ).record
    if json:
        typer.echo(record.model_dump_json(by_alias=True, indent=2))
    else:
        _print_table(record)


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
