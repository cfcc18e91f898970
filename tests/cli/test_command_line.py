"""The command line as a user runs it: a process, its output, its exit code."""

from __future__ import annotations

import errno
import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from robustbench_char.cli.listing import list_names
from robustbench_char.cli.main import main

PROGRAM = Path(sys.executable).with_name("robustbench-char")


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False)


def succeeds(*arguments: object, cwd: Path | None = None) -> str:
    done = run(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fails(*arguments: object, cwd: Path | None = None) -> str:
    """Return the one message of a failing command: exit code 2, no traceback, nothing on standard output."""
    done = run(*arguments, cwd=cwd)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


def run_here(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[object, str, str]:
    """Return exit code, output and errors of a command, run without a process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["robustbench-char", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
    return stopped.value.code, *capsys.readouterr()


def fails_here(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return the one message of a command that fails, run without a process of its own."""
    code, output, errors = run_here(capsys, *arguments)
    assert (code, output) == (2, "")
    return errors


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    for task in ("cola", "conll2003", "squad_v2"):
        succeeds("mini", task, "--output", folder / task)
    return folder


HEAVY = ("torch", "transformers", "datasets", "pandas", "pyarrow", "matplotlib", "scipy", "nlpaug", "requests")
MODULES = 700
"""Python modules that a quick answer may read; with pandas alone it would be a thousand."""


def modules_after(code: str) -> set[str]:
    """Return the modules that a process has read when it has run `code`."""
    code = f"{code}\nimport sys\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", ["--help", "--version", "list", "finetune --help", "run --help"])
def test_help_and_list_answer_quickly(arguments: str) -> None:
    """What takes time is reading libraries: none that is large, and few modules, whatever the machine."""
    main = f"import sys\nsys.argv[1:] = {arguments.split()}\nfrom robustbench_char.cli.main import main"
    modules = modules_after(f"{main}\ntry:\n    main()\nexcept SystemExit:\n    pass")
    assert modules.isdisjoint(HEAVY)
    assert len(modules) < MODULES


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert modules_after("import robustbench_char").isdisjoint((*HEAVY, "numpy"))


LIGHT = ("common", "text", "metrics", "attacks", "tasks", "attack_sets", "records", "analysis", "reports")


def test_light_rooms_do_not_load_torch() -> None:
    rooms = [importlib.import_module(f"robustbench_char.{name}") for name in LIGHT]
    names = [
        module.name
        for room in rooms
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
        if not module.name.endswith("__main__")
    ]
    assert len(names) > 60
    assert modules_after(f"import {', '.join(names)}").isdisjoint(("torch", "transformers", "nlpaug"))


def test_list_names_what_there_is() -> None:
    text = succeeds("list")
    for name in (
        "squad_v1",
        "ptb_pos",
        "charbert_2020",
        "pruthi_2019_random",
        "nat2021_ocr_tess3",
        "keyboard",
        "nlpaug_ocr",
        "bert",
        "qwertz",
        "treebank",
        "tagging_words",
    ):
        assert name in text
    assert "charbert_2020" not in succeeds("list", "tasks")
    assert "Did you mean 'suites'?" in fails("list", "suite")


def test_validate_all_names_what_it_cannot_check_without_an_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "codespell_lib", None)
    code, text, _ = run_here(capsys, "validate", "--all")
    assert code == 0
    assert "ok  suite charbert_2020\n" in text
    assert "--  suite human_typos: not checked: found no package codespell. Install it: pip install" in text
    assert "ok  suite human_typos" not in text


