"""Whole benchmarks on generated data with a tiny base: found again, changed in part, the same from all executors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from robustbench_char.common import InputError
from robustbench_char.experiments import run as benchmark
from robustbench_char.records.evaluation import find_records
from robustbench_char.reports import write_report

Write = Callable[..., str]

WIDE: dict[str, Any] = {
    "systems": {
        "bert": {},
        "advbert": {"tasks": ["qnli"]},
        "bert_wordrec": {"tasks": ["conll2003"]},
        "bert_aug": {"augment": {"share": 0.5}, "tasks": ["qnli"]},
    },
    "text": ["mini"],
    "pretrain": {"steps": 4, "batch_size": 2, "block_size": 16, "heldout_blocks": 2, "evaluate_every": 2},
    "recogniser": {"text": ["mini"], "limit": 2000, "epochs": 1, "vocabulary": 50, "hidden_size": 4},
    "suites": ["drop", "swap@0.5"],
    "attack_seeds": [1, 2],
    "sensitivity": {"suites": ["drop"], "tasks": ["conll2003"], "limit": 10},
    "tasks": {
        "qnli": {"test_limit": 12, "suites": ["drop"], "training_seeds": [0, 1]},
        "conll2003": {"test_limit": 12, "attack_seeds": [1]},
        "cola": {"train_systems": False, "suites": ["drop"]},
    },
}
"""All kinds of jobs."""


@pytest.fixture(scope="session")
def outcomes(load_module: Callable[[Path], ModuleType]) -> ModuleType:
    return load_module(Path(__file__).parent / "outcomes.py")


def run(spec: str, output: Path, store: Path, **settings: Any) -> bool:
    """Run a benchmark in this process; return whether every job went well."""
    return not benchmark.run(spec, output=output, store=store, executor="local", **settings).errors


def keys_made(store: Path) -> set[str]:
    return {path.name for path in store.glob("*/*/") if len(path.name) == 64 and path.parent.name != "unfinished"}


@pytest.mark.slow
def test_a_benchmark_from_one_file(write_spec: Write, tmp_path: Path, outcomes: ModuleType) -> None:
    """Everything is there, a second run does nothing, and local processes give the same as this process."""
    spec, store = write_spec("wide", **WIDE), tmp_path / "store"
    assert run(spec, tmp_path / "one", store)
    first = outcomes.outcome(tmp_path / "one")
    found = {tuple(path.split("/")[2:4]) for path in first["records"]}
    on_qnli, on_conll = ("bert", "advbert", "bert_aug"), ("bert", "bert_wordrec")
    assert found == {(name, "qnli") for name in on_qnli} | {(name, "conll2003") for name in on_conll}
    # qnli: clean and drop with two seeds, of two training seeds; conll2003: clean and two suites with one seed
    assert len(first["records"]) == 3 * 2 * 3 + 2 * 3
    assert len(first["sensitivity"]) == 2
    assert (tmp_path / "one" / "report" / "index.html").is_file()
    assert len(list((tmp_path / "one" / "manifests").glob("*/*/*/manifest.json"))) == 2 + 2 + 2
    assert len(list((tmp_path / "one" / "defences").glob("**/defence_price.json"))) == 1
    jobs = json.loads((tmp_path / "one" / "run.json").read_text())["jobs"]
    assert {job["state"] for job in jobs.values()} == {"done"}

    made = keys_made(store)
    assert run(spec, tmp_path / "again", store)
    assert keys_made(store) == made
    assert outcomes.outcome(tmp_path / "again") == first

    write_report([tmp_path / "one"], tmp_path / "page")
    for name in ("index.html", "report.md", "tables/overview_qnli.csv"):
        assert (tmp_path / "page" / name).read_bytes() == (tmp_path / "one" / "report" / name).read_bytes()

    done = outcomes.run(spec, tmp_path / "two", tmp_path / "other", "--executor=processes", "--workers=2")
    assert done.returncode == 0, done.stderr
    assert outcomes.outcome(tmp_path / "two") == first
    assert keys_made(tmp_path / "other") == made
    assert "report/index.html" in done.stdout


@pytest.mark.slow
def test_only_what_depends_on_a_change_is_done_again(write_spec: Write, tmp_path: Path) -> None:
    store = tmp_path / "store"
    systems: dict[str, Any] = {"bert": {}, "second": {"system": "bert", "finetune": {"epochs": 2.0}}}
    assert run(write_spec(systems=systems), tmp_path / "out", store)

    def waiting(**changes: Any) -> set[str]:
        return {name.partition("/")[0] for name in benchmark.plan(write_spec(**changes), store=store).waiting}

    assert waiting(systems=systems) == set()
    other = {**systems, "second": {"system": "bert", "finetune": {"epochs": 3.0}}}
    changed = benchmark.plan(write_spec(systems=other), store=store)
    assert {name.split("/")[2] for name in changed.waiting} == {"second"}
    assert waiting(systems=systems, attack_seeds=[1, 2]) == {"attack", "predict", "score"}
    assert waiting(systems=systems, training_seeds=[1]) == {"finetune", "predict", "score"}
    assert waiting(systems=systems, threads=2) == {"finetune", "predict", "score"}
    assert waiting(systems={"bert": {}}) == set()

    name = "finetune/tiny/second/qnli/seed_0"
    assert "  params.options.epochs: 2.0 -> 3.0" in changed.explain(name)
    score = changed.explain("score/tiny/second/qnli/seed_0/clean")
    assert f"  system: another result of {name}" in score
    assert any("made" in line for line in benchmark.plan(write_spec(systems=systems), store=store).explain(name))
    with pytest.raises(InputError, match=r"--explain: found unknown job .*Did you mean"):
        changed.explain(name + "0")


@pytest.mark.slow
def test_a_folder_holds_what_its_spec_asks_for(write_spec: Write, tmp_path: Path) -> None:
    """What an earlier spec left is removed, and without examples no text of the data is copied."""
    store, out = tmp_path / "store", tmp_path / "out"
    assert run(write_spec(suites=["drop", "swap"]), out, store)
    assert len(list(out.glob("records/**/predictions.parquet"))) == 3
    assert run(write_spec(examples=False), out, store)
    assert not list(out.glob("records/**/predictions.parquet"))
    assert {path.name for path in out.glob("records/tiny/bert/qnli/seed_0/*")} == {"clean", "drop"}
    page = (out / "report" / "index.html").read_text()
    assert "swap" not in page.lower().replace("swapped", "")


@pytest.mark.slow
def test_results_left_out_of_the_store_are_not_needed(write_spec: Write, tmp_path: Path) -> None:
    """Weights may be deleted to free space once everything that needs them is done."""
    store = tmp_path / "store"
    assert run(write_spec(), tmp_path / "out", store)
    shutil.rmtree(tmp_path / "store" / "finetune")
    planned = benchmark.plan(write_spec(), store=store)
    assert planned.waiting == []
    assert planned.states["finetune/tiny/bert/qnli/seed_0"] == "not needed"
    assert "everything that needs its result is done" in planned.explain("finetune/tiny/bert/qnli/seed_0")
    assert run(write_spec(), tmp_path / "out", store)
    assert run(write_spec(suites=["drop", "add"]), tmp_path / "out", store)  # and are made again when they are


@pytest.mark.slow
def test_the_folder_is_marked_before_any_job(
    write_spec: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the same command goes on in it after a stop at any moment."""

    def stop(self: object) -> bool:
        assert (tmp_path / "out" / "run.json").is_file()
        raise KeyboardInterrupt

    store = tmp_path / "store"
    with monkeypatch.context() as patch:
        patch.setattr("robustbench_char.experiments.run.Runner.finish", stop)
        with pytest.raises(KeyboardInterrupt):
            run(write_spec(), tmp_path / "out", store)
    assert run(write_spec(), tmp_path / "out", store)


