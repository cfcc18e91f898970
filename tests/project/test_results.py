"""Committed results are records with their manifests, and every figure shown of them follows from them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from robustbench_char.analysis.pairs import comparison_table, pair_records
from robustbench_char.attack_sets.manifest import Manifest
from robustbench_char.experiments.run_folder import RunFile
from robustbench_char.records.defence_price import find_prices
from robustbench_char.records.evaluation import find_records
from robustbench_char.records.published import find_files
from robustbench_char.records.sensitivity import find_sensitivities, summary_of
from robustbench_char.reports import write_report

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = sorted(path for path in (ROOT / "reports" / "results").iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: folder.name)
def test_records_come_from_a_clean_commit_and_have_their_manifests(folder: Path) -> None:
    manifests = [Manifest.model_validate_json(json.dumps(value)) for _, value in find_files([folder], "manifest.json")]
    assert {manifest.provenance.git_dirty for manifest in manifests} == {False}
    attacks = {
        (manifest.task, manifest.suite_sha256, manifest.seed, manifest.input.sha256, manifest.output.sha256)
        for manifest in manifests
    }
    for _, record in find_records([folder]):
        assert record.provenance.git_commit
        assert record.provenance.git_dirty is False
        if attack := record.data.attack:
            key = record.task, attack.suite_sha256, attack.seed, attack.clean_sha256, record.data.sha256
            assert key in attacks


@pytest.mark.parametrize("path", [path for folder in RESULTS for path in folder.glob("run.json")],
                         ids=lambda path: path.parent.name)  # fmt: skip
def test_every_job_was_done(path: Path) -> None:
    jobs = RunFile.model_validate_json(path.read_bytes()).jobs
    assert {name: job.state for name, job in jobs.items() if job.state not in ("done", "not needed")} == {}


def test_published_results_are_a_handful_of_files() -> None:
    files = [path for path in (ROOT / "reports" / "results").rglob("*") if path.is_file()]
    assert len(files) <= 72
    assert sum(path.stat().st_size for path in files) <= 20_000_000
    kinds = {".html", ".json", ".md", ".py", ".sh"}
    numbers = {"records.parquet", "counts.parquet", "manifests.jsonl", "sensitivity.jsonl", "recogniser_prices.jsonl",
               "defence_prices.jsonl", "pretraining.jsonl", "training_logs.jsonl", "times.jsonl", "worst_cases.jsonl",
               "worst_cases.parquet"}  # fmt: skip
    # no predictions, words or profiles, which hold texts of the data
    assert {path.name for path in files if path.suffix not in kinds} <= numbers


def without_figures(page: str) -> str:
    """Return a page without its drawings, whose bytes belong to a machine's fonts and libraries."""
    return re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)


def check_report(committed: Path, made: Path) -> None:
    assert sorted(path.name for path in committed.iterdir()) == ["index.html", "report.md"]
    for name in ("index.html", "report.md"):
        pages = [(folder / name).read_text(encoding="utf-8") for folder in (committed, made)]
        assert without_figures(pages[0]) == without_figures(pages[1])


SMALL, *LARGE = sorted(
    (folder for folder in RESULTS if (folder / "report").is_dir()),  # sets that a later one replaced have none
    key=lambda folder: folder.name != "first_comparison",
)


@pytest.mark.slow
@pytest.mark.parametrize("folder", LARGE, ids=lambda folder: folder.name)
def test_the_committed_report_is_that_of_the_records(folder: Path, tmp_path: Path) -> None:
    write_report([folder], tmp_path / "report", examples=False)
    check_report(folder / "report", tmp_path / "report")


def test_publishing_again_gives_the_same_set(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "tools" / "publish.py"), str(SMALL), str(tmp_path)]
    subprocess.run(script, check=True, capture_output=True)
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"records.parquet", "manifests.jsonl", "index.html", "report.md"}
    assert [record for _, record in find_records([tmp_path])] == [record for _, record in find_records([SMALL])]
    assert (tmp_path / "manifests.jsonl").read_bytes() == (SMALL / "manifests.jsonl").read_bytes()
    check_report(SMALL / "report", tmp_path / "report")


BOTH = [ROOT / "reports" / "results" / name for name in ("six_systems", "six_systems_gpu")]
SYSTEMS = ("bert", "bert_mlm", "advbert", "charbert", "bert_wordrec", "bert_aug")
SEEN = ("bert_wordrec", "bert_aug")
"""Systems that saw the operators of `charbert_2020` in training."""


def row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def compared(folder: Path) -> pd.DataFrame:
    """Return scores as means over seeds, by label, task and suite."""
    table = comparison_table(pair_records(find_records([folder])))
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
    logs = {path.name: log for path, log in find_files([folder], "training_log.json")}
    return [
        row(
            entry["step"],
            f"{entry['nlm_loss']:.2f}",
            f"{100 * entry['hit_at_1']:.1f}",
            f"{100 * entry['hit_at_5']:.1f}",
        )
        for entry in logs["charbert"]["heldout"]
    ]


def prices(folder: Path) -> list[str]:
    lines = []
    for record in find_prices([folder]):
        price = record.errors.model_dump()
        names = ("wer_before", "wer_after", "clean_changed", "entity_changed")
        lines.append(row(record.task, *("" if price[name] is None else f"{price[name]:.1f}" for name in names)))
    return lines


def sensitivities(folder: Path) -> list[str]:
    """Return S of each system and task: all words, changed, unchanged, as means over training seeds."""
    table = summary_of([record for _, record in find_sensitivities([folder])])
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


def test_the_page_of_reports_shows_the_six_systems() -> None:
    page, expected = (ROOT / "reports" / "README.md").read_text(encoding="utf-8").splitlines(), six_systems(BOTH[1])
    assert [line for line in page if line in expected] == expected


def test_the_readme_shows_the_measured_numbers() -> None:
    table = comparison_table(pair_records(find_records([ROOT / "reports" / "results" / "first_comparison"])))
    page = (ROOT / "reports" / "README.md").read_text(encoding="utf-8").splitlines()
    order = ["charbert_2020", "drop", "add", "swap", "keyboard"]
    for task, rows in table.groupby("task"):
        attacked = rows.set_index("suite")["attacked"]
        cells = [f"{rows['clean'].iloc[0]:.1f}", *(f"{attacked[suite]:.1f}" for suite in order)]
        lines = [[cell.strip() for cell in line.split("|")[3:-1]] for line in page if line.startswith(f"| {task} ")]
        assert cells in lines


@pytest.mark.slow
def test_the_readme_shows_the_figure_of_the_results(load_module: Callable[[Path], ModuleType]) -> None:
    tool = load_module(ROOT / "tools" / "readme_figure.py")
    assert tool.FIGURE.read_text(encoding="utf-8") == tool.drawn()