def test_validate_all_and_own_files(tmp_path: Path) -> None:
    text = succeeds("validate", "--all", cwd=tmp_path)
    assert "suite charbert_2020" in text
    assert "suite nat2021_typos" in text
    assert "task squad_v2" in text
    assert "prompt tagging for tagging" in text
    bad = tmp_path / "bad.yaml"
    bad.write_text("schema: 1\ndescription: x\noperators: {dorp: {}}\npositons: all\nstrength: {rate: 1.5}\n")
    message = fails("validate", bad)
    for part in ("bad.yaml", "Did you mean 'drop'", "Did you mean 'positions'?", "strength.rate"):
        assert part in message
    bad.write_text("schema: 1\ndescription: x\noperators: {drop: {}}\ntasks: {conll2004: {case: lower}}\n")
    assert "Did you mean 'conll2003'?" in fails("validate", bad)
    bad.write_text("schema: 1\ndescription: x\nmd5: []\nlicense: MIT\n")
    assert "Did you mean 'licence'?" in fails("validate", bad)
    bad.write_text("schema: 1\ndescription: x\nmd5: []\nlicence: MIT\n")
    assert "bad.yaml: suite of published operations" in succeeds("validate", bad)
    bad.write_text("schema: 1\nfamily: classification\nuser: '{fields}'\n")
    assert "found no placeholder {labels}" in fails("validate", bad)
    assert "found nothing to check" in fails("validate")


def test_attack_verify_show(data: Path, tmp_path: Path) -> None:
    clean = data / "conll2003" / "test.txt"
    text = succeeds(
        "attack",
        "conll2003",
        "--input",
        clean,
        "--suite",
        "charbert_2020",
        "--seed",
        3,
        "--output",
        "out",
        cwd=tmp_path,
    )
    assert "words edited" in text
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["edits.parquet", "manifest.json", "test.txt"]
    assert "verified" in succeeds("verify", "out", "--input", clean, cwd=tmp_path)
    shown = succeeds("show", "out", "-n", 3, cwd=tmp_path).splitlines()
    assert "out: charbert_2020" in shown[0]
    assert len(shown) == 4
    assert any("{+" in line or "[-" in line for line in shown)
    assert clean.read_text() != (tmp_path / "out" / "test.txt").read_text()


def test_attack_of_mini_needs_no_file(tmp_path: Path) -> None:
    succeeds("attack", "qqp", "--data", "mini", "--split", "test", "--suite", "mixed@0.2", "--output", tmp_path / "out")
    assert "verified" in succeeds("verify", tmp_path / "out", "--data", "mini", "--split", "test")


def test_operations_are_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean, operations = tmp_path / "clean.txt", tmp_path / "dev_ops.txt"
    clean.write_text("Anna B-PER\nwrote O\n")
    operations.write_text("---- \nd---i e\n")
    command = ("attack", "conll2003", "--input", clean, "--operations", operations, "--output", tmp_path / "out")
    assert "dev_ops.txt:2: found operations for 4" in fails_here(capsys, *command, "--suite", "operations")
    operations.write_text("---- \nd----i e\n")
    assert "found 2 suites with --operations" in fails_here(capsys, *command, "--suite", "operations,nat2021_typos")
    text = succeeds(*command, "--suite", "operations")
    assert (
        "operations, 1 of 2 words edited (50.0% of the eligible words, character error rate 20.00%), 1 examples, MD5 "
        in text
    )
    assert "(none given to compare with)" in text
    assert "Anna [-w-]rote{+e+}" in succeeds("show", tmp_path / "out")


def test_a_sweep_writes_one_folder_a_strength(data: Path, tmp_path: Path) -> None:
    succeeds(
        "attack",
        "cola",
        "--input",
        data / "cola" / "dev.tsv",
        "--suite",
        "pruthi_2019_random",
        "--output",
        tmp_path / "out",
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "pruthi_2019_random@1",
        "pruthi_2019_random@2",
    ]


def test_fields_may_be_repeated_or_separated(data: Path, tmp_path: Path) -> None:
    common = ("attack", "squad_v2", "--input", data / "squad_v2" / "dev-v2.0.json", "--suite", "drop@0.3", "--output")
    succeeds(*common, tmp_path / "a", "--fields", "question,context")
    succeeds(*common, tmp_path / "b", "--fields", "context", "--fields", "question")
    assert (tmp_path / "a" / "dev-v2.0.json").read_bytes() == (tmp_path / "b" / "dev-v2.0.json").read_bytes()


