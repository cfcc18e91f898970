"""The version of a stage's code: what changes it, and what does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from robustbench_char.experiments import code_version as versions
from robustbench_char.experiments.stages import STAGES

STAGE = "robustbench_char.stage"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of four modules: the stage imports `direct` in a function and names `lazy` as a registry does."""
    monkeypatch.setattr(versions, "_HOME", tmp_path)
    for name, text in {
        "stage": '"""Stage."""\nLAZY = "robustbench_char.lazy:thing"\ndef run():\n    """Run."""\n'
        "    from robustbench_char.direct import value\n    return value\n",
        "direct": "value = 1\n",
        "lazy": "thing = 1\n",
        "apart": "other = 1\n",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    for function in (versions.code_version, versions.modules_of, versions._tree, versions._hash, versions._imported):
        function.cache_clear()


def version() -> str:
    forget()
    return versions.code_version(STAGE)


def test_modules_are_found_wherever_they_are_imported(package: Path) -> None:
    assert versions.modules_of(STAGE) == ("robustbench_char.direct", "robustbench_char.lazy", STAGE)


@pytest.mark.parametrize("name", ["stage", "direct", "lazy"])
def test_a_change_of_what_is_reached_changes_it(package: Path, name: str) -> None:
    before = version()
    with (package / f"{name}.py").open("a") as file:
        file.write("more = 2\n")
    assert version() != before


def test_comments_docstrings_layout_and_other_modules_do_not(package: Path) -> None:
    before = version()
    text = (package / "stage.py").read_text()
    (package / "stage.py").write_text(
        "# why\n" + text.replace("Stage.", "A stage.").replace("Run.", "Run it.") + "\n\n"
    )
    (package / "apart.py").write_text("other = 2\n")
    assert version() == before


def test_stages_reach_what_decides_them_and_not_what_does_not() -> None:
    """Trained systems do not depend on the report, nor pre-training on fine-tuning; attacks reach every format."""
    reached = {name: {module for one in STAGES.get(name).modules
                      for module in versions.modules_of(f"robustbench_char.{one}")} for name in STAGES}  # fmt: skip
    for name in ("pretrain", "finetune", "predict", "score"):
        assert not any(module.startswith("robustbench_char.reports") for module in reached[name])
        assert not any(module.startswith("robustbench_char.cli") for module in reached[name])
    assert "robustbench_char.training.finetune" not in reached["pretrain"]
    assert "robustbench_char.tasks.formats.squad_json" in reached["attack"]
    assert "robustbench_char.models.charbert.encoder" in reached["finetune"]
    assert "robustbench_char.metrics.squad" in reached["score"]
    assert "robustbench_char.metrics.squad" not in reached["pretrain"]


def test_a_template_is_part_of_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "_HOME", tmp_path)
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "page.html.j2").write_text("one")
    versions.files_version.cache_clear()
    before = versions.files_version("reports")
    (tmp_path / "reports" / "page.html.j2").write_text("two")
    versions.files_version.cache_clear()
    assert versions.files_version("reports") != before
    versions.files_version.cache_clear()
