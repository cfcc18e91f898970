"""The sections that compare: tasks, operators, strengths, the recogniser's price, the paper; and what they refuse."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robustbench_char.common import InputError
from robustbench_char.records.defence_price import PRICE, PriceRecord, WordErrors
from robustbench_char.records.evaluation import DefenceInfo, Record, read_record, write_record
from robustbench_char.records.sensitivity import FRAGILITY, Deletions, FragilityRecord
from robustbench_char.reports import report_figures, report_frame, report_tables, write_report
from robustbench_char.reports._render import escape_latex

Make = Callable[..., Path]
BOTH = ("bert", "charbert")


def update(folder: Path, **values: Any) -> Record:
    record = read_record(folder / "record.json").model_copy(update=values)
    write_record(folder, record)
    return record


def attack(folder: Path, **values: Any) -> None:
    record = read_record(folder / "record.json")
    assert record.data.attack is not None
    info = record.data.attack.model_copy(update=values)
    update(folder, data=record.data.model_copy(update={"attack": info}))


def markdown(out: Path, name: str) -> list[str]:
    return (out / "tables" / f"{name}.md").read_text(encoding="utf-8").splitlines()


def test_tasks_stand_side_by_side_with_the_best_in_bold(make_comparison: Make, tmp_path: Path) -> None:
    root = make_comparison(("qnli", "conll2003"), BOTH, ("drop", "charbert_2020"), count=100)
    for system, score in (("0/qnli-bert", 50.0), ("1/qnli-charbert", 60.0)):
        update(root / f"{system}-0-charbert_2020-1", scores={"accuracy": score})
    out = write_report([root], tmp_path / "out").parent
    frame = report_tables([root])["tasks_charbert_2020"].set_index("system")
    assert frame["qnli_attacked"].to_dict() == {"bert": 50.0, "charbert": 60.0}
    assert frame["qnli_attacked_best"].to_dict() == {"bert": False, "charbert": True}
    clean = frame.loc["charbert", "qnli_clean"]
    assert frame.loc["charbert", "qnli_retention"] == 60.0 / clean
    (line,) = [line for line in markdown(out, "tasks_charbert_2020") if line.startswith("| charbert |")]
    assert f"| **60.0** of {clean:.1f}: {6000 / clean:.1f}% |" in line
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "<strong>60.0</strong>" in page
    assert page.index("All tasks under charbert_2020") < page.index("All tasks under drop")  # the paper's first
    assert r"\textbf{60.0}" in (out / "tables" / "tasks_charbert_2020.tex").read_text(encoding="utf-8")


def test_seeds_are_averaged_and_a_clean_result_counts_once_a_training_seed(make_runs: Make) -> None:
    root = make_runs(("qnli",), BOTH, ("drop",))
    for place, clean, attacked in (("bert-0", 90.0, 40.0), ("charbert-0", 80.0, 60.0)):
        update(root / f"qnli-{place}-clean-1", scores={"accuracy": clean})
        update(root / f"qnli-{place}-drop-1", scores={"accuracy": attacked})
    again = read_record(root / "qnli-bert-0-drop-1" / "record.json")
    assert again.data.attack is not None
    info = again.data.attack.model_copy(update={"seed": 2})
    (root / "again").mkdir()
    data = again.data.model_copy(update={"attack": info, "sha256": "other"})
    write_record(root / "again", again.model_copy(update={"data": data, "scores": {"accuracy": 60.0}}))
    row = report_tables([root])["tasks_drop"].set_index("system").loc["bert"]
    assert (row["qnli_clean"], row["qnli_attacked"], row["qnli_drop"]) == (90.0, 50.0, 40.0)


def test_operators_are_a_heat_map_of_drops(make_comparison: Make) -> None:
    root = make_comparison(("qnli",), BOTH, ("charbert_2020", "drop", "swap"), count=100)
    table = report_tables([root])["operators"].set_index("label")
    frame = report_frame([root]).set_index(["label", "suite"])
    assert {"drop_drop", "drop_drop_low", "drop_relative_drop", "swap_drop"} <= set(table.columns)
    assert table.loc["charbert", "swap_drop"] == frame.loc[("charbert", "swap"), "drop"]
    figure = report_figures([root])["operators"]
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown == [f"{frame.loc[(name, one), 'drop']:.1f}" for name in BOTH for one in ("drop", "swap")]
    assert "operators" not in report_tables([root / "0"])  # one system


def test_strengths_make_curves_only_where_there_are_two(make_comparison: Make) -> None:
    root = make_comparison(("qnli",), BOTH, ("drop", "drop@0.3"), count=100)
    assert "strength" not in report_tables([root])  # both of one strength
    for number, system in enumerate(BOTH):
        attack(root / f"{number}" / f"qnli-{system}-0-drop@0.3-1", effective_strength=0.28)
    rows = report_tables([root])["strength"]
    assert rows["suite"].tolist() == ["drop@0.3", "drop"] * 2
    assert rows["effective_strength"].tolist() == [0.28, 0.4876] * 2
    (axes,) = report_figures([root])["strength_qnli"].axes
    line = axes.get_lines()[1]
    assert line.get_xdata() == pytest.approx([0.0, 18.2, 31.694])  # 13 of 20 words are eligible
    assert list(line.get_ydata()) == [rows["clean"].iloc[2], *rows["attacked"].iloc[2:]]
    assert len({(one.get_marker(), str(one.get_linestyle())) for one in axes.get_lines()}) == 2


def test_published_scores_stand_beside_ours_with_both_set_ups(make_comparison: Make, tmp_path: Path) -> None:
    root = make_comparison(("qnli", "cola"), ("bert", "charbert", "bert_aug"), ("charbert_2020", "drop"), count=100)
    update(root / "1/qnli-charbert-0-charbert_2020-1", scores={"accuracy": 60.0})
    out = write_report([root], tmp_path / "out").parent
    frame = report_tables([root])["published"].set_index(["task", "system"])
    assert sorted(frame.index) == [("cola", "bert"), ("cola", "charbert"), ("qnli", "bert"), ("qnli", "charbert")]
    row = frame.loc[("qnli", "charbert")]
    assert (row["published_clean"], row["published_attacked"], row["ours_attacked"]) == (91.7, 80.1, 60.0)
    assert row["published_relative_drop"] == pytest.approx(0.1265, abs=1e-4)  # the article's 12%
    assert frame.loc[("qnli", "bert"), "published_relative_drop"] == pytest.approx(0.3010, abs=1e-4)  # its 30%
    assert (row["published_base"], row["base"]) == ("bert-base-cased", "minilm")
    assert row["setup"].startswith("pre-trained further on 2,457,600 sub-words, 1,200 steps; fine-tuned on 925 exam")
    cola = frame.loc[("cola", "bert")]
    assert cola["published_clean"] == 57.4
    assert cola["published_attacked"] != cola["published_attacked"]  # the paper has none
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "2,500,000,000 words" in text
    assert "two units that are not to be divided" in text


def test_a_variant_is_not_the_published_system(make_comparison: Make) -> None:
    root = make_comparison(("qnli",), BOTH, ("drop",))
    for path in (root / "1").rglob("record.json"):
        system = read_record(path).system.model_copy(update={"label": "charbert noise 30%"})
        update(path.parent, system=system)
    assert report_tables([root])["published"]["system"].tolist() == ["bert"]


def test_generated_data_are_not_compared_with_the_paper_and_characters_are_said_to_be(make_comparison: Make) -> None:
    root = make_comparison(("qnli",), BOTH, ("drop",))
    for path in (root / "1").rglob("record.json"):
        record = read_record(path)
        assert record.system.pretraining is not None
        words = record.system.pretraining.model_copy(update={"tokens": 0, "steps": 3000})
        update(path.parent, system=record.system.model_copy(update={"pretraining": words}))
    tables = report_tables([root])
    assert tables["published"]["setup"][1].startswith("characters pre-trained, 3,000 steps; ")
    assert "tokens" not in tables["compared"]["pretraining"][1]
    for path in root.rglob("*-clean-*/record.json"):  # an attacked file has a name of its own
        update(path.parent, data=read_record(path).data.model_copy(update={"source": "mini"}))
    assert "published" not in report_tables([root])


def price(folder: Path, record: Record) -> None:
    assert record.data.attack is not None
    errors = WordErrors(wer_before=40.0, wer_after=12.34, wer_before_cased=40.0, wer_after_cased=13.0,
                        clean_changed=4.25, clean_changed_cased=4.25, entity_changed=None, words=2000, entity_words=0,
                        examples=100)  # fmt: skip
    info = DefenceInfo(kind="wordrec", name="wordrec", sha256="3" * 64, parameters=5, suites=("mixed",),
                       settings={"vocabulary": 10_000, "backoff": "neutral"})  # fmt: skip
    made = PriceRecord(task=record.task, defence=info, source="dev.tsv", clean_sha256="c", attacked_sha256="a",
                       attack=record.data.attack, errors=errors, created=record.created,
                       provenance=record.provenance)  # fmt: skip
    (folder / PRICE).write_text(made.model_dump_json(by_alias=True))


def test_a_price_with_entities_and_speed_shows_them(make_runs: Make, tmp_path: Path) -> None:
    root = make_runs(suites=("drop",))
    price(root / "qnli-bert-0-drop-1", read_record(root / "qnli-bert-0-drop-1" / "record.json"))
    (path,) = root.rglob(PRICE)
    made = json.loads(path.read_text()) | {"words_per_second": 123456.0}
    made["errors"] |= {"entity_words": 9, "entity_before": 80.0, "entity_after": 20.04, "entity_changed": 1.0}
    path.write_text(json.dumps(made))
    (line,) = [line for line in markdown(write_report([root], tmp_path / "out").parent, "defence_prices")
               if line.startswith("| qnli")]  # fmt: skip
    assert line.endswith("| 40.0% | 12.3% | 80.0% | 20.0% | 4.2% | 1.0% | 2,000 | 9 | 123,456 |")


def test_the_price_of_a_recogniser_is_shown(make_runs: Make, tmp_path: Path) -> None:
    root = make_runs(suites=("drop",))
    price(root / "qnli-bert-0-drop-1", read_record(root / "qnli-bert-0-drop-1" / "record.json"))
    out = write_report([root, root], tmp_path / "out").parent
    (line,) = [line for line in markdown(out, "defence_prices") if line.startswith("| qnli")]
    assert line == (
        "| qnli | wordrec; 10,000 words, back-off neutral; 5 parameters; trained under mixed "
        "| drop | 40.0% | 12.3% | 4.2% | 2,000 | 0 |"
    )


def test_the_fragility_of_a_tokenizer_is_shown(make_runs: Make, tmp_path: Path) -> None:
    root = make_runs(suites=("drop",))
    assert "fragility" not in report_tables([root])
    group = Deletions(group="all", words=90, split=0.25, none_shared=0.8, pieces_changed=0.9, characters_changed=0.125)
    made = FragilityRecord(
        task="ptb_pos", tokenizer="minilm", source="test.pos", source_sha256="3" * 64, seed=4, words=2000,
        split_words=0.125, entities=0, split_entities=None, noun_tags=("NN",), nouns=(group,),
        noun_types=(group.model_copy(update={"words": 60}),), created="2026-01-05T10:00:00+00:00",
        provenance=read_record(root / "qnli-bert-0-drop-1" / "record.json").provenance,
    )  # fmt: skip
    (root / FRAGILITY).write_text(made.model_dump_json(by_alias=True), encoding="utf-8")
    out = write_report([root], tmp_path / "out").parent
    assert "Fragility of the tokenizer" in (out / "report.md").read_text(encoding="utf-8")
    assert markdown(out, "fragility")[-1] == "| ptb_pos | minilm | test.pos | 2,000 | 12.5% | 0 |"
    assert markdown(out, "fragility_deletions")[-2:] == [
        "| ptb_pos | minilm | 4 | occurrences | all | 90 | 25.0% | 80.0% | 90.0% | 12.5% |",
        "| ptb_pos | minilm | 4 | distinct nouns | all | 60 | 25.0% | 80.0% | 90.0% | 12.5% |",
    ]
    assert report_tables([root])["fragility"]["split_words"].tolist() == [0.125]


def test_what_systems_share_and_where_they_differ(make_comparison: Make) -> None:
    root = make_comparison(("qnli",), ("bert", "advbert", "charbert"), ("drop",))
    for path in (root / "2").rglob("record.json"):
        system = read_record(path).system
        settings = {**system.settings, "learning_rate": 1e-4}
        update(path.parent, system=system.model_copy(update={"settings": settings}))
    rows = report_tables([root])["fairness"].set_index("what")
    assert rows["systems"].to_dict() == {"qnli": 3, "pre-training": 2}
    assert rows.loc["qnli", "differs"] == "learning rate 5e-05, but 0.0001 (charbert)"
    assert rows.loc["qnli", "shared"] == "base minilm; training data 777777777777; epochs 2; training examples 925"
    assert rows.loc["pre-training", "shared"] == "text 888888888888; steps 1,200; tokens 2,457,600"


def test_files_of_a_table_and_a_figure(make_runs: Make, tmp_path: Path) -> None:
    out = write_report([make_runs(systems=("50% & _x_",), suites=("drop",))], tmp_path / "out").parent
    text = (out / "tables" / "scores_qnli.tex").read_text(encoding="utf-8")
    head, *rest = text.partition("\\midrule\n")
    assert r"\label{tab:scores_qnli}" in head
    (spec,) = re.findall(r"\\begin\{tabular\}\{([lr]+)\}", head)
    (row,) = [line for line in rest[1].splitlines() if line.startswith(r"50\% \& \_x\_ &")]
    assert len(re.findall(r"(?<!\\)&", row)) == len(spec) - 1
    assert (head.count("\\toprule"), rest[1].count("\\bottomrule")) == (1, 1)
    png = (out / "figures" / "scores_qnli.png").read_bytes()
    width = int.from_bytes(png[16:20], "big")
    assert width == round(report_figures([tmp_path / "runs"])["scores_qnli"].get_figwidth() * 300)


def test_latex_is_escaped() -> None:
    assert escape_latex(r"a\b{c}_$~^") == r"a\textbackslash{}b\{c\}\_\$\textasciitilde{}\textasciicircum{}"
    assert escape_latex("−1.0 †") == r"$-$1.0 \textdagger{}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "accuracy_f1"}, "scores of different metrics of qnli"),
        ({"data": {"attack": {"clean_sha256": "another"}}}, "results on different data of qnli"),
        ({"data": {"sha256": "another"}}, "two attacks called drop of qnli"),
        ({"schema": 2}, "schema: found 2, of a newer version"),
    ],
)
def test_records_that_do_not_belong_together_are_refused(
    make_runs: Make, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    root = make_runs(systems=BOTH, suites=("drop",))
    path = root / "qnli-charbert-0-drop-1" / "record.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    _merge(values, change)
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        write_report([root], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _merge(values: dict[str, Any], change: dict[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, dict):
            _merge(values[key], value)
        else:
            values[key] = value


def test_a_price_of_a_newer_schema_is_refused(make_runs: Make, tmp_path: Path) -> None:
    root = make_runs(suites=("drop",))
    (root / PRICE).write_text(json.dumps({"schema": 2}), encoding="utf-8")
    with pytest.raises(InputError, match=r"defence_price\.json: schema: found 2, of a newer version"):
        write_report([root], tmp_path / "out")


def test_a_notebook_gets_what_the_report_holds(make_comparison: Make, tmp_path: Path) -> None:
    root = make_comparison(("qnli",), BOTH, ("drop", "swap"))
    out = write_report([root], tmp_path / "out").parent
    tables, figures = report_tables([str(root)]), report_figures([root])
    assert {f"{name}.csv" for name in tables} == {path.name for path in (out / "tables").glob("*.csv")}
    assert {f"{name}.svg" for name in figures} == {path.name for path in (out / "figures").glob("*.svg")}
    with (out / "tables" / "scores_qnli.csv").open(encoding="utf-8", newline="") as file:
        assert [float(row["drop"]) for row in csv.DictReader(file)] == tables["scores_qnli"]["drop"].tolist()
