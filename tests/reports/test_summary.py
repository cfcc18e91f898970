"""The sentence and the ranked table that stand first on a page and at the end of commands."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from robustbench_char.records.evaluation import read_record, write_record
from robustbench_char.reports.summary import Summary, read_summary

RESULTS = Path(__file__).resolve().parents[2] / "reports" / "results"


def _set_strength(root: Path, suite: str, share: float) -> None:
    """Let all attacked sets of a suite have this share of their words edited, two of three words being eligible."""
    for path in root.glob(f"*-{suite}-*/record.json"):
        record = read_record(path)
        assert record.data.attack
        counts = {"effective_strength": 1.5 * share, "eligible_words": 2000, "words": 3000}
        data = record.data.model_copy(update={"attack": record.data.attack.model_copy(update=counts)})
        write_record(path.parent, record.model_copy(update={"data": data}))


@pytest.fixture
def sweep(make_runs: Callable[..., Path]) -> Path:
    root = make_runs(suites=("mixed@0.1", "mixed@0.2", "charbert_2020"), counts=True)
    _set_strength(root, "mixed@0.1", 0.04)
    _set_strength(root, "mixed@0.2", 0.12)
    return root


def test_of_a_sweep_the_strength_nearest_to_a_tenth_of_the_words_is_told(sweep: Path) -> None:
    summary = read_summary([sweep])
    (row,) = summary.frame.to_dict("records")
    assert (row["suite"], row["rank"]) == ("mixed@0.2", 1)
    assert row["drop"] == pytest.approx(row["clean"] - row["attacked"])
    (sentence,) = summary.sentences
    change = f"{row['clean']:.1f} to {row['attacked']:.1f} [{row['attacked_low']:.1f}, {row['attacked_high']:.1f}]"
    assert sentence == f"At 12% of words mistyped, accuracy falls from {change}."
    assert summary.heading == "qnli, accuracy, mixed@0.2, 12.0% of words mistyped"
    assert list(summary.shown()) == ["System", "Clean", "Attacked", "Drop", "Retention"]
    heading, header, *rows = summary.text().splitlines()
    assert heading == "qnli, accuracy:"
    assert header.split() == ["System", "Attack", "Words", "mistyped", "Clean", "Attacked", "Drop", "Retention"]
    assert [row.split()[1] for row in rows[: len(summary.attacks)]] == summary.attacks["suite"].tolist()
    assert summary.text().endswith(f"\n\n{sentence}")


def test_what_has_not_learnt_is_left_out_and_named_with_the_constant() -> None:
    folder = RESULTS / "cpu_six_systems" / "records" / "minilm"
    summary = read_summary([folder / name / "mrpc" for name in ("bert", "charbert", "bert_aug")])
    assert summary.frame["label"].tolist() == ["bert_aug", "bert", "charbert"]
    assert summary.frame["rank"].tolist() == [1, 2, pd.NA]
    assert summary.shown()["System"].tolist() == ["bert_aug", "bert"]
    (sentence,) = summary.sentences
    assert "of bert_aug falls from 73.3 to 70.1†" in sentence
    assert "of bert it falls" in sentence
    mark, left_out = summary.notes
    assert mark.startswith("†")
    assert left_out.startswith("Left out: charbert on mrpc, accuracy 68.6 [64.0, 73.0], best constant 68.4. Not learnt")
    assert "charbert (" not in sentence
    assert not [line for line in summary.text().splitlines() if line.startswith("charbert ")]
    nobody = summary._replace(frame=summary.frame[2:], attacks=summary.attacks[:0])
    assert nobody.text() == left_out
    assert "<table" not in nobody.html()


def test_tasks_have_a_sentence_each_and_ranks_of_their_own() -> None:
    summary = read_summary([RESULTS / "first_comparison"])
    assert [text.partition(":")[0] for text in summary.sentences] == ["conll2003", "qnli"]
    assert summary.frame["rank"].tolist() == [1, 1]
    assert "<td>85.4</td>" in summary.html()
    assert "<p>:</p>" not in summary.html()
    mixed = summary.frame.assign(suite=["a", "b"], metric=["f1", "accuracy"])
    assert Summary(mixed).text().startswith("Task")


def test_clean_results_alone_have_a_score_and_no_rank(make_runs: Callable[..., Path]) -> None:
    summary = read_summary([make_runs(systems=("a<b", "other"), suites=(), counts=True)])
    assert summary.frame["rank"].isna().all()
    assert list(summary.shown()) == ["System", "Clean"]
    (sentence,) = summary.sentences
    assert sentence.startswith("Accuracy of a<b on clean data is ")
    assert "a&lt;b" in summary.html()
    assert "a<b" not in summary.html()


def test_a_score_that_attack_leaves_alone_stays(sweep: Path) -> None:
    frame = read_summary([sweep]).frame
    same = Summary(frame.assign(attacked=frame["clean"]))
    higher = Summary(frame.assign(attacked=frame["clean"] + 2))
    assert "accuracy stays at " in same.sentences[0]
    assert "accuracy rises from " in higher.sentences[0]


def test_an_attack_that_changes_no_word_is_said(sweep: Path) -> None:
    (sentence,) = Summary(read_summary([sweep]).frame.assign(mistyped=0.0)).sentences
    assert re.fullmatch(r"\S+ changed no word: attack with a higher strength, or more text\.", sentence)
