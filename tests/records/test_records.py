"""Records and predictions come back as they were written, and nothing else is read as one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.records.evaluation import (
    PREDICTION_COLUMNS,
    DefenceInfo,
    Record,
    find_records,
    read_predictions,
    read_record,
    write_predictions,
    write_record,
)
from robustbench_char.records.training import AugmentInfo, PretrainingInfo, TrainedAttackInfo

MakeRecord = Callable[..., Record]
ROOT = Path(__file__).resolve().parents[2]
NEW = ("label", "extra_parameters", "pretraining", "augment", "defence")
PRETRAINING = PretrainingInfo(
    system="advbert",
    base="minilm",
    steps=100,
    tokens=12800,
    tokens_per_second=900.5,
    wall_seconds=14.25,
    text=("train.txt",),
    text_sha256="1" * 64,
    noise="charbert_2020",
    noise_share=0.15,
)
ATTACK = TrainedAttackInfo(suite="mixed", suite_sha256="4", seed=1, operators=("drop", "add"), clean_sha256="5")
RECOGNISER = DefenceInfo(
    kind="wordrec", name="wordrec", sha256="2", parameters=5, operators=("swap", "add"), suites=("pruthi_2019",),
    settings={"vocabulary": 10, "backoff": "neutral", "keep_case": True},
)  # fmt: skip
CHANNEL = DefenceInfo(kind="channel", name="mine", sha256="3", edits=1)


def augmented(*operators: str, suite: str = "charbert_2020", without: tuple[str, ...] = ()) -> AugmentInfo:
    return AugmentInfo(suite=suite, suite_sha256="3", operators=operators, without=without, share=0.5, seed=9)


def _predictions() -> pd.DataFrame:
    rows = [
        (0, "q-1", '{"sentence": "NA"}', '"1"', '"0"', 0.0, "[]"),
        (1, "q-2", '{"sentence": "null \\u00e9"}', '"0"', '"0"', 1 / 3, "[]"),
    ]
    return pd.DataFrame(rows, columns=list(PREDICTION_COLUMNS))


def _altered(folder: Path, record: Record, change: Callable[[dict[str, Any]], object]) -> Path:
    value = record.model_dump(mode="json", by_alias=True)
    change(value)
    (folder / "record.json").write_text(json.dumps(value), encoding="utf-8")
    return folder / "record.json"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(score=st.floats(-100, 100), suite=st.sampled_from([None, "drop"]))
def test_a_record_comes_back(score: float, suite: str | None, make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record(score, suite=suite, clean_gold_scores={"f1": score / 3} if suite else None)
    write_record(tmp_path, record)
    assert read_record(tmp_path / "record.json") == record
    assert record.condition == (suite or "clean")


def test_the_file_carries_schema_1_and_full_precision(make_record: MakeRecord, tmp_path: Path) -> None:
    write_record(tmp_path, make_record())
    value = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    assert value["schema"] == 1
    assert value["scores"]["precision"] == 1 / 3


def test_what_tells_systems_apart_comes_back(make_record: MakeRecord, tmp_path: Path) -> None:
    parts = {"label": "mine", "extra_parameters": 5, "pretraining": PRETRAINING, "defence": RECOGNISER}
    parts |= {"augment": augmented("add", without=("drop",))}
    record = make_record(predict_seconds=2.5, counts={"examples": 20, "pieces": 1000}, parts=parts)
    write_record(tmp_path, record)
    read = read_record(tmp_path / "record.json")
    assert read == record
    assert (read.system.shown, read.cost_per_piece) == ("mine", 0.0025)
    assert (read.system.extra_parameters, read.system.all_extra_parameters) == (5, 5 + RECOGNISER.parameters)


def test_a_record_of_before_these_fields_is_read(make_record: MakeRecord, tmp_path: Path) -> None:
    def without(value: dict[str, Any]) -> None:
        assert value.pop("predict_seconds") is None
        assert [value["system"].pop(name) for name in NEW] == [None] * len(NEW)

    read = read_record(_altered(tmp_path, make_record(suite="drop"), without))
    assert read == make_record(suite="drop")
    assert (read.system.shown, read.saw_attack, read.cost_per_piece) == ("bert", None, None)
    committed = find_records([ROOT / "reports" / "results" / "first_comparison"])
    assert len(committed) == 12
    assert all(record.saw_attack is None for _, record in committed)


@pytest.mark.parametrize(
    ("suite", "operators", "parts", "saw"),
    [
        ("charbert_2020", ("add", "drop"), {"augment": augmented("add", "drop")}, "suite"),
        ("charbert_2020", ("add", "drop"), {"augment": augmented("add", without=("drop",))}, "operators"),
        ("drop", ("drop",), {"augment": augmented("add", "drop")}, "operators"),
        ("drop", ("drop",), {"augment": augmented("add", without=("drop",))}, None),
        ("drop", ("drop",), {"augment": augmented("add", "drop", without=("drop",))}, None),
        ("drop", ("drop",), {"augment": augmented("drop", suite="drop")}, "suite"),
        ("swap", ("swap",), {"defence": RECOGNISER}, "operators"),
        ("drop", ("drop",), {"defence": RECOGNISER}, None),
        ("pruthi_2019", ("drop",), {"defence": RECOGNISER}, "suite"),
        ("drop", ("drop",), {"defence": CHANNEL}, "edits"),
        ("drop", ("drop",), {"defence": CHANNEL, "augment": augmented("drop")}, "operators"),
        ("drop", ("drop",), {"defence": CHANNEL.model_copy(update={"edits": None})}, None),
        (None, (), {"defence": CHANNEL}, None),
        ("charbert_2020", ("drop",), {"pretraining": PRETRAINING}, "suite"),
        ("charbert_2020", ("drop",), {"pretraining": PRETRAINING.model_copy(update={"noise_share": 0.0})}, None),
        ("drop", ("drop",), {"pretraining": PRETRAINING}, None),
        ("drop", ("drop",), {"pretraining": PRETRAINING.model_copy(update={"attacks": (ATTACK,)})}, "operators"),
        ("mixed", ("swap",), {"pretraining": PRETRAINING.model_copy(update={"attacks": (ATTACK,)})}, "suite"),
        ("swap", ("swap",), {"pretraining": PRETRAINING.model_copy(update={"attacks": (ATTACK,)})}, None),
        ("drop", ("drop",), {}, None),
        (None, (), {"augment": augmented("add", "drop")}, None),
    ],
)
def test_what_a_system_saw_of_an_attack(
    suite: str | None, operators: tuple[str, ...], parts: dict[str, Any], saw: str | None, make_record: MakeRecord
) -> None:
    given: dict[str, Any] = {"operators": dict.fromkeys(operators, 3)} if suite else {}
    assert make_record(suite=suite, parts=parts, **given).saw_attack == saw


@pytest.mark.parametrize(("edits", "saw"), [(1, "edits"), (2, None), (None, None)])
def test_a_defence_for_fewer_edits_does_not_know_the_attack(
    edits: int | None, saw: str | None, make_record: MakeRecord
) -> None:
    record = make_record(suite="drop", operators={"drop": 3}, parts={"defence": CHANNEL})
    assert record.data.attack is not None
    data = record.data.model_copy(update={"attack": record.data.attack.model_copy(update={"word_edits": edits})})
    assert record.model_copy(update={"data": data}).saw_attack == saw


def test_a_recogniser_of_an_older_record_is_a_defence(make_record: MakeRecord, tmp_path: Path) -> None:
    older = {
        "vocabulary": 10, "suite": "pruthi_2019", "suite_sha256": None, "operators": ["swap", "add"], "parameters": 5,
        "backoff": "neutral", "weights_sha256": "2", "keep_case": True, "background_sha256": None,
    }  # fmt: skip

    def as_before(value: dict[str, Any]) -> None:
        value["system"].pop("defence")
        value["system"]["recogniser"] = older

    path = _altered(tmp_path, make_record(), as_before)
    assert read_record(path).system.defence == RECOGNISER
    write_record(tmp_path, read_record(path))
    assert read_record(path).system.defence == RECOGNISER
    older.pop("weights_sha256")
    path = _altered(tmp_path, make_record(), as_before)
    with pytest.raises(InputError, match=r"record\.json: system\.recogniser\.kind: found Field required"):
        read_record(path)


def test_an_operator_that_made_no_edit_was_not_evaluated(make_record: MakeRecord) -> None:
    record = make_record(suite="mix", operators={"add": 0, "drop": 3}, parts={"augment": augmented("add")})
    assert record.saw_attack is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(speed=3), r"record\.json: speed: found an unknown key; expected a record written by"),
        (lambda v: v["data"]["attack"].update(note="x"), r"record\.json: data\.attack\.note: found an unknown key"),
        (lambda v: v["provenance"].update(host="x"), r"record\.json: provenance\.host: found an unknown key"),
        (lambda v: v["system"].pop("base"), r"record\.json: system\.base: found Field required"),
        (lambda v: v["scores"].update(f1="high"), r"record\.json: scores\.f1: found Input should be a valid number"),
        (lambda v: v.update(headline="F1"), r"record\.json: headline: found 'F1', which is not among the scores"),
        (
            lambda v: v["scores"].update(f1=math.inf),
            r"record\.json: scores\.f1: found the number inf; expected numbers of at most 64",
        ),
        (
            lambda v: v["scores"].update(f1=math.nan),
            r"record\.json: scores\.f1: found the number nan; expected numbers of at most",
        ),
        (
            lambda v: v["counts"].update(examples=1 << 63),
            r"record\.json: counts\.examples: found the number 9223372036854775808; expected",
        ),
        (
            lambda v: v["system"].update(training_seed=-(10**4000)),
            r"record\.json: system\.training_seed: found the number -1000000000000000000;",
        ),
        (lambda v: v.update(schema=0), r"record\.json: schema: found Input should be 1"),
        (lambda v: v.update(schema="1"), r"record\.json: schema: found Input should be 1"),
        (
            lambda v: v.update(schema=2, speed=3),
            r"record\.json: schema: found 2, of a newer version of robustbench-char; expected schema 1\. Upgrade: pip",
        ),
    ],
)
def test_other_content_is_refused_by_file_and_field(
    change: Callable[[dict[str, Any]], object], message: str, make_record: MakeRecord, tmp_path: Path
) -> None:
    path = _altered(tmp_path, make_record(suite="drop"), change)
    with pytest.raises(InputError, match=message):
        read_record(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", r"record\.json: the whole file: found Input should be"),
        ("null", r"record\.json: the whole file: found Input should be"),
        ('{"schema": 1,\n', r"record\.json:2: found malformed JSON"),
        ("<!DOCTYPE html><html>", r"record\.json:1: found malformed JSON"),
    ],
)
def test_what_is_no_record_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_record(tmp_path / "record.json")


def test_records_are_found_below_folders_in_sorted_order(make_record: MakeRecord, tmp_path: Path) -> None:
    for number, name in enumerate(["b", "a/deep"]):
        (tmp_path / name).mkdir(parents=True)
        write_record(tmp_path / name, make_record(float(number)))
    found = find_records([tmp_path])
    assert [folder for folder, _ in found] == [tmp_path / "a/deep", tmp_path / "b"]
    assert [record.scores["f1"] for _, record in found] == [1.0, 0.0]


def test_no_records_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found no record\.json; expected at least one evaluation"):
        find_records([tmp_path])
    with pytest.raises(InputError, match="nowhere: found no such folder"):
        find_records([tmp_path / "nowhere"])


def test_predictions_come_back_and_are_held_to_their_record(make_record: MakeRecord, tmp_path: Path) -> None:
    digest = write_predictions(tmp_path, _predictions())
    assert digest == sha256_file(tmp_path / "predictions.parquet")
    for record in (None, make_record(predictions_sha256=digest)):
        read = read_predictions(tmp_path, record)
        assert read is not None
        pd.testing.assert_frame_equal(read, _predictions())


def test_the_same_predictions_give_the_same_bytes(tmp_path: Path) -> None:
    assert write_predictions(tmp_path, _predictions()) == write_predictions(tmp_path, _predictions())


def test_predictions_that_were_not_kept_are_none(make_record: MakeRecord, tmp_path: Path) -> None:
    assert read_predictions(tmp_path, make_record()) is None


def test_altered_predictions_are_refused(make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record(predictions_sha256=write_predictions(tmp_path, _predictions()))
    write_predictions(tmp_path, _predictions().assign(score=1.0))
    with pytest.raises(InputError, match=r"predictions\.parquet: found another content than its record was made with"):
        read_predictions(tmp_path, record)


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html></html>", b"", b"PAR1 cut off"])
def test_damaged_predictions_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "predictions.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"predictions\.parquet: found a damaged file"):
        read_predictions(tmp_path)


@pytest.mark.parametrize("columns", [PREDICTION_COLUMNS[:-1], (*PREDICTION_COLUMNS, "x"), PREDICTION_COLUMNS[::-1]])
def test_other_columns_are_refused(columns: tuple[str, ...], tmp_path: Path) -> None:
    frame = _predictions().reindex(columns=list(columns))
    message = f"found the columns {', '.join(columns)}; expected the predictions of one evaluation"
    with pytest.raises(InputError, match=message):
        write_predictions(tmp_path, frame)
    assert not (tmp_path / "predictions.parquet").exists()
    frame.to_parquet(tmp_path / "predictions.parquet")
    with pytest.raises(InputError, match=message):
        read_predictions(tmp_path)