def test_a_damaged_record_is_made_again(write_spec: Write, tmp_path: Path, outcomes: ModuleType) -> None:
    store = tmp_path / "store"
    assert run(write_spec(), tmp_path / "out", store)
    whole = outcomes.outcome(tmp_path / "out")
    for path in (tmp_path / "store" / "score").glob("*/record.json"):
        path.write_text(path.read_text().replace('"accuracy": ', '"accuracy": 1'))
    planned = benchmark.plan(write_spec(), store=store)
    assert {name.partition("/")[0] for name in planned.waiting} == {"score"}
    assert any("not whole: record.json" in line for line in planned.explain(planned.waiting[0]))
    assert run(write_spec(), tmp_path / "out", store)
    assert outcomes.outcome(tmp_path / "out") == whole


@pytest.mark.slow
def test_a_failed_job_has_its_log_and_is_tried_again(write_spec: Write, tmp_path: Path, outcomes: ModuleType) -> None:
    """A test file with tags that training did not have fails one task; the other and the report are there; code 1."""
    (tmp_path / "train.txt").write_text("Anna B-PER\nsaw O\nOslo O\n\n" * 12)
    (tmp_path / "test.txt").write_text("Anna B-NAME\nsaw O\nOslo O\n\n" * 4)
    other = {"data": "files", "train": "train.txt", "test": "test.txt"}
    spec = write_spec(tasks={"qnli": {"test_limit": 12}, "conll2003": other})
    options = ("--executor=processes", "--workers=1", f"--data-dir={tmp_path}")
    out = tmp_path / "out"
    for _ in range(2):
        done = outcomes.run(spec, out, tmp_path / "store", *options)
        assert done.returncode == 1, done.stderr
        assert "predict/tiny/bert/conll2003/seed_0/clean: FAILED" in done.stderr
        assert "1 jobs that need it are left out" in done.stderr
        assert "Traceback" not in done.stderr
        log = out / "logs" / "predict-tiny-bert-conll2003-seed_0-clean.log"
        assert "the label 'B-NAME'" in log.read_text()
        assert len(list((out / "records").glob("**/record.json"))) == 2
        assert (out / "report" / "index.html").is_file()
    jobs = json.loads((out / "run.json").read_text())["jobs"]
    assert jobs["predict/tiny/bert/conll2003/seed_0/clean"]["state"] == "failed"
    assert jobs["score/tiny/bert/conll2003/seed_0/clean"]["state"] == "blocked"
    (tmp_path / "test.txt").write_text("Anna B-PER\nsaw O\nOslo O\n\n" * 4)
    done = outcomes.run(spec, out, tmp_path / "store", *options)
    assert done.returncode == 0, done.stderr
    assert len(list((out / "records").glob("**/record.json"))) == 4


