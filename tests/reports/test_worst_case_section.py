"""The section on the worst case, what the explorer says of its examples, and that no other table holds it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from robustbench_char.common.files import sha256_file
from robustbench_char.records.counts import cell_counts
from robustbench_char.records.evaluation import Record, find_records, read_counts, read_record, write_record
from robustbench_char.records.worst_case import WorstCases
from robustbench_char.reports import report_figures, report_tables, write_report
from robustbench_char.reports.evidence import read_evidence
from robustbench_char.reports.examples._choice import changed_examples
from robustbench_char.reports.examples._payload import least_edits, sample
from robustbench_char.reports.results import load_results
from robustbench_char.reports.sections.worst_case import sections
from robustbench_char.reports.summary import read_summary

MakeWorst = Callable[..., WorstCases]
SYSTEMS = ("bert", "charbert")
COUNT = 40


def attacked(folder: Path, **changes: Any) -> Record:
    """Change what a record says of its attack."""
    record = read_record(folder / "record.json")
    assert record.data.attack
    data = record.data.model_copy(update={"attack": record.data.attack.model_copy(update=changes)})
    write_record(folder, record.model_copy(update={"data": data}))
    return record


def steps_of(folder: Path, record: Record, most: int) -> list[list[tuple[int, int, tuple[float, ...]]]]:
    """Return the steps of a search: one edit breaks every third example that was right, two (`most`) every fifth."""
    table = read_counts(folder, record)
    assert table is not None
    steps = []
    for row, (correct, examples) in enumerate(cell_counts(table, range(COUNT)).tolist()):
        own: list[tuple[int, int, tuple[float, ...]]] = [(0, 0, (correct, examples))]
        if correct and (row % 3 == 0 or (most > 1 and row % 5 == 0)):
            own.append((7 * row + 1, 1 if row % 3 == 0 else 2, (0.0, examples)))
        steps.append(own)
    return steps


@pytest.fixture
def run(tmp_path: Path, make_run: Callable[..., Path], make_worst_case: MakeWorst) -> Path:
    """Return results of two systems on clean text, on a random attack, and on the worst case of each."""
    root, task = tmp_path / "runs", "qnli"
    options: dict[str, Any] = {"counts": True}
    clean = {system: make_run(root, task, system, None, COUNT, **options) for system in SYSTEMS}
    for system in SYSTEMS:
        for seed in (1, 2):
            folder = make_run(root, task, system, "pruthi_2019@1", COUNT, attack_seed=seed, **options)
            attacked(folder, requested_edits=1, constraints="constraints")
    for target in SYSTEMS:
        record = read_record(clean[target] / "record.json")
        exact = make_worst_case(root / f"search {target}", record, steps_of(clean[target], record, 1)[:30], limit=30)
        make_worst_case(
            root / f"wide {target}", record, steps_of(clean[target], record, 2), search="greedy", edits=2, exact=False,
            certified=[[0, 0]] * 10 + [[0]] * 30,
        )  # fmt: skip
        for system in SYSTEMS:
            folder = make_run(root / target, task, system, f"worst_pruthi_2019@1 of {target}", COUNT, **options)
            made = exact.record
            attacked(folder, suite_sha256=made.suite_sha256, search=made.search, constraints="constraints")
    return root


def test_all_stand_side_by_side(run: Path) -> None:
    table = report_tables([run])["worst_case"]
    assert table[["name", "search", "examples", "seeds"]].to_numpy().tolist() == [
        ["bert", "exhaustive", 30, 2], ["charbert", "exhaustive", 30, 2], ["bert", "greedy", 40, 0],
        ["charbert", "greedy", 40, 0],
    ]  # fmt: skip
    exact, greedy = table[table["edits"] == 1], table[table["edits"] == 2]
    assert (exact["exact"] < exact["clean"]).all()
    assert exact["found"].isna().all()
    assert table["certified"].fillna(-1.0).tolist() == [-1.0, -1.0, 25.0, 25.0]
    assert (exact["worst_of_seeds"] <= exact["random"]).all()
    assert greedy[["random", "exact"]].isna().all().all()
    assert (greedy["broken_low"] < greedy["broken"]).all()
    assert set(report_figures([run])) >= {"worst_case_edits", "worst_case_questions"}


def test_it_is_printed_with_what_is_compared_and_what_is_not(run: Path, tmp_path: Path) -> None:
    write_report([run], tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    section = text[text.index("## Worst case") : text.index("## ", text.index("## Worst case") + 3)]
    assert "same examples (the first 30 of qnli, all 40 of qnli)" in section
    assert "not compared are attacks of other edits or of a share of the words" in section
    assert section.count("of each system (columns) on the worst case of each (rows)") >= 1
    assert "1 min 30 s" in section
    (order,) = re.findall(r"qnli, pruthi_2019, 1 edit: .*", section)
    table = report_tables([run])["worst_case"].query("search == 'exhaustive'").set_index("name")
    orders = [", ".join(table[by].sort_values(ascending=False).index) for by in ("random", "exact")]
    assert "under random attacks {}; at the worst {}: ".format(*orders) in order
    turned = int(orders[0] != orders[1])
    assert re.search(rf": {turned} of 1 pair of systems stands? the other way round\.$", order)
    assert "†" not in section
    page = (tmp_path / "report" / "index.html").read_text()
    assert 'id="worst-case"' in page
    assert {path.name for path in (tmp_path / "report" / "figures").iterdir()} >= {"worst_case_questions.svg"}


def test_transfer_sets_systems_searched_beside_systems_evaluated(run: Path) -> None:
    table = report_tables([run])["transfer_qnli"].set_index("attacked")
    assert list(table.index) == list(SYSTEMS)
    evidence = read_evidence([run], examples=False)
    for pair in evidence.searched:
        attack, counts = pair.attacked.data.attack, read_counts(pair.attacked_folder, pair.attacked)
        assert attack
        assert attack.search
        assert counts is not None
        right = cell_counts(counts, range(30))[:, 0].mean()
        assert table.loc[attack.search.name, pair.attacked.system.shown] == pytest.approx(100 * right)
        assert table.loc[attack.search.name, f"{pair.attacked.system.shown}_own"] == (
            attack.search.name == pair.attacked.system.shown
        )


def test_no_other_table_holds_a_worst_case(run: Path) -> None:
    """Random attacks strike all systems alike; a worst case is made for one."""
    evidence = read_evidence([run], examples=False)
    assert set(evidence.means["suite"]) == {"pruthi_2019@1"}
    assert len(evidence.searched) == 4
    for name, table in report_tables([run]).items():
        if name not in {"worst_case", "data", "attacks", "versions", "all_scores_qnli"} and "transfer" not in name:
            assert not [cell for cell in table.to_numpy().ravel() if "worst_" in str(cell)], name


def test_a_notebook_has_a_row_per_set_and_compares_under_drawn_attacks(run: Path) -> None:
    results = load_results(run)
    frame = results.frame()
    assert len(frame) == 6  # of each system: the random attack, and the worst case of either
    assert (frame["runs"] == frame["suite"].map(lambda suite: 2 if suite == "pruthi_2019@1" else 1)).all()
    assert "pruthi_2019@1" in repr(results)
    assert set(read_summary([run]).frame["suite"]) == {"pruthi_2019@1"}
    assert results.plot() is not None
    for folder, record in find_records([run]):
        if record.condition == "pruthi_2019@1":
            (folder / "record.json").unlink()
    alone = read_summary([run])
    assert alone.frame["suite"].str.startswith("worst_").all()


def test_a_system_that_has_not_learnt_is_not_shown(run: Path) -> None:
    for folder, record in find_records([run]):
        if record.system.shown == "charbert" and record.condition == "clean":
            write_record(folder, record.model_copy(update={"constant_score": 100.0}))
    assert report_tables([run])["worst_case"]["learnt"].tolist() == [True, False, True, False]
    (section,) = sections(read_evidence([run], examples=False))
    texts = str([block.printed() for block in section.blocks if block.kind == "table"])
    assert "bert" in texts
    assert "charbert" not in texts
    for folder, record in find_records([run]):
        if record.system.shown == "charbert":
            (folder / "record.json").unlink()  # its search alone tells what it scores on clean text
    assert report_tables([run])["worst_case"]["learnt"].all()


def test_no_section_without_a_search(run: Path, make_runs: Callable[..., Path]) -> None:
    for path in run.rglob("worst_case.json"):
        path.unlink()
    assert "worst_case" not in report_tables([run])
    assert "transfer_qnli" in report_tables([run])
    for folder, record in find_records([run]):
        if record.condition.startswith("worst"):
            (folder / "record.json").unlink()
    assert not [name for name in report_tables([run]) if "transfer" in name or "worst" in name]


def test_the_explorer_marks_the_least_edit_that_breaks(run: Path) -> None:
    evidence = read_evidence([run], examples=True)
    found, _ = sample(changed_examples([*evidence.pairs, *evidence.searched]), (), evidence.searches)
    (bert,) = (one for one in evidence.searches if one.record.exact and one.record.system.shown == "bert")
    least, seen = bert.least()["least"], set()
    suites, examples = found.data["suites"], found.data["examples"]
    for number, (_, suite, name, *_) in enumerate(examples):
        mark = found.data["marks"].get(str(number))
        row = int(name.removeprefix("qnli-"))
        if not suites[suite].startswith("worst_pruthi_2019@1 of bert") or row >= 30:
            assert mark is None or " bert" not in mark
        elif pd.isna(least[row]):
            assert mark == "Nothing breaks bert (exact)"
        else:
            assert (
                mark
                == ("bert is not entirely right on the clean text", "Least edit that breaks bert (exact)")[least[row]]
            )
        seen.add(mark)
    assert len(seen) >= 4
    assert json.loads(json.dumps(found.data))["marks"] == found.data["marks"]


def test_more_edits_than_needed_are_said_to_be(make_worst_case: MakeWorst, run: Path, tmp_path: Path) -> None:
    record = next(record for _, record in find_records([run]) if record.condition == "clean")
    right, half, wrong = (1.0, 1.0), (0.5, 1.0), (0.0, 1.0)
    steps = [
        [(0, 0, right), (3, 1, half), (9, 3, wrong)],
        [(0, 0, right), (9, 2, wrong)],
        [(0, 0, right), (4, 1, right)],
    ]
    found = make_worst_case(tmp_path / "many", record, steps, search="greedy", edits=3, exact=False)
    assert list(least_edits(found).values()) == [
        "Worst case of bert: 3 edits, of 1 that break it at the least (greedy)",
        "Least edits that break bert (greedy)",
        "Nothing found that breaks bert (greedy)",
    ]


def test_a_search_of_the_first_examples_stands_beside_whole_clean_results(run: Path, tmp_path: Path) -> None:
    """`evaluate --limit` of a worst case gives fewer examples than the clean result has."""
    folder = next(folder for folder, record in find_records([run]) if record.condition.startswith("worst"))
    frame = pd.read_parquet(folder / "predictions.parquet")
    evidence = read_evidence([run], examples=False)
    (pair,) = (pair for pair in evidence.searched if pair.attacked_folder == folder)
    frame.head(30).to_parquet(folder / "predictions.parquet", index=False)
    sha256 = sha256_file(folder / "predictions.parquet")
    data = pair.attacked.data.model_copy(update={"examples": 30, "limit": 30})
    write_record(folder, pair.attacked.model_copy(update={"data": data, "predictions_sha256": sha256}))
    write_report([run], tmp_path / "report")
    assert len(load_results(run).frame()) == 5


def test_searches_of_other_fields_or_examples_are_drawn_apart(make_worst_case: MakeWorst, run: Path) -> None:
    record = read_record(next(iter(run.glob("qnli-bert-0-clean-1/record.json"))))
    steps = steps_of(run / "qnli-bert-0-clean-1", record, 2)
    make_worst_case(run / "fields", record, steps, search="greedy", edits=2, exact=False, constraints="other", seed=1)
    make_worst_case(run / "beam", record, steps, search="beam", size=4, edits=2, exact=False)
    make_worst_case(run / "few", record, steps[:20], search="greedy", edits=2, exact=False, limit=20)
    figure = report_figures([run])["worst_case_edits"]
    titles = {axes.get_title(loc="left"): [line.get_label() for line in axes.get_lines()] for axes in figure.axes}
    assert {title: [name for name in names if name] for title, names in titles.items() if title} == {
        "qnli, pruthi_2019, 2 edits": ["bert, beam:4", "bert, greedy", "charbert"],
        "qnli, pruthi_2019, 2 edits (2)": ["bert"],
        "qnli, pruthi_2019, 2 edits, first 20": ["bert"],
    }
