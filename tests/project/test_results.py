"""Committed results are records with their manifests, and every figure shown of them follows from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from robustbench_char.evaluation.comparison import comparison_table, pair_records
from robustbench_char.evaluation.records import find_records
from robustbench_char.reports import write_report
from robustbench_char.tasks.manifest import Manifest

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = sorted(path for path in (ROOT / "reports" / "results").iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: folder.name)
def test_records_come_from_a_clean_commit_and_have_their_manifests(folder: Path) -> None:
    records = [record for _, record in find_records([folder / "records"])]
    assert records
    for record in records:
        assert record.provenance.git_commit
        assert record.provenance.git_dirty is False
        attack = record.data.attack
        if attack is not None:
            path = folder / "manifests" / record.task / f"{attack.suite}.json"
            manifest = Manifest.model_validate_json(path.read_bytes())
            assert (manifest.suite_sha256, manifest.seed, manifest.input.sha256, manifest.output.sha256) == (
                attack.suite_sha256,
                attack.seed,
                attack.clean_sha256,
                record.data.sha256,
            )
            assert manifest.provenance.git_dirty is False


@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: folder.name)
def test_the_committed_report_is_that_of_the_records(folder: Path, tmp_path: Path) -> None:
    write_report([folder / "records"], tmp_path / "report", examples=False)
    committed = sorted(path.name for path in (folder / "report").iterdir())
    assert committed == sorted(path.name for path in (tmp_path / "report").iterdir())
    for name in committed:
        if name.endswith((".csv", ".md")):
            assert (folder / "report" / name).read_text() == (tmp_path / "report" / name).read_text()
    assert {path.name for path in folder.rglob("*.parquet")} <= {"counts.parquet"}  # numbers alone, no text


SIX = ROOT / "reports" / "results" / "six_systems"
SYSTEMS = ("bert", "bert_mlm", "advbert", "charbert", "bert_wordrec", "bert_aug")
TASKS = ("conll2003",)


def row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def compared() -> pd.DataFrame:
    table = comparison_table(pair_records(find_records([SIX / "records"])))
    return table.set_index(["label", "task", "suite"]).sort_index()


def scores(label: str, task: str, suite: str, table: pd.DataFrame) -> str:
    """Return clean / attacked as the pages show it; † marks operators that the system saw in fine-tuning."""
    found = table.loc[(label, task, suite)]
    mark = " †" if isinstance(found["saw_attack"], str) else ""
    return f"{found['clean']:.1f} / {found['attacked']:.1f}{mark}"


def six_systems() -> list[str]:
    table = compared()
    return [row(label, *(scores(label, task, "charbert_2020", table) for task in TASKS)) for label in SYSTEMS]


def left_out() -> list[str]:
    """Return one row an operator: `bert`, `bert_aug` that saw it, `bert_aug` that did not, attacked by it alone."""
    table = compared()["attacked"]
    operators = ("drop", "add", "swap", "keyboard")
    columns = [("bert", "bert_aug", f"bert_aug without {operator}") for operator in operators]
    return [
        row(operator, *(f"{table[label, 'conll2003', operator]:.1f}" for label in labels))
        for operator, labels in zip(operators, columns, strict=True)
    ]


def tries() -> list[str]:
    table = compared()
    labels = ["charbert", *sorted({label for label, _, _ in table.index if " lr " in label})]
    return [row(label, scores(label, "conll2003", "charbert_2020", table)) for label in labels]


def held_out() -> list[str]:
    entries = json.loads((SIX / "pretraining" / "charbert" / "training_log.json").read_text())["heldout"]
    return [
        row(one["step"], f"{one['nlm_loss']:.2f}", f"{100 * one['hit_at_1']:.1f}", f"{100 * one['hit_at_5']:.1f}")
        for one in entries
    ]


def prices() -> list[str]:
    lines = []
    for task in TASKS:
        price = json.loads((SIX / "recognisers" / f"{task}.json").read_text())
        names = ("wer_before", "wer_after", "clean_changed", "entity_changed")
        lines.append(row(task, *("" if price[name] is None else f"{price[name]:.1f}" for name in names)))
    return lines


@pytest.mark.parametrize("rows", [six_systems, left_out, tries, held_out, prices], ids=lambda rows: rows.__name__)
def test_the_page_of_the_six_systems_shows_what_was_measured(rows: Callable[[], list[str]]) -> None:
    page = [*(SIX / "README.md").read_text(encoding="utf-8").splitlines(), ""]
    table = rows()
    assert any(page[start : start + len(table) + 1] == [*table, ""] for start in range(len(page)))


def test_the_readme_shows_the_six_systems() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in page if line in six_systems()] == six_systems()


def test_the_readme_shows_the_measured_numbers() -> None:
    table = comparison_table(
        pair_records(find_records([ROOT / "reports" / "results" / "first_comparison" / "records"]))
    )
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    order = ["charbert_2020", "drop", "add", "swap", "keyboard"]
    for task, rows in table.groupby("task"):
        attacked = rows.set_index("suite")["attacked"]
        cells = [f"{rows['clean'].iloc[0]:.1f}", *(f"{attacked[suite]:.1f}" for suite in order)]
        (line,) = [line for line in readme if line.startswith(f"| {task} ")]
        assert [cell.strip() for cell in line.split("|")[3:-1]] == cells
