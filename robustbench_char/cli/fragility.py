"""`fragility`: what a tokenizer splits, and what one lost character does to its pieces."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from robustbench_char.cli.options import Data, DataDir, Hub, Input, Split, source_of

__all__ = ["fragility"]


def fragility(
    tokenizer: Annotated[str, typer.Argument(metavar="BASE", help="minilm, a model's folder, or a hub id.")],
    task: Annotated[str, typer.Option(help="A tagging task: ptb_pos, conll2003, or your own.")] = "ptb_pos",
    input: Input = None,
    data: Data = None,
    hub: Hub = False,
    split: Split = None,
    data_dir: DataDir = None,
    seed: Annotated[int, typer.Option(help="The seed of the deletions.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Measure the share of words, entities and nouns that a tokenizer splits, and what one deletion does to nouns."""
    from robustbench_char.inference.fragility import measure_fragility
    from robustbench_char.tasks.registry import get_task

    record = get_task(task, "--task")
    source = source_of(record, input=input, data=data, hub=hub, split=split, data_dir=data_dir)
    found = measure_fragility(source, record, tokenizer, seed=seed)
    if json:
        import json as writer

        typer.echo(writer.dumps(found, indent=2))
    else:
        _print(found)


def _print(found: dict[str, Any]) -> None:
    typer.echo(
        f"{found['tokenizer']} on {found['task']}: {_percent(found['split_words'])} of {found['words']:,} words split"
    )
    if found["entities"]:
        typer.echo(f"{_percent(found['split_entities'])} of {found['entities']:,} entities have a split word")
    for name, rows in (("nouns", found["nouns"]), ("distinct nouns", found["noun_types"])):
        for row in rows:
            group = "" if row["group"] == "all" else f" of {row['group']}"
            names = ("split", "none_shared", "pieces_changed", "characters_changed")
            split, none_shared, pieces, characters = (_percent(row[key]) for key in names)
            typer.echo(
                f"{row['words']:,} {name}{group}: {split} split; after one deletion {none_shared} have no piece in "
                f"common, {pieces} of the pieces and {characters} of the characters of a word changed (mean)"
            )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}%"
