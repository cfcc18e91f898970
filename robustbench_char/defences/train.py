"""`train_defence`: defences made from text, of every kind that needs it. No torch before one is trained.

To add a kind: its function, which takes where text comes from and its options as keywords, and one line in `TRAINED`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Unpack

from pydantic import Field

from robustbench_char.common import InputError, Registry
from robustbench_char.common.options import Option, Options, fields_of, keywords_of, options_of
from robustbench_char.defences.channel.options import ChannelOptions, Ends
from robustbench_char.defences.opening import READY
from robustbench_char.defences.wordrec.options import AnswerOptions, BackOff, RecogniserKeywords, RecogniserOptions
from robustbench_char.tasks.base import Task
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import Input, as_read

__all__ = ["DefenceOptions", "TrainedKind", "own_options", "train_defence"]

TrainedKind = Literal["wordrec", "channel"]
_OPTIONS: dict[str, tuple[type[Options], ...]] = {
    "wordrec": (RecogniserOptions, AnswerOptions),
    "channel": (ChannelOptions,),
}

TRAINED: Registry[Callable[..., Path]] = Registry("kind of defence")
TRAINED.register("wordrec", "robustbench_char.defences.wordrec.train:train_recogniser")
TRAINED.register("channel", "robustbench_char.defences.channel:train_channel")


class DefenceOptions(AnswerOptions, RecogniserOptions, ChannelOptions):
    """The options of all kinds; each reads its own, and refuses those of the others. None stands for its default."""

    vocabulary: int | None = Field(  # type: ignore[assignment]
        None,
        ge=1,
        description="Known words: the most frequent (default: 10,000 of a word recogniser, 150,000 of a channel).",
    )
    limit: int | None = Field(
        None, ge=1, description="Read the first words of the text only (noisy channel: the first lines)."
    )


class DefenceKeywords(RecogniserKeywords, total=False):
    """The keywords of `DefenceOptions`, which says what they mean; None stands for the default."""

    seed: int | None
    back_off: BackOff | None
    background: Path | str | None
    keep_case: bool | None
    leave_numbers_and_punctuation: bool | None
    max_edits: Literal[1, 2] | None
    ends: Ends | None
    misspellings: Sequence[str] | None
    dictionary: bool | None


def train_defence(
    kind: TrainedKind,
    *,
    output: Path | str,
    text: Path | str | Sequence[Path | str] = (),
    task: Task | Path | str | None = None,
    input: Input | None = None,
    data: str | None = None,
    hub: bool = False,
    split: str | None = None,
    data_dir: Path | str | None = None,
    token_column: int | None = None,
    tag_column: int | None = None,
    convert_tags: bool = False,
    overwrite: bool = False,
    **options: Unpack[DefenceKeywords],
) -> Path:
    """Train a defence of a kind and write it to `output` atomically; return the folder.

    Words come from plain `text`, or from the texts of a `task`'s data, named as in `open_source`; of a channel from
    both, and from a dictionary. `options` are those of `DefenceOptions`. Raises InputError for bad input, and for an
    option of another kind.
    """
    own = own_options(kind, dict(options))
    if task is not None:
        layout = {"token_column": token_column, "tag_column": tag_column, "convert_tags": convert_tags}
        task = as_read(get_task(task, "--task"), layout)
    source = {"task": task, "input": input, "data": data, "hub": hub, "split": split, "data_dir": data_dir}
    return TRAINED.get(kind)(output=output, text=text, overwrite=overwrite, **source, **own)


def own_options(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that are not left to their default. Raises InputError for one that the kind leaves unread."""
    if kind in READY and kind not in TRAINED:
        fix = f"It needs no training: give `--defence {kind}` where a model is trained or scored."
        raise InputError("KIND", found=kind, expected=f"one of {', '.join(TRAINED)}", fix=fix)
    if kind not in TRAINED:
        TRAINED.get(kind, place="KIND")  # raises
    (chosen,) = options_of(options, DefenceOptions)
    given = keywords_of(chosen)
    read = {field.keyword for model in _OPTIONS[kind] for field in fields_of(model)}
    if unread := sorted(given.keys() - read):
        found, expected = f"an option that a defence of the kind {kind} does not have", "options of its own"
        raise InputError(Option(unread[0]), found=found, expected=expected, fix="Leave it out.")
    return given
