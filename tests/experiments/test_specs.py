"""Specs: all mistakes at once, before any work, each with its key."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from robustbench_char.common import InputError
from robustbench_char.common.files import shipped
from robustbench_char.experiments import run as benchmark
from robustbench_char.experiments.run_folder import RunFolder
from robustbench_char.experiments.spec import SPECS, load_spec
from robustbench_char.tasks.sources import mini_path

Write = Callable[..., str]


def plan(spec: str, tmp_path: Path, **where: Any) -> None:
    benchmark.plan(spec, store=tmp_path / "store", **where)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"systems": {"brt": {}}}, r"systems\.brt: found unknown system 'brt'.*Did you mean 'bert'"),
        ({"tasks": {"qnly": {}}}, r"tasks\.qnly: found unknown task 'qnly'.*Did you mean 'qnli'"),
        ({"suites": ["dorp"]}, r"suites\.dorp: found unknown name 'dorp'.*Did you mean 'drop'"),
        ({"bases": ["/no/such/base"]}, r"bases\./no/such/base: found .*no such folder"),
        (
            {"systems": {"bert": {"tasks": ["cola"]}}},
            r"systems\.bert\.tasks: found 'cola', which this spec does not run",
        ),
        ({"systems": {"bert": {"bases": ["minilm"]}}}, r"systems\.bert\.bases: found 'minilm'"),
        ({"systems": {"charbert": {}}}, r"text: found no files, and charbert is pre-trained"),
        ({"systems": {"bert": {"pretrain": {"steps": 3}}}}, r"systems\.bert: found pre-training for bert"),
        ({"systems": {"bert_wordrec": {"recogniser": False}}}, r"systems\.bert_wordrec\.recogniser: found false"),
        ({"systems": {}}, r"systems: found none"),
        ({"tasks": {}}, r"tasks: found none"),
        ({"attack_seeds": [1, 1]}, r"attack_seeds: found \[1, 1\]"),
        ({"systems": {"bert_aug": {}}, "attack_seeds": [1000]}, r"attack_seeds: found 1000, which training copies"),
        (
            {"suites": ["join_words"], "sensitivity": {"suites": ["join_words"]}},
            r"sensitivity\.suites\.join_words: .*changes the number of words",
        ),
        (
            {"tasks": {"conll2003": {}}, "suites": ["insert_space"]},
            r"suites\.insert_space: .*the tokens of conll2003 carry labels",
        ),
        ({"sensitivity": {"suites": ["swap"]}}, r"sensitivity\.suites: found 'swap'"),
        ({"sensitivity": {"suites": ["drop"], "tasks": ["cola"]}}, r"sensitivity\.tasks: found 'cola'"),
        ({"data": "files"}, r"--data-dir: found none, and files below it"),
        ({"device": "gpu"}, r"device: found gpu, with 1 per job; 0 available"),
        (
            {"text": ["none.txt"], "systems": {"bert": {"saved": {"qnli": "none"}}}},
            r"saved\.qnli: found no system\.json",
        ),
        (
            {"systems": {"bert": {"predictor": "x", "saved": {"qnli": "none"}}}},
            r"systems\.bert: found predictor and saved",
        ),
        ({"systems": {"bert": {"starts_from": "bert"}}}, r"systems\.bert\.starts_from: found a circle: bert -> bert"),
        ({"finetune": {"epochs": -1.0}}, r"finetune\.epochs: found -1\.0; expected greater than or equal to 0"),
        ({"finetune": {"learning_rate": 2.0}}, r"finetune\.learning_rate: found 2\.0"),
        ({"finetune": {"layers": 9}}, r"finetune\.layers: found 9; expected a number from 1 to 2"),
        ({"tasks": {"qnli": {"finetune": {"max_length": 999}}}}, r"tasks\.qnli\.finetune\.max_length: found 999"),
        ({"systems": {"bert": {"finetune": {"warmup": 2.0}}}}, r"systems\.bert\.finetune\.warmup: found 2\.0"),
        ({"systems": {"bert": {"training_seeds": [-1]}}}, r"systems\.bert\.training_seeds\.0: found -1"),
        ({"systems": {"bert": {"augment": {"suite": "dorp"}}}}, r"systems\.bert\.augment\.suite: found unknown name"),
        ({"systems": {"bert_aug": {"augment": {"without": ["x"]}}}}, r"systems\.bert_aug\.augment\.without: "),
        ({"systems": {"bert": {"augment": {}}}}, r"systems\.bert\.augment: found no suite"),
        ({"systems": {"bert": {"suites": ["dorp"]}}}, r"systems\.bert\.suites: found 'dorp', which this spec does not"),
        ({"suites": []}, r"suites: found an empty list"),
        ({"tasks": {"qnli": {"suites": []}}}, r"tasks\.qnli\.suites: found \[\]; expected at least one name"),
        ({"bases": []}, r"bases: found an empty list"),
        (
            {"finetune": {"learning_rate": 5.0}, "systems": {"bert": {"finetune": {"epochs": 1.0}}}},
            r"(?<!bert\.)finetune\.learning_rate: found 5\.0",
        ),
        (
            {"systems": {"a": {"saved": {"qnli": "x"}}, "b": {"system": "advbert", "starts_from": "a"}}},
            r"systems\.b\.starts_from: found a, which is not trained here",
        ),
        (
            {"systems": {"a": {"saved": {"qnli": "x"}, "tasks": ["qnli"]}}},
            r"systems\.a\.tasks: found tasks beside saved",
        ),
        ({"recogniser": {"epochs": 0}}, r"recogniser\.epochs: found 0"),
        ({"recogniser": {"suite": "mixd"}}, r"recogniser\.suite: found unknown name 'mixd'"),
        (
            {"systems": {"advbert": {}}, "text": ["mini"], "pretrain": {"suite": "nlm", "steps": 3}},
            r"pretrain\.suite: found unknown name 'nlm'",
        ),
        (
            {"systems": {"advbert": {"pretrain": {"mask": 1.5}}}, "text": ["mini"]},
            r"systems\.advbert\.pretrain\.mask: found 1\.5",
        ),
        ({"sceham": 1}, r"sceham: found unknown key 'sceham'.*Did you mean 'schema'"),
        ({"schema": 2}, r"schema: found 2; expected 1"),
        ({"finetune": {"epochs": "many"}}, r"finetune\.epochs: found 'many'"),
    ],
)
def test_a_mistake_names_its_key(write_spec: Write, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan(write_spec(**changes), tmp_path)
    assert not (tmp_path / "store").exists()


def test_the_training_file_is_not_the_test_file(write_spec: Write, tmp_path: Path) -> None:
    """By its content, whatever it is called."""
    message = r"tasks\.qnli\.train, the very data that are tested on; .*Name another file"
    same = {"qnli": {"train": "dev", "test": "dev"}}
    with pytest.raises(InputError, match=message):
        plan(write_spec(tasks=same), tmp_path)
    for name in ("a.tsv", "b.tsv"):
        shutil.copyfile(mini_path("qnli", "dev"), tmp_path / name)
    files = {"tasks": {"qnli": {"train": "a.tsv", "test": "b.tsv"}}, "data": "files"}
    with pytest.raises(InputError, match=message):
        plan(write_spec(**files), tmp_path, data_dir=tmp_path)
    assert not (tmp_path / "store").exists()
    shutil.copyfile(mini_path("qnli", "train"), tmp_path / "a.tsv")
    plan(write_spec(**files), tmp_path, data_dir=tmp_path)


def test_a_base_is_of_a_type_that_all_its_systems_take(write_spec: Write, tmp_path: Path, tiny: ModuleType) -> None:
    base = str(tiny.byt5_base(tmp_path / "tiny-byt5"))
    plan(write_spec(bases=[base], systems={"encoder": {}}), tmp_path)
    with pytest.raises(InputError, match=r"bases\..*tiny-byt5: found .*'t5'; expected one of bert"):
        plan(write_spec(bases=[base], systems={"encoder": {}, "bert": {}}), tmp_path)


def test_without_text_charbert_starts_from_a_base_that_is_one(
    write_spec: Write, tmp_path: Path, tiny_base: str
) -> None:
    bases = [tiny_base, "charbert-minilm"]
    systems = {"bert": {"bases": bases[:1]}, "charbert": {"bases": bases[1:]}}

    def waiting(**text: Any) -> list[str]:
        spec = write_spec(systems=systems, bases=bases, **text)
        return [name for name in benchmark.plan(spec, store=tmp_path / "store").waiting if "charbert" in name]

    assert [name.partition("/")[0] for name in waiting()] == ["finetune", "predict", "score", "predict", "score"]
    assert waiting(text=["mini"])[0] == "pretrain/charbert-minilm/charbert"
    with pytest.raises(InputError, match=r"text: found no files, and charbert is pre-trained"):
        plan(write_spec(systems={"charbert": {"bases": bases[:1]}, "bert": {}}, bases=bases), tmp_path)


def test_a_circle_of_two(write_spec: Write, tmp_path: Path) -> None:
    systems = {"a": {"system": "advbert", "starts_from": "b"}, "b": {"system": "advbert", "starts_from": "a"}}
    with pytest.raises(InputError, match=r"a circle: a -> b -> a"):
        plan(write_spec(systems=systems, text=["mini"]), tmp_path)


def test_pre_training_goes_on_from_the_same_base(
    write_spec: Write, tmp_path: Path, tiny: ModuleType, tiny_base: str
) -> None:
    bases = [tiny_base, str(tiny.bert_base(tmp_path / "other"))]
    systems = {"advbert": {"bases": bases[:1]}, "more": {"system": "advbert", "starts_from": "advbert"}}
    with pytest.raises(InputError, match=r"systems\.more\.starts_from: found advbert, which is not trained on .*other"):
        plan(write_spec(systems=systems, bases=bases, text=["mini"]), tmp_path)


def test_a_suite_is_meant_by_the_name_it_is_given(write_spec: Write, tmp_path: Path) -> None:
    """A path, or a strength written with a zero more, is that suite wherever the spec says so again."""
    own = str(tmp_path / "own.yaml")
    shutil.copyfile(shipped("attacks")["swap"], own)
    names = [own, "drop@0.30"]
    spec = write_spec(suites=names, systems={"bert": {"suites": names}}, sensitivity={"suites": names})
    jobs = benchmark.plan(spec, store=tmp_path / "store").plan.jobs
    for stage in ("score", "sensitivity"):
        for suite in ("own", "drop@0.3"):
            assert [name for name in jobs if name.startswith(f"{stage}/tiny/bert/qnli/seed_0/{suite}")], (stage, suite)


@pytest.mark.parametrize("name", ["..", ".", "", "a\0b", "é" * 110])
def test_names_that_no_folder_can_have(write_spec: Write, tmp_path: Path, name: str) -> None:
    with pytest.raises(
        InputError, match=r"a job called .*; expected names of 1 to 240 bytes in all, none of them '\.'"
    ):
        plan(write_spec(systems={name: {"system": "bert"}}), tmp_path)


def test_two_things_of_one_name(write_spec: Write, tmp_path: Path) -> None:
    own = str(tmp_path / "drop.yaml")
    shutil.copyfile(shipped("attacks")["swap"], own)
    with pytest.raises(InputError, match="two different jobs called attack/qnli/drop/seed_1"):
        plan(write_spec(suites=["drop", own]), tmp_path)
    systems = {"short": {"system": "bert_wordrec", "finetune": {"limit": 3}}, "bert_wordrec": {}}
    with pytest.raises(InputError, match="two different jobs called recogniser/qnli"):
        plan(write_spec(systems=systems), tmp_path)


def test_versions_of_nlpaug_are_in_the_keys_of_its_attacks(write_spec: Write, tmp_path: Path) -> None:
    spec = write_spec(suites=["drop", "nlpaug_mixed"])
    jobs = benchmark.plan(spec, store=tmp_path / "store").plan.jobs
    assert set(jobs["attack/qnli/nlpaug_mixed/seed_1"].params["versions"]) == {"nlpaug", "python"}
    assert "versions" not in jobs["attack/qnli/drop/seed_1"].params


def test_all_mistakes_are_reported_at_once(write_spec: Write, tmp_path: Path) -> None:
    """Those of the form, of names, of combinations and of files together."""
    path = write_spec(
        systems={"brt": {}, "charbert": {"stepps": 3}},
        tasks={"qnli": {"test_limit": 0}, "qnly": {}},
        suites=["dorp"],
        device="gpu",
        sceham=1,
    )
    with pytest.raises(InputError) as caught:
        plan(path, tmp_path)
    forms = ("sceham", "systems.charbert.stepps", "tasks.qnli.test_limit")
    for place in (*forms, "systems.brt", "tasks.qnly", "suites.dorp", "device", "text"):
        assert f"\n  {place}: found" in str(caught.value), place


def test_missing_data_files_are_mistakes_of_their_task(write_spec: Write, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tasks\.qnli: found in .*glue/QNLI/train\.tsv, no such file"):
        plan(write_spec(data="files"), tmp_path, data_dir=tmp_path)


def test_no_training_file_is_asked_for_that_nothing_reads(write_spec: Write, tmp_path: Path) -> None:
    """Where systems are ready, and for a task that none is trained on."""
    ready = write_spec(data="files", systems={"mine": {"saved": {"qnli": "none"}}}, tasks={"qnli": {"test": "t.tsv"}})
    with pytest.raises(InputError) as caught:
        plan(ready, tmp_path, data_dir=tmp_path)
    assert "t.tsv, no such file" in str(caught.value)
    assert "train.tsv" not in str(caught.value)
    one = write_spec(data="files", systems={"bert": {"tasks": ["qnli"]}}, tasks={"qnli": {}, "cola": {}})
    with pytest.raises(InputError) as caught:
        plan(one, tmp_path, data_dir=tmp_path)
    assert "QNLI/train.tsv" in str(caught.value)
    assert "CoLA/train.tsv" not in str(caught.value)


def test_a_budget_that_cannot_fit(write_spec: Write, tmp_path: Path) -> None:
    """Known once like jobs were done: the plan is refused with the expected figure, and nothing is run."""
    where: dict[str, Any] = {"store": tmp_path / "store", "executor": "local"}
    assert not benchmark.run(write_spec(), output=tmp_path / "out", **where).errors
    budget = {"disk_gb": 1e-9, "hours": 1e-9}
    again = write_spec(finetune={"limit": 25, "epochs": 1.0, "max_length": 48}, budget=budget)
    with pytest.raises(InputError, match=r"(?s)2 mistakes.*budget\.hours: found 1e-09, and about .*disk_gb") as caught:
        benchmark.run(again, output=tmp_path / "other", **where)
    assert "--plan" in str(caught.value)
    assert not (tmp_path / "other").exists()


def test_an_unknown_executor(write_spec: Write, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--executor: found unknown executor 'procesess'.*Did you mean 'processes'"):
        benchmark.run(write_spec(), output=tmp_path / "out", store=tmp_path / "store", executor="procesess")


def test_an_output_with_other_content(write_spec: Write, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="a folder with other content"):
        benchmark.run(write_spec(), output=tmp_path / "out", store=tmp_path / "store")
    assert (tmp_path / "out" / "thesis.tex").read_text() == "mine"


def test_a_run_that_was_killed_at_once_left_its_mark(tmp_path: Path) -> None:
    """`run.json` is the first file of an output folder; half of it is ours as well."""
    (tmp_path / ".run.json").write_text("{")
    RunFolder(tmp_path, examples=True)


def test_a_run_of_a_newer_schema(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"schema": 9}')
    with pytest.raises(InputError, match=r"run\.json: schema: found 9, of a newer version"):
        RunFolder(tmp_path, examples=True)


@pytest.mark.parametrize("name", shipped(SPECS))
def test_shipped_specs_have_no_mistake_of_form(name: str) -> None:
    _, spec, mistakes = load_spec(name)
    assert spec is not None
    assert mistakes == []
    assert spec.about


def test_what_the_file_alone_shows_needs_neither_data_nor_models(tmp_path: Path) -> None:
    """So that `validate` finds it too."""
    (tmp_path / "x.yaml").write_text(
        "schema: 1\nsystems: {a: {system: advbert, starts_from: a}, b: {tasks: [cola]}}\n"
        "tasks: {qnli: {attack_seeds: [1, 1]}}\nsuites: []\n"
    )
    _, _, mistakes = load_spec(str(tmp_path / "x.yaml"))
    keys = {"tasks.qnli.attack_seeds", "suites", "systems.a.starts_from", "systems.b.tasks"}
    assert {mistake.key for mistake in mistakes} == keys


def test_a_file_that_is_no_yaml(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("systems: [")
    with pytest.raises(InputError, match=r"x\.yaml:\d+: found"):
        load_spec(str(tmp_path / "x.yaml"))
    with pytest.raises(InputError, match=r"SPEC: found unknown name 'dmo'.*Did you mean 'demo'"):
        load_spec("dmo")


def test_a_run_has_a_folder_of_its_own_by_default() -> None:
    assert benchmark.default_output("cpu") == Path("runs/cpu")
    assert benchmark.default_output("specs/tutorial.yaml") == Path("runs/tutorial")
