"""`verify`: check an attacked set against its clean file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustbench_char.cli.options import Data, DataDir, Hub, Input, Split

__all__ = ["verify"]


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `attack` wrote.")],
    input: Input = None,
    data: Data = None,
    hub: Hub = False,
    split: Split = None,
    data_dir: DataDir = None,
) -> None:
    """Replay the ledger both ways, and check labels, offsets, tags and hashes; name the first mismatch."""
    from robustbench_char.attack_sets import verify as check

    manifest = check(folder, input, data=data, hub=hub, split=split, data_dir=data_dir)
    typer.echo(f"{folder}: verified, {manifest.counts.edits:,} edits in {manifest.output.rows:,} examples")
