"""Where data comes from: a user's files, the hub, or mini. Never one in place of another.

Every source is a file with a hash: hub data is pinned to a commit, kept in the cache folder of this package and read
again without the network; mini is part of the package.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypedDict, Unpack, cast

from pydantic import Field

from robustbench_char.common.errors import InputError, nearest
from robustbench_char.common.files import machine_error, output_folder
from robustbench_char.common.options import Called, Option, Options
from robustbench_char.common.scratch import scratch_folder
from robustbench_char.tasks.base import HubSource, NativeFile, Task
from robustbench_char.tasks.formats import TABLES, open_native
from robustbench_char.tasks.formats.memory import Rows, open_rows

__all__ = [
    "MINI_SPLITS",
    "MINI_TASKS",
    "MINI_TEXT",
    "Input",
    "LayoutKeywords",
    "LayoutOptions",
    "NamedSource",
    "SourceKeywords",
    "SourceOptions",
    "as_read",
    "mini_path",
    "open_source",
    "write_mini",
]

MINI_SPLITS = ("train", "dev", "test")
_GLUE = {split: f"{split}.tsv" for split in MINI_SPLITS}
_MINI_NAMES = {
    "squad_v1": {split: f"{split}-v1.1.json" for split in MINI_SPLITS},
    "squad_v2": {split: f"{split}-v2.0.json" for split in MINI_SPLITS},
    "cola": _GLUE, "mrpc": _GLUE, "qqp": _GLUE, "qnli": _GLUE,
    "conll2003": {"train": "train.txt", "dev": "valid.txt", "test": "test.txt"},
    "ptb_pos": {split: f"{split}.txt" for split in MINI_SPLITS},
}  # fmt: skip
MINI_TASKS = tuple(_MINI_NAMES)
_MINI = Path(__file__).with_name("mini")  # data of the package, which `python -m tools.mini` writes in the checkout
MINI_TEXT = _MINI / "text.txt"
"""Every text of mini's training splits once, one per line: what a demonstration pre-trains on."""
_ALIASES = {"validation": "dev", "valid": "dev"}


Input: TypeAlias = str | Path | NativeFile | Rows
"""A path, a file that is open, or rows in memory: a `datasets.Dataset`, a data frame, a list of dictionaries."""


class _NamedOptions(Options):
    """Where examples come from other than a file of the user's: one of the three, and a split of it."""

    data: str | None = Field(None, description="`mini`: the small generated data set of the task.")
    hub: Annotated[bool, Called(flag="--hub")] = Field(
        False, description="The task's data set on the Hugging Face hub."
    )
    split: str | None = Field(
        None, description="train, dev or test, of --hub, --data mini and --data-dir (default: dev; finetune: train)."
    )
    data_dir: Path | None = Field(
        None, description="ptb_pos: the treebank's folder of sections (LDC99T42; default: all, finetune: train)."
    )


class LayoutOptions(Options):
    """Where tokens and tags are in CoNLL files, and whether tags are converted."""

    token_column: int | None = Field(
        None, description="CoNLL files: the column of the words, from 0, -1 the last (default: 0)."
    )
    tag_column: int | None = Field(
        None, description="CoNLL files: the column of the gold tags, likewise (default: that of entities)."
    )
    convert_tags: Annotated[bool, Called(flag="--convert-tags")] = Field(
        False, description="Read entity tags in IOBES, BILOU or BMEWO as BIO2; an attacked file keeps them as they are."
    )


class SourceOptions(LayoutOptions, _NamedOptions):
    """The options of a command that reads data, besides --input."""


class LayoutKeywords(TypedDict, total=False):
    """Where tokens and tags are in files of the user's, and whether tags are converted: see `SourceOptions`."""

    token_column: int | None
    tag_column: int | None
    convert_tags: bool


class NamedSource(LayoutKeywords, total=False):
    """The keywords of `open_source` that name data other than a file of the user's and tell columns of one: see
    `SourceOptions`.
    """

    data: str | None
    hub: bool
    split: str | None
    data_dir: str | Path | None


