"""Bad input of a channel: one error each, with place, what was found, what was expected, and what to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures.dictionaries import small_dictionaries
from safetensors import SafetensorError
from typer.testing import CliRunner

from robustbench_char.attack_sets.attack import attack_file
from robustbench_char.cli.main import app
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.defences.channel import Channel, ChannelOptions, train_channel
from robustbench_char.defences.opening import open_defence

PLAIN = "the engineer was found in the village .\n" * 3


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(PLAIN)
    return path


def train(folder: Path, **keywords: Any) -> None:
    """Build a channel without a dictionary; after an error nothing may be there."""
    try:
        train_channel(output=folder / "channel", **{"dictionary": False, **keywords})
    finally:
        assert not (folder / "channel").exists()
        assert not [path for path in folder.iterdir() if path.is_dir() and path.name != "set"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"own\.txt: found an empty file; expected plain text.* Check the file given to `text=`"),
        (b"\n \n", r"text=: found no word seen twice; expected text to know words from"),
        (b"12 , 3,000 .\n", r"text=: found no word seen twice; expected text to know words from"),
        (b"no word comes again .\n", r"text=: found no word seen twice"),
        (b"the\n\x89PNG\x00\n", r"own\.txt:2: found (bytes that are not UTF-8|a zero byte)"),
        (b"the\0\n", r"own\.txt:1: found a zero byte, as binary files have; expected plain text in UTF-8"),
        ("the\ncafé\n".encode("latin-1"), r"own\.txt:2: found bytes that are not UTF-8"),
        ("the engineer".encode("utf-16"), r"own\.txt: found text in UTF-16; .*iconv"),
    ],
)
def test_text_that_is_none(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "own.txt").write_bytes(data)
    with pytest.raises(InputError, match=message):
        train(tmp_path, text=tmp_path / "own.txt")


def test_a_dictionary_does_not_hide_a_text_without_words(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("12 , 3,000 .\n")
    with small_dictionaries(tmp_path), pytest.raises(InputError, match="text=: found no word seen twice"):
        train(tmp_path, text=tmp_path / "own.txt", dictionary=True)


def test_no_text_at_all(tmp_path: Path) -> None:
    match = r"text=: found no word seen twice; .* Give more text, or do not leave out the dictionary"
    with pytest.raises(InputError, match=match):
        train(tmp_path)
    with pytest.raises(InputError, match=r"gone\.txt: found no such file"):
        train(tmp_path, text=tmp_path / "gone.txt")
    with pytest.raises(InputError, match=r"found a data set without a task"):
        train(tmp_path, data="mini")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"own\.tsv: found an empty file; expected two columns"),
        (b"\n\n", r"own\.tsv: found blank lines alone"),
        (b"teh\tthe\n\x00\x01\tb\n", r"own\.tsv:2: found a zero byte"),
        (b"teh\tthe\n\xff\xfe\tb\n", r"own\.tsv:2: found byte 0xff .* not UTF-8"),
        (b"teh\tthe\nrecieve\n", r"own\.tsv:2: found 1 column; expected two columns"),
        (b"teh\tthe\t5\n", r"own\.tsv:1: found 3 columns"),
        (
            b"alot\ta lot\n12\t21\nThe\tthe\n",
            r"own\.tsv: found no misspelling of a single word; expected .* Give a list",
        ),
    ],
)
def test_lists_of_misspellings(tmp_path: Path, text: Path, data: bytes, message: str) -> None:
    (tmp_path / "own.tsv").write_bytes(data)
    with pytest.raises(InputError, match=message):
        train(tmp_path, text=text, misspellings=[str(tmp_path / "own.tsv")])


def test_sources_of_misspellings_that_are_none(tmp_path: Path, text: Path) -> None:
    with pytest.raises(InputError, match=r"found no file 'codespel'; .* Did you mean 'codespell'"):
        train(tmp_path, text=text, misspellings=["codespel"])
    attack_file("cola", data="mini", suite="drop@0", seed=1, output=tmp_path / "set")
    with pytest.raises(InputError, match=r"set: found no misspelling of a single word"):
        train(tmp_path, text=text, misspellings=[str(tmp_path / "set")])


def test_misspellings_that_keep_no_ends(tmp_path: Path, text: Path) -> None:
    (tmp_path / "own.tsv").write_text("teh\tthe\n")
    with pytest.raises(
        InputError, match=r"own\.tsv: found no misspelling of a single word with its ends kept; expected"
    ):
        train(tmp_path, text=text, misspellings=[str(tmp_path / "own.tsv")], ends="kept")


def test_misspellings_are_read_before_the_text(tmp_path: Path) -> None:
    """A mistake in a short list is told at once, not after a long text is counted."""

    def lines() -> Any:
        raise AssertionError("the text was read")
        yield

    with pytest.raises(InputError, match="no file 'gone'"):
        Channel.build(ChannelOptions(dictionary=False, misspellings=("gone",)), lines())


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"vocabulary": 0}, r"vocabulary=: "),
        ({"vocabulary": 3_000_000}, r"vocabulary=: .*2000000|vocabulary=: .*2,000,000"),
        ({"max_edits": 3}, r"max_edits=: "),
        ({"ends": "free "}, r"ends=: "),
        ({"limit": 0}, r"limit=: "),
        ({"vocabulry": 5}, r"vocabulry=: found an unknown option.*Did you mean 'vocabulary'"),
    ],
)
def test_options_out_of_bounds(tmp_path: Path, text: Path, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train(tmp_path, text=text, **keywords)


def test_a_lexicon_beyond_memory(built: Path, tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustbench_char.defences.channel.files._memory", lambda: 16_000)
    message = r"different words, for which about 0\.0 GB of memory are needed; expected at most 0\.0 GB, .*"
    with pytest.raises(InputError, match=rf"^text=: found 7 {message} give `limit=`"):
        train(tmp_path, text=text)
    with pytest.raises(InputError, match=rf"lexicon\.parquet: found 11 {message} Build it with fewer words"):
        Channel.load(built)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    (folder / "own.tsv").write_text("teh\tthe\n")
    options = ChannelOptions(dictionary=False, misspellings=(str(folder / "own.tsv"),))
    Channel.build(options, [PLAIN]).save(folder / "channel")
    return folder / "channel"


FILES = ("lexicon.parquet", "pairs.parquet", "spelling.parquet", "listed.parquet", "errors.safetensors")


def altered(built: Path, folder: Path) -> Path:
    return Path(shutil.copytree(built, folder / "channel"))


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_missing_or_altered(built: Path, tmp_path: Path, name: str) -> None:
    folder = altered(built, tmp_path)
    with (folder / name).open("ab") as file:
        file.write(b"!")
    with pytest.raises(InputError, match=rf"{name}: found SHA-256 \w+; expected SHA-256 \w+, as defence\.json says"):
        Channel.load(folder)
    (folder / name).unlink()
    with pytest.raises(InputError, match=rf"{name}: found no such file; expected .* Copy the folder again"):
        open_defence(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"schema": 2},
            r"defence\.json: schema: found 2, of a newer version of robustbench-char; .*pip install --upgrade",
        ),
        ({"kind": "magic"}, r"defence\.json: kind: found 'magic'; expected one of"),
        ({"max_edits": 3}, r"defence\.json: max_edits: "),
        (
            {"colour": "red"},
            r"defence\.json: colour: found an unknown key; expected a file that `train-defence channel`",
        ),
        (None, r"defence\.json:1: found malformed JSON"),
        ({"training": {"misspellings": [1]}}, r"defence.json: training: found Value error, a record of what"),
        ({"training": {"options": None}}, r"defence.json: training: found Value error, a record of what"),
    ],
)
def test_a_defence_json_that_is_wrong(built: Path, tmp_path: Path, change: dict[str, Any] | None, message: str) -> None:
    path = altered(built, tmp_path) / "defence.json"
    value = json.loads(path.read_text())
    path.write_text("{" if change is None else json.dumps({**value, **change}))
    with pytest.raises(InputError, match=message):
        open_defence(path.parent)


def test_a_folder_that_holds_no_defence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"defence\.json: found no such file"):
        Channel.load(tmp_path)
    with pytest.raises(InputError, match=r"--defence: found neither defence\.json nor recogniser\.json"):
        open_defence(tmp_path)


def column(name: str, value: Callable[[pa.Table], Any]) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.column_names.index(name), name, value(table))


MISFITS: dict[str, tuple[str, Callable[[pa.Table], pa.Table]]] = {
    "words that are numbers": ("lexicon", column("word", lambda table: [list(range(len(table)))])),
    "a word twice": ("lexicon", column("word", lambda table: [["the"] * len(table)])),
    "no classes": ("lexicon", lambda table: table.slice(4)),
    "no frequencies": ("lexicon", lambda table: table.drop_columns(["frequency"])),
    "frequencies below 0": ("lexicon", column("frequency", lambda table: [[-1.0] * len(table)])),
    "frequencies that are text": ("lexicon", column("frequency", lambda table: [["x"] * len(table)])),
    "pairs of words that are not there": ("pairs", column("second", lambda table: [[99] * len(table)])),
    "pairs out of order": ("pairs", lambda table: table.take(list(range(len(table)))[::-1])),
    "no spellings": ("spelling", lambda table: table.slice(0, 0)),
    "spellings of other lengths": ("spelling", column("length", lambda table: [[9] * len(table)])),
    "listed words that are numbers": ("listed", column("word", lambda table: [[7] * len(table)])),
    "listed with probability 0": ("listed", column("probability", lambda table: [[0.0] * len(table)])),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_tables_that_do_not_fit_together(built: Path, tmp_path: Path, misfit: str) -> None:
    """Even with hashes that fit, as another program may write them."""
    folder = altered(built, tmp_path)
    name, change = MISFITS[misfit]
    path = folder / f"{name}.parquet"
    pq.write_table(change(pq.read_table(path)), path)
    file = json.loads((folder / "defence.json").read_text())
    file["files"][path.name] = sha256_file(path)
    (folder / "defence.json").write_text(json.dumps(file))
    with pytest.raises(InputError, match=r"channel: found tables that do not fit together .*; expected a channel"):
        Channel.load(folder)


@pytest.mark.parametrize("change", ["shape", "missing", "unknown"])
def test_an_error_model_that_is_none(built: Path, tmp_path: Path, change: str) -> None:
    from safetensors.numpy import load_file, save_file

    folder = altered(built, tmp_path)
    path = folder / "errors.safetensors"
    arrays = load_file(path)
    arrays["kinds"] = arrays["kinds"][:2].copy()
    if change != "shape":
        arrays["kind" if change == "unknown" else "share"] = arrays.pop("kinds")
    save_file(arrays, path)
    file = json.loads((folder / "defence.json").read_text())
    file["files"][path.name] = sha256_file(path)
    (folder / "defence.json").write_text(json.dumps(file))
    with pytest.raises(InputError, match="tables that do not fit together"):
        Channel.load(folder)


def test_output_is_not_written_over(tmp_path: Path, text: Path) -> None:
    train_channel(output=tmp_path / "out", text=text, dictionary=False)
    train_channel(output=tmp_path / "out", text=text, dictionary=False)  # it is this very one
    with pytest.raises(InputError, match="overwrite"):
        train_channel(output=tmp_path / "out", text=text, dictionary=False, max_edits=1)
    train_channel(output=tmp_path / "out", text=text, dictionary=False, max_edits=1, overwrite=True)
    with pytest.raises(InputError, match="found"):
        train_channel(output=text, text=text, dictionary=False, overwrite=True)


def command(*arguments: object) -> None:
    """Run a command; bad input, with which it exits with code 2, is raised."""
    answered = CliRunner().invoke(app, list(map(str, arguments)))
    if isinstance(answered.exception, Exception):
        raise answered.exception


def test_the_command_line_says_it_in_its_own_words(tmp_path: Path) -> None:
    path, output = tmp_path / "own.txt", tmp_path / "out"
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"found an empty file; expected plain text\. Check the file given to --text"):
        command("train-defence", "channel", "--output", output, "--text", path)
    path.write_text("1 2 3\n")
    with pytest.raises(InputError, match=r"^--text: found no word seen twice; expected text"):
        command("train-defence", "channel", "--output", output, "--text", path, "--no-dictionary")
    path.write_text(PLAIN)
    (tmp_path / "own.tsv").write_text("teh\n")
    with pytest.raises(InputError, match=r"own\.tsv:1: found 1 column"):
        command("train-defence", "channel", "--output", output, "--text", path, "--misspellings", tmp_path / "own.tsv")
    assert not output.exists()


def test_a_disk_that_fails_under_the_error_model(tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """safetensors has an error of its own for it."""

    def full(*_: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("robustbench_char.defences.channel.files.save_file", full)
    with pytest.raises(InputError, match=r"out: found it cannot be written .*No space left"):
        train_channel(output=tmp_path / "out", text=text, dictionary=False)
    assert not (tmp_path / "out").exists()
