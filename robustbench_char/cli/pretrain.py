"""`pretrain`: train one system on plain text."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustbench_char.cli.finetune import Precision
from robustbench_char.cli.options import Output, Overwrite

if TYPE_CHECKING:
    from typing import Literal

__all__ = ["CharacterCase", "NoisedWords", "UnknownTerms", "pretrain"]


class NoisedWords(StrEnum):
    """What advbert does with noised words."""

    predict = "predict"
    context = "context"


class UnknownTerms(StrEnum):
    """What charbert does with words beyond the term vocabulary."""

    ignore = "ignore"
    class_ = "class"


class CharacterCase(StrEnum):
    """What charbert's characters look like."""

    lowered = "lower"
    surface = "surface"


def pretrain(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="bert_mlm, advbert or charbert.")],
    text: Annotated[list[Path], typer.Option(help="Plain text in UTF-8, a paragraph a line; may be repeated.")],
    output: Output,
    base: Annotated[
        str,
        typer.Option(help="minilm (extra `offline`), a model folder, a hub id, or an earlier output to go on from."),
    ] = "minilm",
    heldout: Annotated[
        list[Path] | None, typer.Option(help="Held-out text; without it every 100th line of --text is held out.")
    ] = None,
    suite: Annotated[
        str, typer.Option(help="What noises words: an attack suite (bert_mlm reads clean text).")
    ] = "charbert_nlm_2020",
    noise: Annotated[float, typer.Option(help="Share of the suite's eligible words that are noised.")] = 0.15,
    mask: Annotated[float, typer.Option(help="Share of the sub-words that are masked, in whole words.")] = 0.10,
    steps: Annotated[int, typer.Option(help="Steps of training.")] = 1000,
    batch_size: Annotated[int, typer.Option(help="Blocks a step and process.")] = 16,
    block_size: Annotated[
        int | None, typer.Option(help="Sub-words a block; default 128, or what the base holds.")
    ] = None,
    lr: Annotated[float, typer.Option(help="Highest learning rate of what the base has.")] = 1e-4,
    new_lr: Annotated[float, typer.Option(help="Highest learning rate of what is new.")] = 1e-3,
    warmup: Annotated[float, typer.Option(help="Share of the steps over which the rates rise.")] = 0.1,
    weight_decay: Annotated[float, typer.Option(help="Weight decay, of neither biases nor norms.")] = 0.01,
    noised_words: Annotated[
        NoisedWords, typer.Option(help="advbert: predict the clean word's sub-words at noised ones, or only read them.")
    ] = NoisedWords.predict,
    term_vocab_size: Annotated[
        int | None, typer.Option(help="charbert: words that can be named; default 30000.")
    ] = None,
    unknown_terms: Annotated[
        UnknownTerms | None, typer.Option(help="charbert: ignore other words (default), or a class of their own.")
    ] = None,
    char_vocab_size: Annotated[
        int | None, typer.Option(help="charbert: characters that are told apart; default 1000.")
    ] = None,
    character_case: Annotated[
        CharacterCase | None, typer.Option(help="charbert: default lower on an uncased base, else surface.")
    ] = None,
    interaction: Annotated[
        bool | None,
        typer.Option("--interaction/--no-interaction", help="charbert: whether its streams meet after each layer."),
    ] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Keep the first layers of the base only.")] = None,
    seed: Annotated[int, typer.Option(help="The seed of noise, masks and training.")] = 0,
    precision: Annotated[
        Precision, typer.Option(help="auto: bf16 where the hardware computes it, else fp32.")
    ] = Precision.auto,
    evaluate_every: Annotated[
        int | None, typer.Option(help="Steps between scores on held-out text; default a tenth of --steps.")
    ] = None,
    heldout_blocks: Annotated[int, typer.Option(help="Blocks of held-out text that are scored.")] = 128,
    store: Annotated[Path | None, typer.Option(help="Where checkpoints of unfinished runs are kept.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Pre-train a system; after a stop, the same command goes on from the last checkpoint."""
    from robustbench_char.training.pretraining.run import pretrain as run

    bf16: bool | Literal["auto"] = "auto" if precision is Precision.auto else precision is Precision.bf16
    folder = run(
        system,
        texts=text,
        output=output,
        base=base,
        heldout=heldout,
        suite=suite,
        noise=noise,
        mask=mask,
        steps=steps,
        batch_size=batch_size,
        block_size=block_size,
        learning_rate=lr,
        new_learning_rate=new_lr,
        warmup=warmup,
        weight_decay=weight_decay,
        noised_words=noised_words.value,
        term_vocab_size=term_vocab_size,
        unknown_terms=unknown_terms.value if unknown_terms else None,
        char_vocab_size=char_vocab_size,
        character_case=character_case.value if character_case else None,
        interaction=interaction,
        layers=layers,
        seed=seed,
        bf16=bf16,
        evaluate_every=evaluate_every,
        heldout_blocks=heldout_blocks,
        store=store,
        overwrite=overwrite,
    )
    typer.echo(
        f"{folder}: pre-trained; fine-tune it with `robustbench-char finetune TASK --system {system} --base {folder}`"
    )