class SourceKeywords(NamedSource, total=False):
    """The keywords of `open_source`: exactly one of `input`, `data`, `hub` and `data_dir`."""

    input: Input | None


def open_source(
    task: Task,
    *,
    input: Input | None = None,
    data: str | None = None,
    hub: bool = False,
    split: str | None = None,
    data_dir: str | Path | None = None,
    option: str = "--input",
    **layout: Unpack[LayoutKeywords],
) -> NativeFile:
    """Open one source of a task: the file or rows `input`, the treebank below `data_dir`, `data` mini, or the `hub`.

    An `input` that is open already is returned as it is; rows in memory become a file (see `open_rows`). `split` is
    train, dev or test (dev by default); of a treebank it may be all, which is the default there. `layout` are options
    of the task, as in `as_read`. Raises InputError unless exactly one source is named and it can be read; `option` is
    what the command calls `input`.
    """
    task = as_read(task, layout)
    asked = {option: input, "--data": data, "--hub": hub or None, "--data-dir": data_dir}
    named = [option for option, value in asked.items() if value is not None]
    if len(named) != 1:
        raise InputError(option, found=" and ".join(named) or "no data", expected="one source of data",
                         fix=f"Give one of {option} FILE, --hub, --data mini"
                             + (" or --data-dir FOLDER." if task.format == "ptb" else "."))  # fmt: skip
    if input is not None and split is not None:
        raise InputError("--split", found=f"{split!r} with a file", expected="no split: a file is read whole",
                         fix=f"Leave out --split, or {option}.")  # fmt: skip
    column = next((name for name in ("token_column", "tag_column") if layout.get(name) is not None), None)
    if column and (hub or not isinstance(input or data, str | Path) or Path(str(input)).suffix in TABLES):
        raise InputError(Option(column), found="a number of a column for a table or rows, whose columns have names",
                         expected="a CoNLL file", fix="Say it in `columns` of a task of your own.")  # fmt: skip
    if input is not None:
        return _opened(task, input, option)
    if data_dir is not None:
        return _treebank(task, Path(data_dir), split or "all")
    if data is not None:
        return _mini(task, data, _split(split or "dev", MINI_SPLITS))
    return _hub(task, split or "dev")


def as_read(task: Task, source: Mapping[str, Any]) -> Task:
    """Return the task with the options of its format that a call gave beside its data; they go before the task's own.

    Raises InputError for a task whose format has no such options.
    """
    given = {name: source[name] for name in LayoutKeywords.__optional_keys__ if source.get(name) not in (None, False)}
    if given and task.format != "conll":
        name = min(given)
        raise InputError(Option(name), found=f"{given[name]} with the task {task.name}",
                         expected="a task in CoNLL files", fix="Leave it out.")  # fmt: skip
    options = task.format_options | given
    return task.model_copy(update={"format_options": options}) if options != task.format_options else task


def _opened(task: Task, data: Input, option: str) -> NativeFile:
    if isinstance(data, str | Path):
        return open_native(task, Path(data), option=option)
    return cast(NativeFile, data) if hasattr(data, "rewrite") else open_rows(task, data)


def write_mini(task: str, output: str | Path, *, overwrite: bool = False) -> list[Path]:
    """Write the generated data set of a task (train, dev, test) in its native format to the folder `output`.

    Returns the files. Raises InputError for an unknown task, and for an output with other content.

    >>> [path.name for path in write_mini("cola", "mini")]
    ['train.tsv', 'dev.tsv', 'test.tsv']
    """
    files = [mini_path(task, split) for split in MINI_SPLITS]
    with output_folder(Path(output), overwrite=overwrite) as folder:
        for file in files:
            (folder / file.name).write_bytes(file.read_bytes())
    return [Path(output) / file.name for file in files]


def cache_folder() -> Path:
    """Return the folder that keeps what was downloaded; one of this process alone where it cannot be written."""
    import platformdirs

    folder = platformdirs.user_cache_path("robustbench-char")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _temporary_folder()
    return folder if os.access(folder, os.W_OK) else _temporary_folder()


