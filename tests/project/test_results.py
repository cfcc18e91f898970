"""Committed results are records with their manifests, and every figure shown of them follows from them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from robustbench_char.analysis.pairs import comparison_table, pair_records
from robustbench_char.attack_sets.manifest import Manifest
from robustbench_char.records.evaluation import find_records
from robustbench_char.records.recogniser_cost import find_prices
from robustbench_char.records.sensitivity import find_sensitivities, summary_of
from robustbench_char.reports import write_report

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
            place = folder / "manifests" / record.task
            path = place / f"{attack.suite}.json"
            if not path.is_file():  # several attack seeds
                path = place / attack.suite / f"seed_{attack.seed}" / "manifest.json"
            manifest = Manifest.model_validate_json(path.read_bytes())
            assert (manifest.suite_sha256, manifest.seed, manifest.input.sha256, manifest.output.sha256) == (
                attack.suite_sha256,
                attack.seed,
                attack.clean_sha256,
                record.data.sha256,
            )
            assert manifest.provenance.git_dirty is False


def _files(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def _cells(text: str) -> list[list[str]]:
    """Return the cells of a CSV, numbers to twelve digits: the last ones belong to a machine's order of adding up."""
    return [[_number(cell) for cell in row] for row in csv.reader(io.StringIO(text))]


def _number(cell: str) -> str:
    try:
        return f"{float(cell):.12g}"
    except ValueError:
        return cell


@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: folder.name)
@pytest.mark.slow
def test_the_committed_report_is_that_of_the_records(folder: Path, tmp_path: Path) -> None:
    write_report([folder], tmp_path / "report", examples=False)
    committed = _files(folder / "report")
    assert committed == _files(tmp_path / "report")
    for path in committed:
        if path.suffix in {".csv", ".md", ".tex"}:
            kept, made = ((root / path).read_text() for root in (folder / "report", tmp_path / "report"))
            assert (_cells(kept) if path.suffix == ".csv" else kept) == (
                _cells(made) if path.suffix == ".csv" else made
            )
    assert {path.name for path in folder.rglob("*.parquet")} <= {"counts.parquet"}  # numbers alone, no text


BOTH = [ROOT / "reports" / "results" / name for name in ("six_systems", "six_systems_gpu")]
SYSTEMS = ("bert", "bert_mlm", "advbert", "charbert", "bert_wordrec", "bert_aug")
SEEN = ("bert_wordrec", "bert_aug")
"""Systems that saw the operators of `charbert_2020` in training."""


def row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def compared(folder: Path) -> pd.DataFrame:
    """Return scores as means over seeds, by label, task and suite."""
    table = comparison_table(pair_records(find_records([folder / "records"])))
    return table.groupby(["label", "task", "suite"])[["clean", "attacked"]].mean()


def tasks(folder: Path) -> list[str]:
    return list(compared(folder).index.unique("task"))


def scores(label: str, task: str, suite: str, table: pd.DataFrame) -> str:
    """Return clean / attacked as the pages show it; † marks operators that the system saw in fine-tuning."""
    if (label, task, suite) not in table.index:
        return ""
    found = table.loc[(label, task, suite)]
    mark = " †" if label in SEEN else ""
    return f"{found['clean']:.1f} / {found['attacked']:.1f}{mark}"


def six_systems(folder: Path) -> list[str]:
    table = compared(folder)
    return [row(label, *(scores(label, task, "charbert_2020", table) for task in tasks(folder))) for label in SYSTEMS]


def left_out(folder: Path) -> list[str]:
    """Return one row an operator: `bert`, `bert_aug` that saw it, `bert_aug` that did not, attacked by it alone."""
    table = compared(folder)["attacked"]
    operators = [name for name in ("drop", "add", "swap", "keyboard")
                 if (f"bert_aug without {name}", "conll2003", name) in table.index]  # fmt: skip
    columns = [("bert", "bert_aug", f"bert_aug without {operator}") for operator in operators]
    return [
        row(operator, *(f"{table[label, 'conll2003', operator]:.1f}" for label in labels))
        for operator, labels in zip(operators, columns, strict=True)
    ]


def tries(folder: Path) -> list[str]:
    table = compared(folder)
    labels = sorted({label for label, _, _ in table.index if label.startswith("charbert ")})
    return [row(label, scores(label, "conll2003", "charbert_2020", table)) for label in labels]


def held_out(folder: Path) -> list[str]:
    entries = json.loads((folder / "pretraining" / "charbert" / "training_log.json").read_text())["heldout"]
    return [
        row(one["step"], f"{one['nlm_loss']:.2f}", f"{100 * one['hit_at_1']:.1f}", f"{100 * one['hit_at_5']:.1f}")
        for one in entries
    ]


def prices(folder: Path) -> list[str]:
    lines = []
    for record in find_prices([folder / "recognisers"]):
        price = record.errors.model_dump()
        names = ("wer_before", "wer_after", "clean_changed", "entity_changed")
        lines.append(row(record.task, *("" if price[name] is None else f"{price[name]:.1f}" for name in names)))
    return lines


def sensitivities(folder: Path) -> list[str]:
    """Return S of each system and task: all words, changed, unchanged, as means over training seeds."""
    table = summary_of([record for _, record in find_sensitivities([folder / "sensitivity"])])
    if table.empty:
        return []
    means = table.groupby(["system", "task", "group", "value"])["s"].mean()
    groups = (("all", "all"), ("changed", "changed"), ("changed", "unchanged"))
    known = list(dict.fromkeys(table["task"]))
    cells = {name: [f"{means[name, task, *group]:.3f}" for task in known for group in groups] for name in SYSTEMS}
    return [row(name, *found) for name, found in cells.items()]


MADE = [six_systems, left_out, tries, held_out, prices, sensitivities]


@pytest.mark.parametrize("folder", BOTH, ids=lambda folder: folder.name)
@pytest.mark.parametrize("rows", MADE, ids=lambda rows: rows.__name__)
def test_the_pages_of_the_six_systems_show_what_was_measured(rows: Callable[[Path], list[str]], folder: Path) -> None:
    page = [*(folder / "README.md").read_text(encoding="utf-8").splitlines(), ""]
    table = rows(folder)
    assert not table or any(page[start : start + len(table) + 1] == [*table, ""] for start in range(len(page)))


def test_the_page_says_what_the_steps_took() -> None:
    """A step that was stopped, or found done, has several lines: the longest is the step."""
    seconds: dict[str, float] = {}
    for line in (BOTH[0] / "times.jsonl").read_text().splitlines():
        took = json.loads(line)
        seconds[took["step"]] = max(took["cpu_seconds"], seconds.get(took["step"], 0.0))
    page = (BOTH[0] / "README.md").read_text(encoding="utf-8")
    assert f"took {sum(seconds.values()) / 60:.0f} core-minutes" in page
    assert f"pre-training {seconds['pretrain/charbert'] / 60:.0f}." in page


def test_the_readme_shows_the_six_systems() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    expected = six_systems(BOTH[1])
    assert [line for line in page if line in expected] == expected


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
