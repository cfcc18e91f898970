"""Searches for a worst case are found in runs and in published sets alike, and say how many edits break an example."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_char.attacks.search import constraints
from robustbench_char.attacks.suites import load_suites
from robustbench_char.common import InputError
from robustbench_char.records.evaluation import AttackInfo, DataInfo, Record, read_record, write_record
from robustbench_char.records.published import publish
from robustbench_char.records.worst_case import WorstCases, find_worst_cases, read_worst_cases

MakeRecord = Callable[..., Record]
MakeWorst = Callable[..., WorstCases]
Steps = Sequence[Sequence[tuple[int, int, Sequence[float]]]]

RIGHT, HALF, WRONG = (2.0, 2.0, 2.0), (1.0, 2.0, 2.0), (0.0, 1.0, 2.0)
"""Entities that are right, predicted and gold."""
STEPS: Steps = (
    [(0, 0, RIGHT), (3, 1, HALF), (40, 2, WRONG)],
    [(0, 0, RIGHT), (9, 2, WRONG)],
    [(0, 0, RIGHT)],
    [(0, 0, HALF), (5, 1, WRONG)],
)


@pytest.fixture
def run(make_record: MakeRecord, make_worst_case: MakeWorst, tmp_path: Path) -> Path:
    """Return a run with a record and two searches, whose metrics have other counts."""
    run, record = tmp_path / "run", make_record()
    (run / "clean").mkdir(parents=True)
    write_record(run / "clean", record)
    make_worst_case(run / "b", record, STEPS, edits=2)
    other = record.model_copy(update={"task": "cola", "metric": "matthews", "headline": "matthews"})
    cells = [[(0, 0, (1.0, 0.0, 0.0, 0.0))], [(0, 0, (0.0, 0.0, 0.0, 1.0)), (1, 1, (0.0, 0.0, 1.0, 0.0))]]
    make_worst_case(run / "a", other, cells, classes=("0", "1"))
    return run


def test_a_published_set_holds_searches_as_the_run_does(run: Path, tmp_path: Path) -> None:
    publish(run, tmp_path / "set")
    found = find_worst_cases([run])
    assert [folder.name for folder, _ in found] == ["a", "b"]
    assert {path.name for path in (tmp_path / "set").iterdir()} >= {"worst_cases.jsonl", "worst_cases.parquet"}
    for (folder, one), (kept, other) in zip(found, find_worst_cases([tmp_path / "set"]), strict=True):
        assert (folder.relative_to(run), one.record) == (kept.relative_to(tmp_path / "set"), other.record)
        pd.testing.assert_frame_equal(one.steps, other.steps)
    (part,) = find_worst_cases([tmp_path / "set" / "b"])
    assert part[1].score() == found[1][1].score()
    publish(tmp_path / "set", tmp_path / "again")
    for path in (tmp_path / "set").iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_a_set_without_searches_has_no_file_of_them(run: Path, tmp_path: Path) -> None:
    publish(run, tmp_path / "set")
    publish(run / "clean", tmp_path / "set")
    assert not find_worst_cases([tmp_path / "set"])
    assert not list((tmp_path / "set").glob("worst_case*"))


def test_altered_and_missing_steps_are_refused(run: Path, tmp_path: Path) -> None:
    publish(run, tmp_path / "set")
    (tmp_path / "set" / "worst_cases.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"worst_cases\.parquet: found another content than was published"):
        find_worst_cases([tmp_path / "set"])
    (run / "b" / "worst_case.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"worst_case\.parquet: found another content.*search again"):
        find_worst_cases([run])
    (run / "a" / "worst_case.parquet").unlink()
    with pytest.raises(InputError, match=r"worst_case\.parquet: found no such file"):
        read_worst_cases(run / "a")
    (run / "a" / "worst_case.json").write_text('{"schema": 2}')
    with pytest.raises(InputError, match="of a newer version"):
        find_worst_cases([run])


def test_least_edits_are_those_of_the_first_step_that_breaks(run: Path) -> None:
    table = read_worst_cases(run / "b").least()
    assert [None if pd.isna(least) else int(least) for least in table["least"]] == [1, 2, None, 0]
    assert table["worst"].tolist() == [2, 2, 0, 1]


@settings(max_examples=8)
@given(drawn=st.lists(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=4), min_size=1, max_size=6))
def test_least_edits_agree_with_the_share_that_is_broken(
    tmp_path_factory: pytest.TempPathFactory,
    make_record: MakeRecord,
    make_worst_case: MakeWorst,
    drawn: list[list[tuple[int, bool]]],
) -> None:
    steps = []
    for own in drawn:
        edits = sorted(number + 1 for number, _ in own)
        worse = sorted((0.0 if broken else 1.0 for _, broken in own), reverse=True)
        states = [(at + 1, many, (right, 1.0, 1.0)) for at, (many, right) in enumerate(zip(edits, worse, strict=True))]
        steps.append([(0, 0, (1.0, 1.0, 1.0)), *states])
    found = make_worst_case(tmp_path_factory.mktemp("made") / "worst", make_record(), steps, edits=3)
    least = found.least()["least"]
    for edits in range(4):
        assert found.broken(edits).value == pytest.approx(100 * (least.fillna(9) <= edits).mean())
    if least.notna().any():
        assert found.edits_to_break().value == pytest.approx(least.dropna().astype(float).mean())


def test_a_record_says_which_model_was_searched(make_record: MakeRecord, tmp_path: Path) -> None:
    clean, attacked = make_record(), make_record(suite="worst_drop@1 of bert")
    assert (clean.condition, attacked.condition) == ("clean", "worst_drop@1 of bert")
    attack = attacked.data.attack
    assert isinstance(attack, AttackInfo)
    search = {"name": "bert", "model_sha256": clean.system.model_sha256, "search": "greedy", "edits": 2, "size": 1}
    searched = attack.model_validate(
        attack.model_dump() | {"search": search | {"budget": None, "guided_by": "scores"}, "suite_sha256": "0123456789"}
    )
    data: DataInfo = attacked.data.model_copy(update={"attack": searched})
    record = attacked.model_copy(update={"data": data})
    assert record.condition == "worst_drop@1 of bert (greedy, 012345)"
    assert record.saw_attack == attacked.saw_attack
    write_record(tmp_path, record)
    assert read_record(tmp_path / "record.json") == record
    older = json.loads((tmp_path / "record.json").read_text())
    for name in ("search", "constraints", "requested_edits"):
        older["data"]["attack"].pop(name)
    (tmp_path / "record.json").write_text(json.dumps(older))
    assert read_record(tmp_path / "record.json").condition == "worst_drop@1 of bert"


def test_constraints_are_the_edits_that_a_suite_allows() -> None:
    one, two = load_suites("pruthi_2019_random", task="cola")
    (searched,) = load_suites("pruthi_2019", task="cola")
    (drop,) = load_suites("drop@0.3", task="cola")
    field = ("sentence",)
    assert constraints(one, field) == constraints(two, field) == constraints(searched, field)
    heavy = {name: rule.model_copy(update={"weight": 7}) for name, rule in one.operators.items()}
    assert constraints(one.model_copy(update={"operators": heavy}), field) == constraints(one, field)
    assert constraints(one.model_copy(update={"draw_among": "applicable"}), field) == constraints(one, field)
    assert len({constraints(one, field), constraints(one, ("other",)), constraints(drop, field)}) == 3
