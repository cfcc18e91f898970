"""`pretrain`, `convert` and `finetune`: encoders from plain text or of the reference, and systems on a task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustbench_char.cli.options import Defence, Output, Overwrite, TaskName, command
from robustbench_char.cli.printing import echo
from robustbench_char.tasks.sources import SourceOptions
from robustbench_char.training.options import AugmentOptions, FinetuneOptions
from robustbench_char.training.pretraining.options import PretrainOptions

if TYPE_CHECKING:
    from robustbench_char.models.charbert.conversion import ConversionReport
    from robustbench_char.training.saved import PretrainedEncoder, SavedSystem

__all__ = ["convert", "finetune", "pretrain"]


def _print_pretrained(encoder: PretrainedEncoder, system: str) -> None:
    folder, name = encoder.folder, "charbert" if system == "characters" else system
    line = f"robustbench-char finetune TASK --system {name} --base {folder}"
    echo(f"{folder}: pre-trained; fine-tune it with `{line}`")


@command("pretrain", _print_pretrained)
def pretrain(
    *,
    system: Annotated[
        str, typer.Argument(metavar="SYSTEM", help="bert_mlm, advbert, charbert, or characters (of charbert).")
    ],
    text: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Plain text in UTF-8, one paragraph per line; may be repeated."),
    ] = None,
    words: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="characters: word list, one per line; may be repeated.")
    ] = None,
    output: Output,
    base: Annotated[
        str,
        typer.Option(help="minilm (extra `offline`), charbert-minilm, a model folder, a hub id, or an earlier output."),
    ] = "minilm",
    heldout: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Held-out text (default: every 100th line of --text).")
    ] = None,
    options: PretrainOptions,
    seed: Annotated[int, typer.Option(help="Random seed of noise, masks and training.")] = 0,
    store: Annotated[Path | None, typer.Option(help="Directory for checkpoints of unfinished runs.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Pre-train a system; rerun the same command to resume after a stop."""


def _print_converted(report: ConversionReport, output: Path) -> None:
    for key, names in report.used.items():
        echo(f"used       {key} -> {', '.join(names)}")
    for key in report.left_over:
        echo(f"left over  {key}")
    for name in report.missing:
        echo(f"missing    {name}")
    for warning in report.warnings:
        echo(f"warning: {warning}", err=True)
    echo(
        f"{output}: converted ({report.base_type}, {report.head}); {len(report.used)} keys used,"
        f" {len(report.left_over)} left over, {len(report.missing)} missing"
    )


@command("convert", _print_converted)
def convert(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT_DIR", help="A folder with config.json and pytorch_model.bin or model.safetensors."
        ),
    ],
    output: Output,
    char_vocab: Annotated[
        Path | None,
        typer.Option(help="The reference's character list; saves a processor, from the folder's tokenizer files too."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Convert a released CharBERT checkpoint (BERT or RoBERTa layout), and say what became of each key."""


def _print_finetuned(saved: SavedSystem) -> None:
    line = f"robustbench-char evaluate {saved.folder} --input FILE --output DIR"
    echo(f"{saved.folder}: trained; score it with `{line}`")


@command("finetune", _print_finetuned)
def finetune(
    *,
    task: TaskName,
    output: Annotated[
        Path | None, typer.Option(help="Output directory (default: one in the store, named by its hash).")
    ] = None,
    train: Annotated[Path | None, typer.Option(help="Training file in the task's native format.")] = None,
    source: SourceOptions,
    system: Annotated[str, typer.Option(help="System to train (see `list`).")] = "bert",
    base: Annotated[
        str, typer.Option(help="minilm (extra `offline`), a model folder, a hub id, or the output of `pretrain`.")
    ] = "minilm",
    label: Annotated[str | None, typer.Option(help="Name in reports (default: the system's).")] = None,
    defence: Defence = None,
    recogniser: Annotated[Path | None, typer.Option(help="Earlier name of --defence.")] = None,
    augment: AugmentOptions,
    options: FinetuneOptions,
    seed: Annotated[int, typer.Option(help="Random seed of training.")] = 0,
    store: Annotated[
        Path | None, typer.Option(help="Directory for unfinished runs, and for results without --output.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Fine-tune a system; rerun the same command to resume after a stop."""
