"""`fragility`: what a tokenizer splits, and what one lost character does to its pieces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustbench_char.cli.options import Input, Json, Overwrite, with_options
from robustbench_char.common.options import keywords_of
from robustbench_char.tasks.sources import SourceOptions

if TYPE_CHECKING:
    from robustbench_char.records.sensitivity import FragilityRecord

__all__ = ["fragility"]


@with_options
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
    import robustbench_char as rbc

    record = rbc.fragility(
        tokenizer, task=task, input=input, output=output, seed=seed, overwrite=overwrite, **keywords_of(source)
    )
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
