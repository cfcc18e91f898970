"""Hashes, strict reading of files, output folders that are written atomically, and where shipped files are.

The one resolver of shipped declarations (attack suites, benchmark specs, published numbers): a name is looked up as a
path that the user gave, then inside the installed wheel, then in the checkout of an editable install. The working
directory is never searched.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from robustbench_char.common.errors import InputError, nearest
from robustbench_char.common.file_kinds import special_kind
from robustbench_char.common.scratch import move_to, scratch_folder

__all__ = [
    "check_file", "check_links", "check_output", "check_writable", "files_below", "find_declaration", "is_free",
    "is_ours", "machine_error", "not_writable", "opening_of", "other_content", "output_folder", "put_json", "read_json",
    "safe_name", "scratch_of", "sha256_bytes", "sha256_file", "shipped", "shipped_file", "whole_file", "write_json",
]  # fmt: skip

MARKERS = (
    "manifest.json", "record.json", "system.json", "pretraining.json", "recogniser.json", "defence.json", "index.html",
)  # fmt: skip
"""Files that say that this program wrote a folder: JSON with the number of its schema, a page that it generated."""
_GENERATOR = b'<meta name="generator" content="robustbench-char">'


_LARGEST = 1 << 28
"""Bytes of a file that is read at once, as JSON and lists of words are: far more than any has."""
_PACKAGE = Path(__file__).resolve().parent.parent
_SHIPPED = _PACKAGE / "_shipped"  # filled when the wheel is built, see pyproject.toml
_CHECKOUT = _PACKAGE.parent


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, as 64 hexadecimal digits; read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_file(path: Path, *, option: str = "--input", holding: str = "at least one example") -> Path:
    """Return `path` if it is a file that is not empty; else raise InputError. `holding`: what it was expected to."""
    if path.is_file() and path.stat().st_size:
        return path
    if special := special_kind(path):
        raise InputError(path, found=special.found, expected="a file",
                         fix=special.fix or f"Give {option} one of the files in it.")  # fmt: skip
    if path.exists():
        found, expected, fix = "an empty file", holding, f"Check the file given to {option}."
    else:
        found, expected, fix = "no such file", "an existing file", f"Check the path given to {option}."
    raise InputError(path, found=found, expected=expected, fix=fix)


def check_links(folder: Path, expected: str) -> None:
    """Raise InputError for a link that leads out of a folder: a stranger's may lead to files of the user."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(folder.resolve()):
            raise InputError(path, found=f"a link to {os.readlink(path)}", expected=expected,
                             fix="Put what it leads to in its place, or remove it.")  # fmt: skip


def files_below(folder: Path, name: str) -> Iterator[Path]:
    """Yield the files of a name in a folder and below it, but for hidden folders: they hold what is being written, or
    was left by a stop.
    """
    for path in folder.rglob(name):
        if not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def read_json(path: Path, text: str | None = None) -> Any:
    """Read one of our own JSON files, or its `text`. Raises InputError that names the line when it is malformed."""
    try:
        return json.loads(whole_file(path).decode() if text is None else text)
    except FileNotFoundError:
        raise InputError(path, found="no such file", expected="a JSON file", fix="Check the path.") from None
    except OSError as error:
        found = f"it cannot be read ({error.strerror or error})"
        raise InputError(path, found=found, expected="a JSON file", fix="Check path and permissions.") from None
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, a number of thousands of digits, depth
        place, fix = f"{path}:{getattr(error, 'lineno', 1)}", "Write the file again with the command that made it."
        raise InputError(place, found=f"malformed JSON ({error})", expected="a JSON file", fix=fix) from None


def whole_file(path: Path, most: int = _LARGEST) -> bytes:
    """Return a file that is read at once. Raises InputError for what is no file (a pipe, say) or has more bytes than
    `most`, OSError where there is none.
    """
    special = special_kind(path)
    reason, fix = (special.found, special.fix) if special else ("", "")
    if not special and (size := path.stat().st_size) > most:
        reason = f"{size:,} bytes; at most {most:,} are read"
    if reason:
        found = f"it cannot be read ({reason})"
        raise InputError(path, found=found, expected="a file", fix=fix or "Check path and permissions.")
    return path.read_bytes()


def opening_of(path: Path) -> bytes:
    """Return the first bytes of a file, none of what is no file."""
    with path.open("rb") if path.is_file() else BytesIO() as file:
        return file.read(4096)


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write readable JSON in a fixed layout: keys in the order given, floats at full precision."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def put_json(path: Path, value: Mapping[str, object]) -> None:
    """Write JSON as `write_json` does, atomically: a reader sees the old file or the new one, never a part."""
    scratch = scratch_of(path)
    scratch.unlink(missing_ok=True)  # of a folder from elsewhere it may be a link, which would be written through
    try:
        write_json(scratch, value)
        os.replace(scratch, path)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise


