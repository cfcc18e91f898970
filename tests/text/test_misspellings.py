"""Lists of misspellings: a user's own, those of installed packages, and what is wrong with a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustbench_char.common import InputError, extras
from robustbench_char.text.misspellings import PACKAGED, misspellings_file, read_misspellings


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.tsv"
    path.write_bytes("\ufeffrecieve\treceive\r\n\nbeleive\tbelieve\nrecieve\treceive\nalot\ta lot".encode())
    expected = [("recieve", "receive"), ("beleive", "believe"), ("alot", "a lot")]
    assert read_misspellings(path) == read_misspellings(str(path)) == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"own.tsv: found an empty file; expected two columns.*--misspellings"),
        (b"\n \n", "found blank lines alone"),
        (b"teh\tthe\nab\0c\tabc\n", r"own.tsv:2: found a zero byte, as binary files have"),
        ("teh\tthe\ncaf\xe9\tcafe\n".encode("latin-1"), r"own.tsv:2: found byte 0xe9 .* not UTF-8"),
        (b"teh\tthe\nrecieve receive\n", r"own.tsv:2: found 1 column; expected two columns"),
        (b"teh\tthe\t3\n", r"own.tsv:1: found 3 columns"),
        (b"teh\t\n", r"own.tsv:1: found an empty column"),
        (b"teh\tteh\n", r"own.tsv:1: found 'teh' twice"),
        (b"<html><body>", "found an HTML page"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "own.tsv"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_misspellings(path)


def test_a_name_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--misspellings: found no file 'codespel'.*Did you mean 'codespell'"):
        read_misspellings("codespel")
    with pytest.raises(InputError, match="found a folder"):
        read_misspellings(tmp_path)


def test_packages_that_are_installed() -> None:
    """Every correction of an entry counts; the reason behind the last comma does not."""
    codespell = read_misspellings("codespell")
    assert {("recieve", "receive"), ("abbort", "abort"), ("abbort", "abbot")} <= set(codespell)
    assert all(wrong and right and wrong != right and "," not in wrong + right for wrong, right in codespell)
    nlpaug = read_misspellings("nlpaug")
    assert ("estime", "esteem") in nlpaug
    assert not any("_" in wrong + right for wrong, right in nlpaug)


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"no package codespell; .*pip install 'robustbench-char\[defences\]'"):
        misspellings_file("codespell")


def test_the_lists_are_read_without_their_packages() -> None:
    """Their code is never imported: codespell is under the GPL, and nlpaug brings torch."""
    import subprocess
    import sys

    code = (
        "import sys; from robustbench_char.text.misspellings import read_misspellings;"
        f"[read_misspellings(name) for name in {list(PACKAGED)}]; print(*sys.modules)"
    )
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"codespell_lib", "nlpaug", "torch"} & set(modules)
