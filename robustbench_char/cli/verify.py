"""`verify`: check an attacked set against its clean file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustbench_char.cli.options import Input, with_options
from robustbench_char.common.options import keywords_of
from robustbench_char.tasks.sources import SourceOptions

__all__ = ["verify"]


@with_options
def verify(
    *,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `attack` wrote.")],
    input: Input = None,
    source: SourceOptions,
) -> None:
    """Replay the ledger both ways, and check labels, offsets, tags and hashes; name the first mismatch."""
    import robustbench_char as rbc

    manifest = rbc.verify(folder, input, **keywords_of(source))
    typer.echo(f"{folder}: verified, {manifest.counts.edits:,} edits in {manifest.output.rows:,} examples")
