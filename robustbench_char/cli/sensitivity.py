"""`sensitivity` and `fragility`: what an attack does to representations of words, and to pieces of a tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from robustbench_char.cli.options import Attacked, DataTask, Defence, Input, Json, Overwrite, command
from robustbench_char.cli.printing import echo, visible_console
from robustbench_char.tasks.sources import SourceOptions

if TYPE_CHECKING:
    from robustbench_char.inference.sensitivity import Sensitivity
    from robustbench_char.records.sensitivity import FragilityRecord

__all__ = ["fragility", "sensitivity"]

Pooling = Literal["mean", "first"]
Stream = Literal["both", "subword", "character"]


def _print_sensitivity(result: Sensitivity) -> None:
    record = result.record
    from rich.table import Table

    title = f"S of {record.shown} on {record.task}, {record.attack.suite}, {record.examples:,} examples"
    table = Table("words", "S", "95%", "S / 2", "measured", "cut off", title=title)
    for row in record.summary:
        s, half = ("" if value is None else f"{value:.4f}" for value in (row.s, row.half))
        limits = row.note if row.low is None else f"{row.low:.4f} to {row.high:.4f}"
        names = {"all": "all", "operator": f"hit by {row.value}", "word_length": f"{row.value} characters"}
        table.add_row(names.get(row.group, row.value), s, limits, half, f"{row.words:,}", f"{row.left_out:,}")
    visible_console().print(table)


@command("sensitivity", _print_sensitivity)
def sensitivity(
    *,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A folder that `finetune` wrote; the folder or hub id of an encoder, fine-tuned or not; or minilm.",
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
    defence: Defence = None,
    profile: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Write the words of this example to profile.json (repeat for more)."),
    ] = None,
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Measure sensitivity S: the mean cosine distance of words before and after an attack (docs/metrics.md)."""


def _print_fragility(record: FragilityRecord) -> None:
    echo(f"{record.tokenizer} on {record.task}: {_percent(record.split_words)} of {record.words:,} words split")
    if record.entities:
        echo(f"{_percent(record.split_entities)} of {record.entities:,} entities have a split word")
    for name, rows in (("nouns", record.nouns), ("distinct nouns", record.noun_types)):
        for row in rows:
            group = "" if row.group == "all" else f" of {row.group}"
            shares = (row.split, row.none_shared, row.pieces_changed, row.characters_changed)
            split, none_shared, pieces, characters = map(_percent, shares)
            echo(
                f"{row.words:,} {name}{group}: {split} split; after one deletion {none_shared} have no piece in "
                f"common, {pieces} of the pieces and {characters} of the characters of a word changed (mean)"
            )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}%"


@command("fragility", _print_fragility)
def fragility(
    *,
    tokenizer: Annotated[str, typer.Argument(metavar="BASE", help="minilm, a model's folder, or a hub id.")],
    task: Annotated[str, typer.Option(help="Tagging task: ptb_pos, conll2003, or your own.")] = "ptb_pos",
    input: Input = None,
    source: SourceOptions,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Output directory for fragility.json, which reports show (written atomically)."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the deletions.")] = 0,
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Measure the share of words, entities and nouns that a tokenizer splits, and what one deletion does to nouns."""
