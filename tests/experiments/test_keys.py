"""Keys: stable ids of what was computed, so that moved or reworded code makes no result again."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import robustbench_char as rbc
from robustbench_char.common.systems import SYSTEMS
from robustbench_char.experiments import run as benchmark
from robustbench_char.experiments._stages import STAGES, package_sha256
from robustbench_char.tasks.sources import mini_path

Write = Callable[..., str]

WIDE = {
    "systems": {"bert": {}, "advbert": {}, "bert_wordrec": {}, "bert_aug": {}},
    "text": ["mini"],
    "sensitivity": {"suites": ["drop"]},
}
"""Jobs of every stage but those of predictors."""


def keys(spec: str, folder: Path) -> dict[str, str]:
    return benchmark.plan(spec, store=folder / "store").plan.keys


def test_no_key_holds_the_place_of_code(write_spec: Write, tmp_path: Path) -> None:
    """No module, class or file of the package: `finetune/1` says what was computed."""
    plan = benchmark.plan(write_spec(**WIDE), store=tmp_path / "store").plan
    for name, decides in plan.decides.items():
        text = json.dumps(decides)
        assert "robustbench_char" not in text, name
        assert ".py" not in text, name
        stage = plan.jobs[name].stage
        assert decides["stage"] == f"{stage}/{STAGES.get(stage).version}"


def test_a_raised_version_changes_its_stage_and_what_needs_it(
    write_spec: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write_spec(**WIDE)
    before = keys(spec, tmp_path)
    monkeypatch.setitem(STAGES._entries, "predict", dataclasses.replace(STAGES.get("predict"), version=2))
    changed = {name.partition("/")[0] for name, key in keys(spec, tmp_path).items() if before[name] != key}
    assert changed == {"predict", "score"}


@pytest.mark.parametrize("system", ["bert_aug", "advbert"])
def test_a_raised_recipe_changes_the_training_of_its_systems(
    system: str, write_spec: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pre-training too, if it has one."""
    spec = write_spec(systems={"bert": {}, "bert_aug": {}, "advbert": {}}, text=["mini"])
    before = keys(spec, tmp_path)
    raised = dataclasses.replace(SYSTEMS.declared[system], recipe=f"{system}/2")
    monkeypatch.setitem(SYSTEMS.declared, system, raised)
    changed = {name for name, key in keys(spec, tmp_path).items() if before[name] != key}
    assert changed == {name for name in before if system in name.split("/")}
    assert any(name.startswith("pretrain/") for name in changed) == (system == "advbert")


def test_a_text_that_was_attacked_is_another_than_its_copy(write_spec: Write, tmp_path: Path) -> None:
    rbc.attack_file("ptb_pos", mini_path("ptb_pos", "train"), suite="drop", seed=1, output=tmp_path / "attacked")
    (attacked,) = (tmp_path / "attacked").glob("train*")
    shutil.copy(attacked, tmp_path / "copy")
    systems: dict[str, object] = {"bert": {}, "advbert": {}}
    specs = [write_spec("one", systems=systems, text=[f"attacked/{attacked.name}"]),
             write_spec("two", systems=systems, text=["copy"])]  # fmt: skip
    found = [benchmark.plan(spec, data_dir=tmp_path, store=tmp_path / "store").plan.keys for spec in specs]
    changed = {name for name, key in found[0].items() if found[1][name] != key}
    assert changed == {name for name in found[0] if "advbert" in name.split("/")}


def test_the_hash_of_the_package_is_that_of_code_and_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines with and without compiled files, installed or in a checkout, are alike in it."""
    monkeypatch.setattr("robustbench_char.experiments._stages._HOME", tmp_path)

    def after(name: str, text: str) -> str:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        package_sha256.cache_clear()
        return package_sha256()

    first = after("page.html.j2", "one")
    assert after("page.html.j2", "two") != first
    assert after("page.html.j2", "one") == first
    assert after("__pycache__/x.pyc", "compiled") == first
    assert after("_shipped/x.yaml", "a: 1") == first
    assert after("x.py", "a = 1") != first
    package_sha256.cache_clear()
