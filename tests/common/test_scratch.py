"""New folders take the place of earlier ones at once; what killed processes left goes, what is in use stays."""

from __future__ import annotations

import errno
import fcntl
import os
import re
from pathlib import Path

import pytest

from robustbench_char.common import InputError, scratch
from robustbench_char.common.files import machine_error, not_writable, output_folder, put_json


def write(target: Path, text: str, *, overwrite: bool = False) -> None:
    with output_folder(target, overwrite=overwrite) as folder:
        (folder / "a.txt").write_text(text)


def left(folder: Path, name: str, text: str) -> Path:
    """Write a folder that a killed process left."""
    (folder / name).mkdir()
    (folder / name / "a.txt").write_text(text)
    return folder / name


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    left(tmp_path, ".out.unfinished-abcdefgh", "half")
    left(tmp_path, ".out.replaced-abcdefgh", "earlier")
    left(tmp_path, "out", "one")
    write(tmp_path / "out", "one")
    assert names(tmp_path) == ["out"]


def test_what_was_moved_away_comes_back(tmp_path: Path) -> None:
    left(tmp_path, ".out.replaced-abcdefgh", "one")
    with pytest.raises(InputError, match="other content"):
        write(tmp_path / "out", "two")
    assert (tmp_path / "out" / "a.txt").read_text() == "one"
    assert names(tmp_path) == ["out"]


def test_what_is_being_written_or_is_the_users_stays(tmp_path: Path) -> None:
    hidden = (".out.unfinished-abcdefgh", ".out.notes-abcdefgh", ".out2.unfinished-a")
    kept = [left(tmp_path, name, "x") for name in hidden]
    lock = os.open(kept[0], os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    write(tmp_path / "out", "one")
    os.close(lock)
    assert names(tmp_path) == sorted([*(path.name for path in kept), "out"])


@pytest.mark.parametrize("at_once", [True, False])
def test_an_earlier_output_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool) -> None:
    if not at_once:
        monkeypatch.setattr(scratch, "_exchange", lambda *_: False)
    write(tmp_path / "out", "one")
    write(tmp_path / "out", "two", overwrite=True)
    assert (tmp_path / "out" / "a.txt").read_text() == "two"
    assert names(tmp_path) == ["out"]


def test_an_earlier_output_comes_back_where_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "out", "one")
    monkeypatch.setattr(scratch, "_exchange", lambda *_: False)
    replace = os.replace

    def full(source: Path, target: Path) -> None:
        if ".unfinished-" in source.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match=r"out: found it cannot be written \(No space left on device\)"):
        write(tmp_path / "out", "two", overwrite=True)
    assert (tmp_path / "out" / "a.txt").read_text() == "one"
    assert names(tmp_path) == ["out"]


def test_a_file_that_cannot_take_its_place_is_not_left_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    put_json(tmp_path / "run.json", {"a": 1})
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        put_json(tmp_path / "run.json", {"a": 2})
    assert names(tmp_path) == ["run.json"]


def test_errors_of_the_disk_are_told_from_others() -> None:
    told = machine_error(OSError(errno.EIO, "Input/output error", "x.txt"))
    assert str(told).startswith("x.txt: found it cannot be read or written (Input/output error); expected files")
    assert str(machine_error(OSError(errno.ENOSPC, "No space"))).startswith("the disk: found it cannot be")
    for error in (OSError(errno.ENOMEM, "Cannot allocate memory"), RuntimeError("CUDA error: out of memory"),
                  RuntimeError("unable to mmap: Cannot allocate memory (12)")):  # fmt: skip
        assert str(machine_error(error)).startswith("memory: found too little for this command")
    assert machine_error(ValueError("out of memory")) is None
    assert machine_error(FileNotFoundError(errno.ENOENT, "No such file", "x.txt")) is None


def test_errors_that_libraries_have_of_their_own_tell_the_reason(tmp_path: Path) -> None:
    said = r"out: found it cannot be written \(No space left on device\)"
    with pytest.raises(InputError, match=said), output_folder(tmp_path / "out"):
        raise Exception("I/O error: No space left on device (os error 28)")  # as tokenizers does
    with pytest.raises(ValueError, match="no error of the disk"), output_folder(tmp_path / "out"):
        raise ValueError("no error of the disk")
    told = str(not_writable(tmp_path / "missing" / "x", RuntimeError("iostream error"), "--store"))
    assert re.search(r"x: found it cannot be written \(iostream error; [\d,]+ MB free on that disk\)", told)
    assert names(tmp_path) == []
