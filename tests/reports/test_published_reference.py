"""The published numbers are complete, and a wrong file ends with one error."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustbench_char.common import InputError
from robustbench_char.reports import load_reference, reference_frame


def test_the_papers_robustness_table_is_there() -> None:
    frame = reference_frame(load_reference())
    attacked = frame[frame["suite"] == "charbert_2020"].set_index(["system", "task"])["value"]
    assert len(attacked) == 12
    assert attacked["bert", "qnli"] == 63.4
    assert attacked["bert", "conll2003"] == 60.79
    assert attacked["charbert", "squad_v2"] == 56.3


def test_clean_scores_of_all_tasks_and_systems() -> None:
    reference = load_reference()
    tasks = {"squad_v1", "squad_v2", "cola", "mrpc", "qqp", "qnli", "conll2003", "ptb_pos"}
    assert [set(row.scores) for row in reference.clean] == [tasks] * 4
    assert sum(len(scores) for row in reference.clean for scores in row.scores.values()) == 40


def test_both_tables_agree_where_they_overlap() -> None:
    reference = load_reference()
    clean = {row.system: row.scores for row in reference.clean if row.base == "bert-base-cased"}
    for row in reference.robustness.systems:
        for task, score in row.scores.items():
            if row.system in clean:
                assert clean[row.system][task][reference.robustness.metrics[task]] == score.clean
            assert score.attacked < score.clean


def test_single_figures() -> None:
    reference = load_reference()
    sensitivity = {item.system: item.value for item in reference.analysis if item.name == "sensitivity"}
    assert sensitivity == {"bert": 0.0612, "advbert": 0.0407, "charbert": 0.0986}
    assert reference.pretraining is not None
    assert reference.pretraining.steps == 320_000


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown name 'charbert_2021'.*Did you mean 'charbert_2020'"):
        load_reference("charbert_2021")


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("schema: 1\nname: mine\nscores: 3\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.yaml"):
        load_reference(str(path))