def scratch_of(path: Path) -> Path:
    """Return where `put_json` writes first."""
    return path.with_name(f".{path.name}")


def safe_name(name: str) -> str:
    """Return the last part of a file name or id, so that it can never point outside the folder it is written to."""
    cleaned = name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].replace("\x00", "")
    return cleaned if cleaned not in {"", ".", ".."} else "data"


def shipped(folder: str) -> dict[str, Path]:
    """Return the YAML files of a shipped folder (`attacks`, `benchmarks/suites`, ...), by their stem, sorted."""
    return {path.stem: path for path in sorted(_home(folder).glob("*.yaml"))}


def shipped_file(name: str) -> Path | None:
    """Return one shipped file by its path (`benchmarks/costs.jsonl`), or None where there is none."""
    return path if (path := _home(name)).is_file() else None


def shipped_folder(name: str) -> Path:
    """Return a shipped folder by its path (`weights/charbert-minilm`)."""
    return _home(name)


def _home(name: str) -> Path:
    """Return where something shipped lies: in the wheel, else in the checkout."""
    return _SHIPPED / name if (_SHIPPED / name).exists() else _CHECKOUT / name


def find_declaration(folder: str, name: str, *, place: str) -> Path:
    """Return the file that `name` stands for: a path ending in .yaml, or the stem of a shipped file.

    Raises InputError with the nearest shipped name.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if path.stem in {".", ".."}:  # outputs are called so
            raise InputError(place, found=f"a file called {path.name}", expected="a name before .yaml",
                             fix="Rename the file.")  # fmt: skip
        if path.is_file():
            return path
        raise InputError(place, found=f"no file {name}", expected="a YAML file", fix="Check the path.")
    known = shipped(folder)
    if name not in known:
        expected = f"one of {', '.join(known)}, or the path of a .yaml file"
        fix = f"Correct the name.{nearest(name, known)}"
        raise InputError(place, found=f"unknown name {name!r}", expected=expected, fix=fix)
    return known[name]


@contextmanager
def output_folder(
    target: Path,
    *,
    overwrite: bool = False,
    volatile: tuple[str, ...] = (),
    inputs: Iterable[Path] = (),
    earlier: Callable[[Path], bool] | None = None,
) -> Iterator[Path]:
    """Give a temporary folder to write into, and move it to `target` when the block ends without an error.

    When `target` exists with the same content, nothing is touched. When it differs, InputError is raised unless
    `overwrite`, which replaces only what this program wrote, and never a folder that holds one of `inputs` or in which
    the user stands. Files named in `volatile` (they hold times, hosts) are left out of the comparison. What `earlier`
    recognises as an earlier output is replaced without `overwrite`. A full disk, or one without the right to write, is
    an InputError too.
    """
    target = target.resolve()
    _keep_inputs(target, inputs)
    with _written(target), scratch_folder(target) as scratch:
        os.chmod(scratch, 0o755)  # mkdtemp makes folders that nobody else can read
        yield scratch
        known = earlier is not None and target.is_dir() and earlier(target)
        _put(scratch, target, overwrite=overwrite, volatile=volatile, known=known)


@contextmanager
def _written(target: Path) -> Iterator[None]:
    """Raise InputError where a file is not written below a folder, or another one not read, in this block."""
    try:
        yield
    except OSError as error:
        name = str(error.filename or target)
        if name.startswith((str(target), str(target.parent / f".{target.name}."))) or str(target).startswith(name):
            raise not_writable(target, error) from None
        found, fix = f"it cannot be read ({error.strerror or error})", "Check path and permissions."
        raise InputError(name, found=found, expected="a readable file", fix=fix) from None
    except Exception as error:  # safetensors and tokenizers have errors of their own for a full disk
        if not _OS_ERROR.search(str(error)) or isinstance(error, InputError):
            raise
        raise not_writable(target, error) from None


def check_writable(target: Path) -> None:
    """Raise InputError, before any work is done, when an output folder could not be written there."""
    target = target.resolve()
    with _written(target), scratch_folder(target):
        pass


def check_output(target: Path, *, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    """Raise InputError, before any work is done, when an output folder could not take the result of a new run.

    It cannot be written, holds one of `inputs`, or has other content, which `overwrite` replaces where it is ours.
    """
    check_writable(target)
    target = target.resolve()
    _keep_inputs(target, inputs)
    if not is_free(target):
        _check_replaceable(target, overwrite, "the result of this very run", _is_marked(target))


def is_free(target: Path) -> bool:
    """Return whether nothing is there, or an empty folder."""
    return not target.exists() or (target.is_dir() and not any(target.iterdir()))


def _keep_inputs(target: Path, inputs: Iterable[Path]) -> None:
    for path in inputs:
        if path.resolve().is_relative_to(target):
            found, expected = f"the input {path} in the output folder", "a folder of its own for the output"
            raise InputError(target, found=found, expected=expected, fix="Choose another --output.")


def _put(scratch: Path, target: Path, *, overwrite: bool, volatile: tuple[str, ...], known: bool) -> None:
    for path in scratch.rglob("*"):
        if path.is_file() and path.stat().st_mode & 0o777 == 0o600:
            path.chmod(0o644)  # some libraries write files that nobody else can read
    if target.is_dir() and _content(target, volatile) == _content(scratch, volatile):
        return
    if not is_free(target):
        ours = known or _is_marked(target) or _has_parts_of(target, scratch)
        _check_replaceable(target, overwrite or known, "one with the same content", ours)
    move_to(target, scratch)


def _check_replaceable(target: Path, overwrite: bool, kept: str, ours: bool) -> None:
    """Refuse to replace what the user did not ask to, or what this program did not write."""
    if not overwrite:
        raise other_content(target, kept)
    if not ours or Path.cwd().is_relative_to(target):
        found = "the working directory" if ours else "something that this program did not write"
        fix = "Choose another --output; --overwrite replaces earlier outputs only."
        raise InputError(target, found=found, expected="a new folder, or an earlier output", fix=fix)


def other_content(target: Path, kept: str) -> InputError:
    """Return the error for an output folder that holds something else than `kept`, which may stay."""
    if target.is_file():
        fix = "Choose another --output."
        return InputError(target, found="a file", expected="a folder for the output", fix=fix)
    found, fix = "an output folder with other content", "Choose another --output, or add --overwrite to replace it."
    return InputError(target, found=found, expected=f"a new folder, or {kept}", fix=fix)


def _is_marked(target: Path) -> bool:
    """Return whether one of the markers is there, and not another program's file of that name."""
    return any(is_ours(target / name) for name in MARKERS)