def test_bad_input_ends_with_one_message(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean, out = data / "cola" / "dev.tsv", tmp_path / "out"
    attack = ("attack", "cola", "--output", out)
    html = tmp_path / "page.tsv"
    html.write_text("<!DOCTYPE html>\n<html><body>404</body></html>\n")
    latin = tmp_path / "latin.tsv"
    latin.write_bytes("src\t1\t\tNaïve.\n".encode("latin-1"))
    empty = tmp_path / "empty.tsv"
    empty.write_bytes(b"")
    cases = {
        "Did you mean 'cola'?": ("attack", "colla", "--input", clean, "--suite", "drop", "--output", out),
        "Did you mean 'drop'?": (*attack, "--input", clean, "--suite", "dropp"),
        "expected a rate in [0, 1]": (*attack, "--input", clean, "--suite", "drop@2"),
        "no such file": (*attack, "--input", tmp_path / "none.tsv", "--suite", "drop"),
        "HTML": (*attack, "--input", html, "--suite", "drop"),
        "UTF-8": (*attack, "--input", latin, "--suite", "drop"),
        "an empty file": (*attack, "--input", empty, "--suite", "drop"),
        "unknown field 'sentense'": (*attack, "--input", clean, "--suite", "drop", "--fields", "sentense"),
        "one source of data": (*attack, "--suite", "drop"),
        "LDC99T42": ("attack", "ptb_pos", "--hub", "--suite", "drop", "--output", out),
        "cannot be written": ("attack", "cola", "--input", clean, "--suite", "drop", "--output", "/proc/nowhere/out"),
        "a folder that `attack` wrote": ("verify", tmp_path, "--input", clean),
        "found no such folder": ("report", tmp_path / "none", "--output", out),
    }
    for expected, arguments in cases.items():
        message = fails_here(capsys, *arguments)
        assert expected in message, (arguments, message)
        assert message.startswith("error: ")
        assert not out.exists()
    assert fails(*cases["LDC99T42"]) == fails_here(capsys, *cases["LDC99T42"])  # a process says the same


def test_wrong_options_end_with_code_2() -> None:
    assert run("attack", "cola", "--seed", "one").returncode == 2
    assert run("nonsense").returncode == 2


def test_an_interrupt_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("robustbench_char.cli.listing._kinds", stopped)
    monkeypatch.setattr(sys, "argv", ["robustbench-char", "list"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().err) == (130, "interrupted; rerun the same command to resume\n")


def test_a_kind_without_names_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("robustbench_char.records.predictors.registered", list)
    list_names("predictors")
    assert capsys.readouterr().out == "predictors:\n  none\n"


@pytest.mark.parametrize("error", [
    MemoryError(), type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), RuntimeError("a fault"),
], ids=str)  # fmt: skip
def test_memory_that_does_not_suffice_is_told_without_a_traceback(
    error: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def app() -> None:
        raise error

    monkeypatch.setattr("robustbench_char.cli.main.app", app)
    if str(error) == "a fault":
        with pytest.raises(RuntimeError, match="a fault"):
            main()
    else:
        assert fails_here(capsys, "list").startswith("error: memory: found too little for this command; expected room")


def test_a_disk_that_fails_is_told_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever that shows; an error of the program itself keeps its traceback."""

    def fail(number: int) -> None:
        def app() -> None:
            raise OSError(number, os.strerror(number), "out/logs")

        monkeypatch.setattr("robustbench_char.cli.main.app", app)

    fail(errno.ENOSPC)
    assert fails_here(capsys, "list").startswith("error: out/logs: found it cannot be read or written (No space left")
    fail(errno.ENOENT)
    with pytest.raises(FileNotFoundError):
        main()
