"""The section Defences: each system on what it knows and on what it does not, in an order of meaning; costs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from robustbench_char.records.evaluation import find_records, write_record
from robustbench_char.reports import report_figures, report_tables, write_report

Make = Callable[..., Path]
SYSTEMS = ("bert", "bert_wordrec", "bert_aug without keyboard")
SUITES = ("mixed@1.0", "mixed@0.5", "ocr", "nat2021_typos", "ends", "two_edits", "keyboard", "charbert_2020")


def strengthened(root: Path) -> Path:
    """Give each attack the strength in its name."""
    for folder, record in find_records([root]):
        if record.data.attack and "@" in record.condition:
            attack = record.data.attack.model_copy(
                update={"effective_strength": float(record.condition.partition("@")[2])}
            )
            write_record(folder, record.model_copy(update={"data": record.data.model_copy(update={"attack": attack})}))
    return root


def test_conditions_stand_in_an_order_of_meaning(make_comparison: Make, tmp_path: Path) -> None:
    root = strengthened(make_comparison(("qnli",), SYSTEMS, SUITES, counts=True))
    table = report_tables([root])["defences_qnli"]
    assert table[["meaning", "suite"]].apply(tuple, axis=1).tolist() == [
        ("Clean", "clean"),
        ("Known attack", "charbert_2020"),
        ("Left-out operator", "keyboard"),
        ("Two edits a word", "two_edits"),
        ("First and last letter", "ends"),
        ("Human misspellings", "nat2021_typos"),
        ("OCR", "ocr"),
        ("By strength", "mixed@0.5"),
        ("By strength", "mixed@1.0"),
    ]
    row = table.set_index("suite").loc["keyboard"]
    assert row["bert_wordrec_saw_attack"] == "operators"
    assert pd.isna(row["bert_aug without keyboard_saw_attack"])
    assert row["bert_score_low"] < row["bert_score"] < row["bert_score_high"]
    clean = table["bert_score"].iloc[0]
    assert row["bert_retention"] == row["bert_score"] / clean
    text = (write_report([root], tmp_path / "out").parent / "report.md").read_text(encoding="utf-8")
    assert text.index("## Defences") < text.index("## qnli")
    shown = f"{row['bert_wordrec_score']:.1f}†"
    assert shown in next(line for line in text.splitlines() if line.startswith("| Left-out operator | keyboard |"))


def test_gains_by_strength_begin_at_clean_data(make_comparison: Make) -> None:
    root = strengthened(make_comparison(("qnli",), SYSTEMS, ("mixed@0.5", "mixed@1.0")))
    (axes,) = report_figures([root])["defences_by_strength"].axes
    labels = {line.get_label(): line.get_xdata() for line in axes.get_lines() if len(line.get_xdata()) > 2}
    assert set(labels) == set(SYSTEMS) - {"bert"}
    assert all(shares[0] == 0.0 for shares in labels.values())
    shutil.rmtree(root / "0")  # bert, which gains are measured against
    assert "defences_by_strength" not in report_figures([root])


def test_what_each_system_takes(make_comparison: Make) -> None:
    root = make_comparison(("qnli", "cola"), SYSTEMS, ("drop",))
    costs = report_tables([root])["defence_costs"].set_index("system")
    assert costs.loc["bert_wordrec", "defence"] == "wordrec"
    assert costs.loc["bert_wordrec", "extra_parameters"] == 1234567
    assert costs.loc["bert", "microseconds_qnli"] == costs.loc["bert", "microseconds_cola"] == 20.0


def test_no_section_without_a_defence(make_comparison: Make) -> None:
    tables = report_tables([make_comparison(("qnli",), ("bert", "charbert"), ("drop",))])
    assert not [name for name in tables if name.startswith("defence")]


def test_a_task_that_nobody_learnt_has_no_table(make_comparison: Make) -> None:
    root = make_comparison(("qnli",), SYSTEMS, ("drop",))
    for folder, record in find_records([root]):
        write_record(folder, record.model_copy(update={"constant_score": 100.0}))
    assert "defences_qnli" not in report_tables([root])