@cache
def _temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="robustbench-char-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _split(name: str, known: tuple[str, ...]) -> str:
    name = _ALIASES.get(name, name)
    if name not in known:
        raise InputError("--split", found=f"the split {name!r}", expected=f"one of {', '.join(known)}",
                         fix=f"Choose one of them.{nearest(name, known)}")  # fmt: skip
    return name


def _treebank(task: Task, folder: Path, split: str) -> NativeFile:
    from robustbench_char.tasks.formats.ptb import PTB_SPLITS, PtbTrees

    if task.format != "ptb":
        raise InputError("--data-dir", found=f"a folder for {task.name}", expected="a folder of treebank sections",
                         fix="Give the file itself: --input FILE.")  # fmt: skip
    if not folder.is_dir():
        raise InputError(folder, found="no such folder", expected="a folder of treebank sections (LDC99T42)",
                         fix="Check the path given to --data-dir.")  # fmt: skip
    return PtbTrees(task, folder, _split(split, tuple(PTB_SPLITS)))


def _mini(task: Task, data: str, split: str) -> NativeFile:
    if data != "mini":
        raise InputError("--data", found=repr(data), expected="mini", fix="Give --data mini, or a file with --input.")
    if task.name not in MINI_TASKS:
        raise InputError("--data", found=f"the task {task.name}", expected=f"one of {', '.join(MINI_TASKS)}",
                         fix="Give a file of your own task with --input.")  # fmt: skip
    return open_native(task, mini_path(task.name, split))


def mini_path(task: str, split: str) -> Path:
    """Return the file of one split of mini, under its native name. Raises InputError for an unknown task or split."""
    for kind, name, known in (("task", task, MINI_TASKS), ("split", split, MINI_SPLITS)):
        if name not in known:
            raise InputError(f"mini {kind}", found=f"unknown {kind} {name!r}", expected=f"one of {', '.join(known)}",
                             fix=f"Correct the name.{nearest(name, known)}")  # fmt: skip
    return _MINI / task / _MINI_NAMES[task][split]


def _hub(task: Task, split: str) -> NativeFile:
    source = task.hub
    if source is None:
        expected, fix = "a task with one", "Give --input FILE, or write `hub` into the task's file."
        if task.format == "ptb":
            expected = "the Penn Treebank as licensed (LDC99T42)"
            fix = "Give its folder with --data-dir FOLDER, or use --data mini."
        raise InputError("--hub", found=f"the task {task.name}, which has no hub id", expected=expected, fix=fix)
    split = _split(split, tuple(source.splits))
    name = "-".join((source.path, source.config or "default", source.revision))
    folder = cache_folder() / "hub" / re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")
    path = folder / f"{task.name}-{split}.parquet"
    if not re.fullmatch(r"[0-9a-f]{40}", source.revision):
        path.unlink(missing_ok=True)  # a branch moves on; only a commit can be kept
    if not path.is_file():
        with scratch_folder(path) as scratch:
            _download(source, source.splits[split], scratch / path.name)
            os.replace(scratch / path.name, path)  # the file appears complete or not at all
    return open_native(task, path)


def _download(source: HubSource, split: str, path: Path) -> None:
    import datasets

    from robustbench_char.tasks.formats.table import normalise

    place = f"--hub {source.path}"
    if not Path(source.path).is_absolute() and Path(source.path).exists():
        # `datasets` would read it, and a folder of that name must not be taken for the hub.
        raise InputError(place, found="a local folder of that name", expected="the hub's data set",
                         fix="Run the command in another folder, or read local files with --input FILE.")  # fmt: skip
    try:
        data = datasets.load_dataset(source.path, name=source.config, split=split, revision=source.revision)
        with tempfile.TemporaryDirectory() as folder:
            data.to_parquet(Path(folder) / path.name)
            normalise(Path(folder) / path.name, path)
    except Exception as error:  # the hub's client fails in many ways: no network, a proxy, a repository that moved
        if told := machine_error(error):
            raise told from None
        reason = str(error).strip().split("\n")[0]
        raise InputError(place, found=f"{type(error).__name__}: {reason}",
                         expected=f"the data set at commit {source.revision[:12]}",
                         fix="Without the network, use --input FILE, or --data mini for a try.") from error  # fmt: skip
