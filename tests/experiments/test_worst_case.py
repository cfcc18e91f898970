"""The worst case in a benchmark: parts as jobs, an attack set per system, every system scored on each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robustbench_char.common import InputError
from robustbench_char.experiments import run as benchmark
from robustbench_char.experiments._jobs import Job
from robustbench_char.experiments.estimates import Costs, JobCost, kinds_of
from robustbench_char.inference.worst_case import _pool
from robustbench_char.inference.worst_case._judge import Judge
from robustbench_char.records.evaluation import find_records
from robustbench_char.records.worst_case import WorstCases, read_worst_cases
from robustbench_char.tasks.sources import mini_path

Write = Callable[..., str]

SEARCH: dict[str, Any] = {"suite": "pruthi_2019", "edits": 1, "parts": 2, "fields": ["question"]}
SYSTEMS: dict[str, Any] = {"bert": {}, "bert_channel": {}}


def jobs_of(spec: str, tmp_path: Path) -> dict[str, Job]:
    return benchmark.plan(spec, store=tmp_path / "store").plan.jobs


def test_parts_a_set_and_the_scores_of_all_systems(write_spec: Write, tmp_path: Path) -> None:
    jobs = jobs_of(write_spec(systems=SYSTEMS, worst_case={"one": {**SEARCH, "systems": ["bert"]}}), tmp_path)
    bert = "tiny/bert/qnli/seed_0"
    parts = [f"worst_part/{bert}/one/part_{number}" for number in (0, 1)]
    assert [name for name in jobs if name.startswith("worst_part/")] == parts
    assert all(jobs[name].needs == {"system": f"finetune/{bert}"} for name in parts)
    assert [name for name in jobs if name.startswith("worst_case/")] == [f"worst_case/{bert}/one"]
    assert [*jobs[f"worst_case/{bert}/one"].needs.values()] == parts
    scores = [name for name in jobs if name.startswith("score/") and "worst_case" in name]
    own = f"score/{bert}/worst_case/one/tiny/bert"
    assert scores == [own, "score/tiny/bert_channel/qnli/seed_0/worst_case/one/tiny/bert"]
    assert jobs[own].needs["attacked"] == f"worst_case/{bert}/one"
    assert jobs[own.replace("score", "predict", 1)].params["limit"] == 12
    assert jobs[parts[0]].params["fields"] == ["question"]
    assert jobs[parts[0]].work == 6


@pytest.mark.parametrize(
    ("transfer", "scored"),
    [
        (True, {("bert", "bert"), ("bert_channel", "bert"), ("bert", "bert_channel"), ("bert_channel",) * 2}),
        (False, {("bert", "bert"), ("bert_channel", "bert_channel")}),
        (["bert"], {("bert", "bert"), ("bert", "bert_channel"), ("bert_channel", "bert_channel")}),
    ],
)
def test_who_is_scored_on_whose_worst_case(write_spec: Write, tmp_path: Path, transfer: Any, scored: Any) -> None:
    jobs = jobs_of(write_spec(systems=SYSTEMS, worst_case={"one": {**SEARCH, "transfer": transfer}}), tmp_path)
    names = [name.split("/") for name in jobs if name.startswith("score/") and "worst_case" in name]
    assert {(parts[2], parts[-1]) for parts in names} == scored


def test_one_seed_is_searched_and_the_lowest_limit_holds(write_spec: Write, tmp_path: Path) -> None:
    search = {**SEARCH, "limit": 5, "parts": 1, "fields": {"qnli": ["sentence"]}}
    jobs = jobs_of(write_spec(training_seeds=[3, 4], worst_case={"one": search}), tmp_path)
    (part,) = [job for name, job in jobs.items() if name.startswith("worst_part/")]
    assert part.name == "worst_part/tiny/bert/qnli/seed_3/one/part_0"
    assert (part.params["limit"], part.params["fields"]) == (5, ["sentence"])
    jobs = jobs_of(write_spec(worst_case={"one": {**search, "limit": 50}}), tmp_path)
    assert jobs["worst_part/tiny/bert/qnli/seed_0/one/part_0"].params["limit"] == 12


def test_the_fields_of_a_task_are_attacked_and_searched(write_spec: Write, tmp_path: Path) -> None:
    tasks = {"qnli": {"test_limit": 12, "fields": ["question"]}}
    jobs = jobs_of(write_spec(tasks=tasks, worst_case={"one": {"suite": "drop"}}), tmp_path)
    assert jobs["attack/qnli/drop/seed_1"].params["fields"] == ["question"]
    assert jobs["worst_part/tiny/bert/qnli/seed_0/one/part_0"].params["fields"] == ["question"]
    assert "fields" not in jobs_of(write_spec(), tmp_path)["attack/qnli/drop/seed_1"].params
    with pytest.raises(
        InputError, match=r"tasks\.qnli\.fields: found unknown field 'questoin'.*Did you mean 'question'"
    ):
        jobs_of(write_spec(tasks={"qnli": {"fields": ["questoin"]}}), tmp_path)


def test_a_search_changes_no_other_key(write_spec: Write, tmp_path: Path) -> None:
    """Nor does its name, or how many parts there are, decide what other jobs are."""

    def keys(**changes: Any) -> dict[str, str]:
        return benchmark.plan(write_spec(systems=SYSTEMS, **changes), store=tmp_path / "store").plan.keys

    before, after = keys(), keys(worst_case={"one": SEARCH, "two": SEARCH})
    assert before.items() < after.items()
    part = "worst_part/tiny/bert/qnli/seed_0/{}/part_0"
    assert after[part.format("one")] == after[part.format("two")]


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"edits": 1}, r"worst_case\.one\.suite: found no such key"),
        ({"suite": "pruthi_209"}, r"worst_case\.one\.suite: found unknown name .*Did you mean 'pruthi_2019'"),
        ({"suite": "nlpaug_mixed"}, r"worst_case\.one\.suite: found .*nlpaug.*edits that can be listed"),
        ({"suite": "mixed", "search": "gredy"}, r"worst_case\.one\.search: .*'gredy'.*Did you mean 'greedy'"),
        ({"suite": "mixed", "search": "beam:x"}, r"worst_case\.one\.search: found 'beam:x'"),
        ({"suite": "drop", "positions": 3}, r"worst_case\.one\.positions: found positions with the search exhaustive"),
        ({"suite": "drop", "budget": 0}, r"worst_case\.one\.budget: found 0"),
        ({"suite": "drop", "edits": 65}, r"worst_case\.one\.edits: found 65"),
        ({"suite": "drop", "edit": 1}, r"worst_case\.one\.edit: found unknown key 'edit'.*Did you mean 'edits'"),
        ({"suite": "drop", "tasks": ["qnly"]}, r"worst_case\.one\.tasks: found 'qnly'.*Did you mean 'qnli'"),
        ({"suite": "drop", "systems": ["brt"]}, r"worst_case\.one\.systems: found 'brt'.*Did you mean 'bert'"),
        ({"suite": "drop", "transfer": ["brt"]}, r"worst_case\.one\.transfer: found 'brt'.*Did you mean 'bert'"),
        ({"suite": "drop", "transfer": 3}, r"worst_case\.one\.transfer: found 3; expected true, false, or a list"),
        ({"suite": "drop", "fields": ["questoin"]}, r"worst_case\.one\.fields: .*'questoin'.*Did you mean 'question'"),
        ({"suite": "drop", "fields": {"qnli": ["x"]}}, r"worst_case\.one\.fields: found unknown field 'x'"),
        ({"suite": "drop", "fields": {"qnly": ["x"]}}, r"worst_case\.one\.fields: found 'qnly'"),
        ({"suite": "drop", "fields": "question"}, r"worst_case\.one\.fields: found 'question'; expected a list"),
        ({"suite": "drop", "limit": 0}, r"worst_case\.one\.limit: found 0"),
        ({"suite": "drop", "parts": 0}, r"worst_case\.one\.parts: found 0"),
    ],
)
def test_a_mistake_names_its_key(write_spec: Write, tmp_path: Path, search: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        jobs_of(write_spec(worst_case={"one": search}), tmp_path)


def test_all_mistakes_at_once(write_spec: Write, tmp_path: Path) -> None:
    searches = {"a/b": {"suite": "drop"}, "one": {"suite": "dorp", "tasks": ["qnli", "cola"]}}
    with pytest.raises(InputError) as caught:
        jobs_of(write_spec(worst_case=searches, suites=["dorp"]), tmp_path)
    for place in ("worst_case.a/b", "worst_case.one.suite", "worst_case.one.tasks", "suites.dorp"):
        assert f"\n  {place}: found" in str(caught.value), place


def test_what_a_search_costs_is_known_from_the_same_search_alone(write_spec: Write, tmp_path: Path) -> None:
    searches = {"one": SEARCH, "two": {**SEARCH, "edits": 2}}
    jobs = jobs_of(write_spec(systems=SYSTEMS, worst_case=searches), tmp_path)
    done = jobs["worst_part/tiny/bert/qnli/seed_0/one/part_0"]
    kinds = list(kinds_of(done.stage, done.name, done.params, done.needs))
    costs = Costs([(kinds, JobCost(2.0, 1.0, 1.0))])
    known = {name for name, job in jobs.items() if costs.of_job(job)}
    assert known == {name for name in jobs if name.startswith("worst_part/") and "/one/" in name}
    assert costs.of_job(done) == JobCost(12.0, 1.0, 1.0)


# Runs, with models that predict by labels alone: nothing is trained.

PREDICTORS = """
schema: 1
systems: {low: {predictor: "low.py:predict"}, high: {predictor: "high.py:predict"}}
tasks: {qnli: {test: test.tsv, test_limit: 6}}
suites: [drop]
worst_case:
  one: {suite: pruthi_2019, edits: 1, search: exhaustive, parts: 2, fields: [question]}