def _has_parts_of(target: Path, scratch: Path) -> bool:
    """Return whether a folder holds files of the names of an output alone, and no marker of another program."""
    strange = any((target / name).exists() and not is_ours(target / name) for name in MARKERS)
    return not strange and target.is_dir() and set(_content(target, ())) <= set(_content(scratch, ()))


def is_ours(path: Path, *keys: str) -> bool:
    """Return whether this program wrote a JSON file (of these keys) or a page; not so where it cannot be read."""
    try:
        if path.suffix == ".html":
            return _GENERATOR in opening_of(path)
        value = json.loads(whole_file(path).decode())
    except (InputError, OSError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and type(value.get("schema")) is int and {*keys} <= value.keys()


def _content(folder: Path, volatile: tuple[str, ...]) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in volatile)
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def not_writable(target: Path, error: Exception, option: str = "--output") -> InputError:
    """Return the error for a folder that cannot be written, for lack of permission or space; `option` names it."""
    found = f"it cannot be written ({_reason(target, error)})"
    fix = f"Free space, check path and permissions, or choose another {option}."
    return InputError(target, found=found, expected="a writable folder with free space", fix=fix)


_OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""How libraries written in Rust end the message of an error of the system."""


def _reason(target: Path, error: Exception) -> str:
    """Return what the system says, or where a library keeps that to itself (torch does) how much room there is."""
    if told := getattr(error, "strerror", None):
        return str(told)
    if number := _OS_ERROR.search(str(error)):
        return os.strerror(int(number[1]))
    there = next((folder for folder in (target, *target.parents) if folder.exists()), None)
    return f"{error}; {shutil.disk_usage(there).free >> 20:,} MB free on that disk" if there else str(error)


_MEMORY = re.compile(r"out of memory|allocate memory", re.IGNORECASE)
"""What torch says of the memory of a machine, or of its accelerator, that does not suffice."""
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EMFILE}


def machine_error(error: BaseException) -> InputError | None:
    """Return the error for a full or broken disk, missing rights, or too little memory; None for another."""
    named = isinstance(error, RuntimeError) and _MEMORY.search(str(error))  # torch has errors of its own
    if named or isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        fix, room = "Give fewer or shorter texts, or a smaller batch size.", "room for its files and batches"
        return InputError("memory", found="too little for this command", expected=room, fix=fix)
    if not isinstance(error, OSError) or error.errno not in _DISK:
        return None
    found = f"it cannot be read or written ({os.strerror(error.errno)})"
    fix = "Free space, check path, permissions and disk, and run the same command again."
    place = error.filename or "the disk"
    return InputError(place, found=found, expected="files that can be read and written", fix=fix)
