"""Extras that are not installed: one message with the line that installs them, from the command line and Python."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from robustbench_char.common.errors import InputError
from robustbench_char.common.extras import EXTRAS, installed, missing_extra, needed, require
from robustbench_char.common.registry import Registry, lazy_names

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def _no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)


def test_every_extra_is_one_of_the_package() -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRAS.values()) <= set(known)
    for extra in set(EXTRAS.values()):
        assert str(missing_extra(next(name for name in EXTRAS if EXTRAS[name] == extra))).endswith(
            f"pip install 'robustbench-char[{extra}]'."
        )


@pytest.mark.usefixtures("_no_torch")
def test_the_line_to_install_is_named() -> None:
    assert installed("json")
    assert not installed("torch")
    require("json", "subprocess")
    line = r"no package torch; expected the extra `models`\. Install it: pip install 'robustbench-char\[models\]'\.$"
    with pytest.raises(InputError, match=f"^installed packages: found {line}"):
        require("json", "torch")
    with pytest.raises(InputError, match=f"^--device: found {line}"):
        require("torch", place="--device")
    with pytest.raises(InputError, match=line), needed():
        import torch  # noqa: F401


def test_other_imports_that_fail_are_no_bad_input() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"), needed():
        import no_such_module  # noqa: F401


@pytest.mark.usefixtures("_no_torch")
def test_registries_and_lazy_names_name_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needing").mkdir()
    (tmp_path / "needing" / "torch_part.py").write_text("import torch.nn\n")
    monkeypatch.syspath_prepend(tmp_path)
    things: Registry[object] = Registry("thing")
    things.register("one", "needing.torch_part:one")
    with pytest.raises(InputError, match=r"robustbench-char\[models\]"):
        things.get("one")
    with pytest.raises(InputError, match=r"robustbench-char\[models\]"):
        lazy_names("needing", torch_part="one")("one")


def without_extras(folder: Path) -> dict[str, str]:
    """Return the environment of a process in which no extra can be imported."""
    code = f"import sys\nsys.modules.update(dict.fromkeys({list(EXTRAS)}))\n"
    (folder / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": f"{folder}:{ROOT}", "PATH": "/usr/bin:/bin"}


CALLS = """
import robustbench_char as rbc
from tools.core_only import write_inputs
import pathlib
write_inputs(pathlib.Path())
rbc.attack_file("mrpc", data="mini", suite="drop", output="attacked")
data, model = {"data": "mini"}, {"task": "mrpc", "labels": ["not_equivalent", "equivalent"]}
for call in (
    lambda: rbc.finetune("mrpc", base="model", output="out", **data),
    lambda: rbc.pretrain("bert_mlm", text="plain.txt", base="model", output="out"),
    lambda: rbc.convert("model", "out"),
    lambda: rbc.train_defence("wordrec", text="plain.txt", output="out"),
    lambda: rbc.defence_price("recogniser", task="mrpc", attacked="attacked", **data),
    lambda: rbc.load_model("model", **model),
    lambda: rbc.evaluate("model", **model, **data),
    lambda: rbc.check("model", output="out", **model, **data),
    lambda: rbc.sensitivity("model", task="mrpc", attacked="attacked", **data),
    lambda: rbc.fragility("model", **data),
    lambda: rbc.run("plain.yaml", output="out"),
):
    try:
        print(call())
    except rbc.InputError as error:
        print(error)
"""


def test_python_gets_the_message_too(tmp_path: Path) -> None:
    line, environment = [sys.executable, "-c", CALLS], without_extras(tmp_path)
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Install it: pip install 'robustbench-char[models]'.") == CALLS.count("lambda")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_every_command_in_an_installation_without_extras(tmp_path: Path) -> None:
    line = [sys.executable, str(ROOT / "tools" / "core_only.py")]
    done = subprocess.run(line, env=without_extras(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