"""
PREDICT = "def predict(batch, task):\n    return [task.labels[len(one['question']) {}] for one in batch]\n"
RUN: dict[str, Any] = {"data_dir": ".", "store": "store", "executor": "local"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "low.py").write_text(PREDICT.format("% 2"))
    (tmp_path / "high.py").write_text(PREDICT.format("// 40 % 2"))
    (tmp_path / "spec.yaml").write_text(PREDICTORS)
    lines = mini_path("qnli", "test").read_text().splitlines(keepends=True)
    (tmp_path / "test.tsv").write_text("".join(lines[:11]))
    return tmp_path


def found_in(folder: Path) -> dict[str, WorstCases]:
    sets = sorted((folder / "worst_case").rglob("worst_case.json"))
    return {path.parent.relative_to(folder / "worst_case").as_posix(): read_worst_cases(path.parent) for path in sets}


@pytest.mark.slow
def test_a_run_searches_and_scores_each_on_the_worst_of_each(folder: Path) -> None:
    done = benchmark.run("spec.yaml", output="out", **RUN)
    assert done.errors == {}
    found = found_in(folder / "out")
    assert [*found] == ["external/high/qnli/one", "external/low/qnli/one"]
    low = found["external/low/qnli/one"]
    assert (low.record.exact, low.record.data.examples, low.record.suite) == (True, 6, "pruthi_2019")
    assert low.record.system.shown == "low"
    records = {path.relative_to(folder / "out/records").as_posix(): one for path, one in find_records([folder / "out"])}
    sets = {}
    for path, record in records.items():
        if "worst_case" in path:
            assert record.data.limit == 6
            assert record.data.attack is not None
            sets[path.split("/")[1], path.split("/")[-1]] = record.data.attack.suite
    names = ("low", "high")
    assert sets == {(system, target): f"worst_pruthi_2019@1 of {target}" for system in names for target in names}
    own = records["external/low/qnli/worst_case/one/external/low"]
    assert own.scores["accuracy"] == pytest.approx(low.score().value)
    assert (folder / "out/report/index.html").is_file()


@pytest.mark.slow
def test_a_part_that_was_stopped_goes_on_from_its_answers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "spec.yaml").write_text(PREDICTORS.replace("parts: 2", "parts: 1, systems: [low]"))
    monkeypatch.setattr(_pool, "_ACTIVE", 2)
    values, calls = Judge.values, list[int]()

    def stopped(self: Judge, examples: Any) -> Any:
        calls.append(len(examples))
        if len(calls) > 3:
            raise RuntimeError("stopped")
        return values(self, examples)

    with monkeypatch.context() as patched:
        patched.setattr(Judge, "values", stopped)
        first = benchmark.run("spec.yaml", output="out", **RUN)
    assert "stopped" in first.errors["worst_part/external/low/qnli/one/part_0"]
    assert not benchmark.run("spec.yaml", output="out", **RUN).errors
    (again,) = found_in(folder / "out").values()
    assert again.record.queries.cached == sum(calls[:3]) > 2
    assert again.record.queries.read == again.record.queries.distinct - again.record.queries.cached


def test_a_model_that_gives_labels_alone_is_searched_exhaustively(folder: Path) -> None:
    (folder / "spec.yaml").write_text(PREDICTORS.replace("exhaustive", "greedy"))
    with pytest.raises(InputError, match=r"worst_case\.one\.search: found greedy, and low, which gives labels alone"):
        benchmark.plan("spec.yaml", data_dir=folder, store=folder / "store")


@pytest.mark.slow
def test_systems_of_ours_are_searched_through_their_defence(
    write_spec: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And another number of parts finds the same."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    changes: dict[str, Any] = {"systems": SYSTEMS, "tasks": {"qnli": {"test_limit": 3}}}
    where: dict[str, Any] = {"store": tmp_path / "store", "executor": "local"}
    found = {}
    for parts in (1, 2):
        spec = write_spec(**changes, worst_case={"one": {**SEARCH, "search": "greedy", "parts": parts}})
        assert benchmark.run(spec, output=tmp_path / f"out{parts}", **where).errors == {}
        found[parts] = found_in(tmp_path / f"out{parts}")
    assert [*found[1]] == [f"tiny/{name}/qnli/seed_0/one" for name in ("bert", "bert_channel")]
    for name, first in found[1].items():
        assert first.steps.equals(found[2][name].steps)
        assert first.record.suite_sha256 == found[2][name].record.suite_sha256
    defence = found[1]["tiny/bert_channel/qnli/seed_0/one"].record.system.defence
    assert defence is not None
    assert defence.kind == "channel"
