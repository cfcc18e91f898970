"""`verify`: check an attacked set against its clean file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustbench_char.cli.options import Data, DataDir, Hub, Input, Split, source_of

__all__ = ["verify"]


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `attack` wrote.")],
    input: Input = None,
    data: Data = None,
    hub: Hub = False,
    split: Split = None,
    data_dir: DataDir = None,
) -> None:
    """Replay the ledger both ways, check labels, offsets, tags and hashes; name the first wrong place."""
    from robustbench_char.attack_sets.manifest import read_manifest
    from robustbench_char.attack_sets.verify import verify as check

    source = source_of(
        read_manifest(folder).task_record, input=input, data=data, hub=hub, split=split, data_dir=data_dir
    )
    manifest = check(folder, source)
    typer.echo(f"{folder}: verified, {manifest.counts.edits:,} edits in {manifest.output.rows:,} examples")
