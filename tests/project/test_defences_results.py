"""The tables of the published benchmark `defences` are those of its records."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from robustbench_char.records import find_prices
from robustbench_char.reports import report_tables

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "reports" / "results" / "defences"
SYSTEMS = (
    "bert", "bert_aug", "bert_wordrec", "bert_spell", "bert_channel", "bert_channel_trained", "bert_channel_soft",
)  # fmt: skip
MARKS = {"operators": "†", "edits": "†", "suite": "‡"}


@cache
def tables() -> Mapping[str, pd.DataFrame]:
    return report_tables([FOLDER])


def row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def score(found: Any, system: str, space: str = "") -> str:
    mark = MARKS.get(found.get(f"{system}_saw_attack") or "", "")
    return f"{found[f'{system}_score']:.1f}{space if mark else ''}{mark}"


def retained(found: Any, system: str) -> str:
    share = found[f"{system}_retention"]
    return score(found, system) + ("" if pd.isna(share) else f" ({100 * share:.1f})")


@pytest.mark.parametrize("task", ["conll2003", "qnli", "ptb_pos", "mrpc"])
def test_the_page_shows_the_scores(task: str) -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = [
        row(one["meaning"], one["suite"], f"{100 * one['mistyped']:.1f}%", *(retained(one, name) for name in SYSTEMS))
        for _, one in tables()[f"defences_{task}"].iterrows()
    ]
    assert "\n".join(rows) in page


def test_the_page_shows_the_prices() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    for record in find_prices([FOLDER]):
        found = record.errors
        entities = "–" if found.entity_changed is None else f"{found.entity_changed:.1f}"
        wrong = f"{found.wer_before:.1f} → {found.wer_after:.1f}"
        cells = (record.task, record.defence.name, wrong, f"{found.clean_changed:.1f}", entities)
        assert row(*cells, f"{record.words_per_second:,.0f}") in page


def test_the_page_of_all_results_shows_the_defences() -> None:
    page = (ROOT / "reports" / "README.md").read_text(encoding="utf-8")
    ner, qnli = (tables()[f"defences_{task}"].set_index("suite") for task in ("conll2003", "qnli"))
    places = [(ner, "clean"), (ner, "charbert_2020"), (ner, "nat2021_typos"), (ner, "nat2021_ocr_tess3")]
    places += [(qnli, "clean"), (qnli, "charbert_2020")]
    rows = [row(name, *(score(table.loc[suite], name, " ") for table, suite in places)) for name in SYSTEMS]
    assert "\n".join(rows) in page
