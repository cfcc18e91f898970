"""`fragility`: what a tokenizer splits, and what one lost character does to its pieces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustbench_char.cli.options import Data, DataDir, Hub, Input, Overwrite, Split, source_of

if TYPE_CHECKING:
    from robustbench_char.records.sensitivity import FragilityRecord

__all__ = ["fragility"]


def fragility(
    tokenizer: Annotated[str, typer.Argument(metavar="BASE", help="minilm, a model's folder, or a hub id.")],
    task: Annotated[str, typer.Option(help="Tagging task: ptb_pos, conll2003, or your own.")] = "ptb_pos",
    input: Input = None,
    data: Data = None,
    hub: Hub = False,
    split: Split = None,
    data_dir: DataDir = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Output directory for fragility.json, which reports show (written atomically)."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the deletions.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Measure the share of words, entities and nouns that a tokenizer splits, and what one deletion does to nouns."""
    from robustbench_char.inference.fragility import measure_fragility
    from robustbench_char.tasks.registry import get_task

    chosen = get_task(task, "--task")
    source = source_of(chosen, input=input, data=data, hub=hub, split=split, data_dir=data_dir)
    record = measure_fragility(source, chosen, tokenizer, seed=seed, output=output, overwrite=overwrite)
    if json:
        typer.echo(record.model_dump_json(by_alias=True, indent=2))
    else:
        _print(record)


def _print(record: FragilityRecord) -> None:
    typer.echo(f"{record.tokenizer} on {record.task}: {_percent(record.split_words)} of {record.words:,} words split")
    if record.entities:
        typer.echo(f"{_percent(record.split_entities)} of {record.entities:,} entities have a split word")
    for name, rows in (("nouns", record.nouns), ("distinct nouns", record.noun_types)):
        for row in rows:
            group = "" if row.group == "all" else f" of {row.group}"
            shares = (row.split, row.none_shared, row.pieces_changed, row.characters_changed)
            split, none_shared, pieces, characters = map(_percent, shares)
            typer.echo(
                f"{row.words:,} {name}{group}: {split} split; after one deletion {none_shared} have no piece in "
                f"common, {pieces} of the pieces and {characters} of the characters of a word changed (mean)"
            )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}%"