@pytest.mark.slow
def test_systems_that_are_ready(write_spec: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A saved system is scored as it was, and a predictor of another package beside it."""
    store = tmp_path / "store"
    assert run(write_spec(), tmp_path / "first", store)
    (trained,) = (tmp_path / "store" / "finetune").glob("*/system.json")
    shutil.copytree(trained.parent, tmp_path / "data" / "mine")
    _install_predictor(tmp_path / "site", monkeypatch)
    systems = {"mine": {"saved": {"qnli": "mine"}}, "always": {"predictor": "always"}}
    where = {"data_dir": tmp_path / "data", "store": tmp_path / "other"}
    measured = {"suites": ["drop"]}
    assert run(write_spec(systems=systems, bases=[], sensitivity=measured), tmp_path / "out", **where)
    (sensitivity,) = (tmp_path / "out").glob("sensitivity/**/sensitivity.json")
    assert json.loads(sensitivity.read_text())["system"]["label"] == "mine"
    records = dict(find_records([tmp_path / "out"]))
    names = {path.relative_to(tmp_path / "out").as_posix(): record.system.shown for path, record in records.items()}
    assert names == {
        f"records/{place}/qnli/{condition}": name
        for place, name in (("saved/mine", "mine"), ("external/always", "always"))
        for condition in ("clean", "drop/seed_1")
    }
    scores = {path.relative_to(tmp_path / "first").parts[-1]: record.scores for path, record in
              find_records([tmp_path / "first"]) if record.data.attack is None}  # fmt: skip
    assert records[tmp_path / "out" / "records/saved/mine/qnli/clean"].scores == scores["clean"]
    assert benchmark.plan(write_spec(systems=systems, bases=[], sensitivity=measured), **where).waiting == []


@pytest.mark.slow
def test_pre_training_that_goes_on(write_spec: Write, tmp_path: Path) -> None:
    """It starts from the other's encoder, and records call both by the base that the first began with."""
    systems = {"advbert": {}, "more": {"system": "advbert", "starts_from": "advbert"}}
    options = {"steps": 2, "batch_size": 2, "block_size": 16, "heldout_blocks": 1, "evaluate_every": 1}
    spec = write_spec(systems=systems, text=["mini"], pretrain=options)
    assert run(spec, tmp_path / "out", tmp_path / "store")
    systems_seen = [record.system for _, record in find_records([tmp_path / "out"])]
    assert {(system.shown, system.base) for system in systems_seen} == {("advbert", "tiny"), ("more", "tiny")}
    first, second = (
        json.loads((tmp_path / "out/pretraining/tiny" / name / "pretraining.json").read_text())
        for name in ("advbert", "more")
    )
    assert second["continues"] == first["run"]


@pytest.mark.slow
def test_an_output_that_cannot_be_written(write_spec: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One result that finds no room is told of; the others are there, and the next run puts it."""
    store = tmp_path / "store"
    real = shutil.copytree

    def full(source: Any, target: Any, *rest: Any, **options: Any) -> Any:
        if Path(target).name.startswith(".clean."):
            raise OSError(28, "No space left on device")
        return real(source, target, *rest, **options)

    with monkeypatch.context() as change:
        change.setattr(shutil, "copytree", full)
        assert not run(write_spec(), tmp_path / "out", store)
    jobs = json.loads((tmp_path / "out/run.json").read_text())["jobs"]
    assert "No space left" in jobs["score/tiny/bert/qnli/seed_0/clean"]["error"]
    assert not (tmp_path / "out/records/tiny/bert/qnli/seed_0/clean").exists()
    assert (tmp_path / "out/records/tiny/bert/qnli/seed_0/drop/seed_1/record.json").is_file()
    assert run(write_spec(), tmp_path / "out", store)
    assert (tmp_path / "out/records/tiny/bert/qnli/seed_0/clean/record.json").is_file()


def _install_predictor(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a package with one predictor where Python finds it, as pip would."""
    (site / "always-1.dist-info").mkdir(parents=True)
    (site / "always.py").write_text("def predict(batch):\n    return ['entailment'] * len(batch)\n")
    (site / "always-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: always\nVersion: 1\n")
    (site / "always-1.dist-info" / "entry_points.txt").write_text(
        "[robustbench_char.predictors]\nalways = always:predict\n"
    )
    monkeypatch.syspath_prepend(site)


@pytest.mark.slow
def test_the_plan_as_a_user_prints_it(write_spec: Write, tmp_path: Path, outcomes: ModuleType) -> None:
    done = outcomes.run(write_spec(), tmp_path / "out", tmp_path / "store", "--plan")
    assert done.returncode == 0, done.stderr
    assert "6 of 6 jobs to do" in done.stdout
    assert "predict/tiny/bert/qnli/seed_0/drop/seed_1" in done.stdout
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_several_processes_train_together(write_spec: Write, tmp_path: Path) -> None:
    pretrain = {**WIDE["pretrain"], "processes": 2}
    spec = write_spec(systems={"advbert": {}}, text=["mini"], pretrain=pretrain)
    assert run(spec, tmp_path / "out", tmp_path / "store")
    (file,) = (tmp_path / "out" / "pretraining").glob("**/pretraining.json")
    assert json.loads(file.read_text())["processes"] == 2


@pytest.mark.slow
def test_event_files_for_tensorboard(write_spec: Write, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "out"
    assert run(write_spec(), out, tmp_path / "store", tensorboard=True)
    events = EventAccumulator(str(out / "tensorboard" / "finetune-tiny-bert-qnli-seed_0")).Reload()
    assert "train/loss" in events.Tags()["scalars"]


@pytest.mark.slow
def test_charbert_without_its_parts(write_spec: Write, tmp_path: Path) -> None:
    """What the benchmark `ablation` does: each variant is an encoder and a label of its own."""
    small = {"term_vocab_size": 20, "char_vocab_size": 20}
    systems = {
        "charbert": {},
        "charbert_without_nlm": {"system": "charbert", "pretrain": {"noise": 0.0}},
        "charbert_without_interaction": {"system": "charbert", "pretrain": {"interaction": "none"}},
    }
    spec = write_spec(systems=systems, text=["mini"], pretrain={**WIDE["pretrain"], **small})
    assert run(spec, tmp_path / "out", tmp_path / "store")
    found = {record.system.shown: record.system for _, record in find_records([tmp_path / "out"])}
    assert set(found) == set(systems)
    shares = {name: system.pretraining.noise_share for name, system in found.items() if system.pretraining}
    assert shares == {"charbert": 0.15, "charbert_without_nlm": 0.0, "charbert_without_interaction": 0.15}
    assert found["charbert_without_interaction"].parameters < (found["charbert"].parameters or 0)
    logs = {path.parent.name for path in tmp_path.glob("out/pretraining/**/training_log.json")}
    assert logs == set(systems)
