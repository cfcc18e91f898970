"""Committed results are records with their manifests, and every figure shown of them follows from them."""

from __future__ import annotations

from pathlib import Path

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
    assert not list(folder.rglob("*.parquet"))


SYSTEMS = ("bert", "bert_mlm", "advbert", "charbert", "bert_wordrec", "bert_aug")
TASKS = ("conll2003", "qnli", "squad_v2")


def six_systems() -> list[str]:
    """Return the rows of the table of the six systems: clean and charbert_2020 on each task."""
    records = find_records([ROOT / "reports" / "results" / "six_systems" / "records"])
    table = comparison_table(pair_records(records)).set_index(["label", "task", "suite"])
    lines = []
    for label in SYSTEMS:
        cells = [label]
        for task in TASKS:
            row = table.loc[(label, task, "charbert_2020")]
            mark = " †" if row["saw_attack"] else ""
            cells.append(f"{row['clean']:.1f} / {row['attacked']:.1f}{mark}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


@pytest.mark.parametrize("page", ["README.md", "reports/results/six_systems/README.md"])
def test_the_six_systems_are_shown_as_measured(page: str) -> None:
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line in six_systems()] == six_systems()


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
