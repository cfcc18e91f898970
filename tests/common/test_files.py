"""Output folders appear whole or not at all; names stay inside their folder; errors survive a process border."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_char.common import InputError, Registry, nearest
from robustbench_char.common.files import (
    check_file,
    check_output,
    find_declaration,
    is_ours,
    output_folder,
    put_json,
    read_json,
    safe_name,
    scratch_of,
    shipped,
)
from robustbench_char.common.yaml_model import read_yaml


def write(target: Path, text: str, **options: object) -> None:
    with output_folder(target, **options) as folder:  # type: ignore[arg-type]
        (folder / "a.txt").write_text(text)


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "out", "one")
    assert (tmp_path / "deep" / "out" / "a.txt").read_text() == "one"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def test_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), output_folder(tmp_path / "out") as folder:  # noqa: PT012 (two steps are the case)
        (folder / "a.txt").write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_equal_content_is_left_alone_and_other_content_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "out", "one")
    stamp = (tmp_path / "out" / "a.txt").stat().st_mtime_ns
    write(tmp_path / "out", "one")
    assert (tmp_path / "out" / "a.txt").stat().st_mtime_ns == stamp
    with pytest.raises(InputError, match=r"output folder with other content.*--overwrite"):
        write(tmp_path / "out", "two")
    assert (tmp_path / "out" / "a.txt").read_text() == "one"
    write(tmp_path / "out", "two", overwrite=True)
    assert (tmp_path / "out" / "a.txt").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    write(tmp_path / "out", "three", volatile=("a.txt",))
    assert (tmp_path / "out" / "a.txt").read_text() == "two"


def test_overwrite_replaces_only_what_this_program_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("keep")
    (tmp_path / "file").write_text("keep")
    for name in ("mine", "file"):
        with pytest.raises(InputError, match=r"did not write.*--overwrite replaces earlier outputs only"):
            write(tmp_path / name, "one", overwrite=True)
    assert (tmp_path / "mine" / "precious.txt").read_text() == (tmp_path / "file").read_text() == "keep"
    write(tmp_path / "out", "one")
    monkeypatch.chdir(tmp_path / "out")
    with pytest.raises(InputError, match="the working directory"):
        write(Path(), "two", overwrite=True)
    assert Path("a.txt").read_text() == "one"


def test_an_input_never_lies_in_the_output(tmp_path: Path) -> None:
    write(tmp_path / "out", "one")
    for path in (tmp_path / "out", tmp_path / "out" / "a.txt"):
        with pytest.raises(InputError, match=r"the input .* in the output folder"):
            write(tmp_path / "out", "two", overwrite=True, inputs=[path])
    assert (tmp_path / "out" / "a.txt").read_text() == "one"


def test_a_link_as_the_output_leads_to_its_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(tmp_path / "link", "one")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a.txt").read_text() == "one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="out: found a file; expected a folder for the output"):
        write(tmp_path / "out", "one")
    assert (tmp_path / "out").read_text() == "a file"


def test_not_writable() -> None:
    with pytest.raises(InputError, match="/proc/none/out: found it cannot be written"):
        write(Path("/proc/none/out"), "one")


def test_an_unreadable_input_is_not_called_an_unwritable_output(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"/nowhere/in\.txt: found it cannot be read"), output_folder(tmp_path / "out"):
        Path("/nowhere/in.txt").read_text()


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """The limit on file size makes writing fail as a full disk does, in the middle of a file."""
    (tmp_path / "in.tsv").write_text("src\t1\t\tThe ferry left the harbour before sunrise.\n" * 500)
    program = Path(sys.executable).with_name("robustbench-char")
    done = subprocess.run(
        [program, "attack", "cola", "--input", "in.tsv", "--suite", "drop", "--output", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        env={"PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert done.returncode == 2, done.stderr
    assert "out: found it cannot be written (" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.tsv"]


@given(st.text())
def test_a_safe_name_is_one_part_of_a_path(name: str) -> None:
    safe = safe_name(name)
    assert safe not in ("", ".", "..")
    assert "/" not in safe
    assert "\\" not in safe
    assert "\0" not in safe


@pytest.mark.parametrize(
    ("name", "safe"), [("../../etc/passwd", "passwd"), ("a\\b.tsv", "b.tsv"), ("..", "data"), ("", "data")]
)
def test_safe_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_check_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for name, match in (("none", "no such file"), ("", "found a folder"), ("empty", "an empty file")):
        with pytest.raises(InputError, match=match):
            check_file(tmp_path / name)


def test_malformed_json_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{\n"a": 1,\n}')
    with pytest.raises(InputError, match=r"x\.json:3: found malformed JSON"):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, '{"a": ' * 100_000, "\x00", "[1,"])
def test_json_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=r"x\.json:1: found malformed JSON"):
        read_json(tmp_path / "x.json")


def test_json_that_is_no_file(tmp_path: Path) -> None:
    """Neither is waited for, nor read without end."""
    (tmp_path / "loop.json").symlink_to("loop.json")
    (tmp_path / "manifest.json").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "record.json")
    os.mkfifo(tmp_path / "index.html")
    kinds = {".": "a folder", "loop.json": "a link to nothing", "manifest.json": "a device", "record.json": "a pipe"}
    for name, kind in kinds.items():
        with pytest.raises(InputError, match=rf"found it cannot be read \({kind}\)"):
            read_json(tmp_path / name)
    assert not any(is_ours(tmp_path / name) for name in [*kinds, "index.html"])
    with pytest.raises(InputError, match="other content"):
        check_output(tmp_path, overwrite=False)


def test_json_of_any_size(tmp_path: Path) -> None:
    """A file with nothing in it can be of any size, and takes no room on the disk."""
    with (tmp_path / "record.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match=r"found it cannot be read \(1,099,511,627,776 bytes; at most 268,435,456"):
        read_json(tmp_path / "record.json")


def test_other_files_of_any_size(tmp_path: Path) -> None:
    """Suites are told; of a page no more than its beginning is read."""
    for name in ("suite.yaml", "index.html"):
        with (tmp_path / name).open("wb") as file:
            file.write(b"name: x\n" * 2000)
            file.truncate(1 << 40)
    with pytest.raises(
        InputError, match=r"suite\.yaml: found it cannot be read \(1,099,511,627,776 bytes; at most 4,194,304"
    ):
        read_yaml(tmp_path / "suite.yaml")
    assert not is_ours(tmp_path / "index.html")


def test_json_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    scratch_of(tmp_path / "run.json").symlink_to("mine")
    put_json(tmp_path / "run.json", {"schema": 1})
    assert (tmp_path / "mine").read_text() == "kept"
    assert read_json(tmp_path / "run.json") == {"schema": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "run.json"]


def test_what_killed_processes_left_is_a_folder(tmp_path: Path) -> None:
    """A pipe of that name would be waited for, a link would lead elsewhere."""
    (tmp_path / "mine").mkdir()
    os.mkfifo(tmp_path / ".out.unfinished-abcdefgh")
    (tmp_path / ".out.replaced-abcdefgh").symlink_to("mine")
    with output_folder(tmp_path / "out") as folder:
        (folder / "a.txt").write_text("a")
    assert (tmp_path / "out" / "a.txt").is_file()
    assert not (tmp_path / "out").is_symlink()


def test_an_error_survives_a_process_border() -> None:
    error = InputError("file:3", found="x", expected="y", fix="Do z.")
    rebuild, arguments = error.__reduce__()
    again = rebuild(*arguments)  # type: ignore[operator, misc]
    assert (str(again), again.place) == (str(error), "file:3")
    assert str(error) == "file:3: found x; expected y. Do z."


def test_what_nobody_reads_to_the_end_is_shortened() -> None:
    error = InputError("a.tsv:1", found="x" * 10**6, expected=f"one of {'y' * 10**6}", fix=f"Say {'z' * 10**6}.")
    assert str(error).startswith("a.tsv:1: found xxx")
    assert "x … (1,000,000 characters) … x" in str(error)
    assert len(str(error)) < 2000
    many = [f"line {number}: {'x' * 200}" for number in range(100)]
    assert str(InputError("p" * 10**6, found="x", expected="y", fix="\n".join(many))).endswith(
        "\n".join(many)[-20_000:]
    )


def test_registry() -> None:
    registry: Registry[object] = Registry("thing")
    registry.register("path", "pathlib:Path")
    registry.register("path", "pathlib:Path")
    with pytest.raises(ValueError, match="thing 'path' is already registered"):
        registry.register("path", "pathlib:PurePath")
    assert registry.get("path") is Path
    assert "path" in registry
    with pytest.raises(
        InputError, match=r"unknown thing 'pth'; expected one of path\. Correct the name\. Did you mean 'path'"
    ):
        registry.get("pth")


def test_nearest() -> None:
    assert nearest("keybord", ["drop", "keyboard"]) == " Did you mean 'keyboard'?"
    assert nearest("zzz", ["drop"]) == ""


def test_resolver_never_looks_into_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "attacks").mkdir()
    (tmp_path / "attacks" / "mine.yaml").touch()
    monkeypatch.chdir(tmp_path)
    assert "charbert_2020" in shipped("attacks")
    with pytest.raises(InputError, match="unknown name 'mine'"):
        find_declaration("attacks", "mine", place="--suite")
    with pytest.raises(InputError, match=r"no file none\.yaml"):
        find_declaration("attacks", "none.yaml", place="--suite")
    for name in ("...yaml", "...yml", "....yaml"):
        (tmp_path / name).write_text("schema: 1\n")
    for name in ("...yaml", "...yml"):
        with pytest.raises(InputError, match=rf"found a file called {re.escape(name)}; expected a name before \.yaml"):
            find_declaration("attacks", str(tmp_path / name), place="--suite")
    assert find_declaration("attacks", "....yaml", place="--suite").stem == "..."
    assert find_declaration("attacks", "attacks/mine.yaml", place="--suite") == Path("attacks/mine.yaml")
