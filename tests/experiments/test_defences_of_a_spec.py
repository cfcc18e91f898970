"""Defences of a spec: built by a job or ready, before systems that are trained and before models that are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robustbench_char.common import InputError
from robustbench_char.experiments import run as benchmark
from robustbench_char.experiments._expand import Plan
from robustbench_char.records.evaluation import find_records

Write = Callable[..., str]
CHANNEL = {"kind": "channel", "text": ["mini"], "dictionary": False, "max_edits": 1}
WORDREC = {"kind": "wordrec", "text": ["mini"], "limit": 2000, "epochs": 1, "vocabulary": 50, "hidden_size": 4}


def plan(spec: str, folder: Path, **where: Any) -> Plan:
    return benchmark.plan(spec, store=folder / "store", **where).plan


def test_a_defence_is_built_once_and_its_price_measured(write_spec: Write, tmp_path: Path) -> None:
    systems = {
        "bert": {},
        "front": {"system": "bert", "defence": "mine"},
        "other": {"system": "bert_mlm", "defence": "mine"},
    }
    spec = write_spec(systems=systems, defences={"mine": CHANNEL}, text=["mini"], attack_seeds=[1, 2])
    jobs = plan(spec, tmp_path).jobs
    defences = {name: job.stage for name, job in jobs.items() if name.startswith(("defence/", "price/"))}
    assert defences == {"defence/mine/qnli": "defence", "price/qnli/mine/drop/seed_1": "defence_price"}
    assert jobs["finetune/tiny/front/qnli/seed_0"].needs == {
        "weights": "finetune/tiny/bert/qnli/seed_0",  # the defence stands in front at prediction only
        "defence": "defence/mine/qnli",
    }
    text = write_spec(systems=systems, defences={"mine": {**CHANNEL, "training_data": False}}, text=["mini"])
    assert "defence/mine/text" in plan(text, tmp_path).jobs


def test_copies_are_read_through_the_defence(write_spec: Write, tmp_path: Path) -> None:
    """So that systems with different defences share no weights where they are augmented."""
    augment = {"suite": "mixed", "share": 0.5}
    systems = {name: {"system": "bert", "augment": augment, "defence": name} for name in ("one", "two")}
    spec = write_spec(systems={"bert": {"augment": augment}, **systems}, defences={"one": CHANNEL, "two": WORDREC})
    jobs = plan(spec, tmp_path).jobs
    assert not [name for name, job in jobs.items() if "weights" in job.needs]
    assert jobs["finetune/tiny/two/qnli/seed_0"].needs == {"recogniser": "defence/two/text"}


def test_the_words_of_a_recogniser_decide_its_key_wherever_it_is_declared(write_spec: Write, tmp_path: Path) -> None:
    asked = {key: value for key, value in WORDREC.items() if key != "kind"}
    old = plan(write_spec(systems={"bert_wordrec": {}}, recogniser=asked), tmp_path).keys
    new = plan(write_spec(systems={"bert_wordrec": {"defence": "mine"}}, defences={"mine": WORDREC}), tmp_path).keys
    for name in ("finetune/tiny/bert_wordrec/qnli/seed_0", "score/tiny/bert_wordrec/qnli/seed_0/drop/seed_1"):
        assert old[name] == new[name]
    assert old["recogniser/text"] == new["defence/mine/text"]


def test_a_list_of_misspellings_and_options_decide_the_defence(write_spec: Write, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    listed = tmp_path / "data" / "list.tsv"
    listed.write_text("teh\tthe\n")

    def key(**options: Any) -> str:
        spec = write_spec(systems={"bert": {"defence": "mine"}}, defences={"mine": {**CHANNEL, **options}})
        return plan(spec, tmp_path, data_dir=tmp_path / "data").keys["defence/mine/qnli"]

    keys = [key(), key(max_edits=2), key(misspellings=["codespell"]), key(misspellings=["list.tsv"])]
    listed.write_text("hte\tthe\n")
    keys += [key(misspellings=["list.tsv"])]
    assert len(set(keys)) == 5


def test_ready_defences_are_named_with_systems_and_models(write_spec: Write, tmp_path: Path) -> None:
    systems = {"bert_spell": {}, "front": {"system": "bert", "defence": "spell"}}
    jobs = plan(write_spec(systems=systems), tmp_path).jobs
    assert not [name for name in jobs if name.startswith("defence/")]
    assert (
        jobs["price/qnli/spell/drop/seed_1"].params["defence"]
        == jobs["finetune/tiny/front/qnli/seed_0"].params["defence"]
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"systems": {"bert": {"defence": "mien"}}},
            r"systems\.bert\.defence: found no folder mien.*Did you mean 'mine'",
        ),
        (
            {"systems": {"bert": {"defence": "mine", "recogniser": True}}},
            r"systems\.bert: found defence and recogniser",
        ),
        ({"systems": {"x": {"predictor": "x", "defence": "mine"}}}, r"systems\.x: found defence without a model"),
        ({"defences": {"mine": {"kind": "chanel"}}}, r"defences\.mine\.kind: found 'chanel'.*Did you mean 'channel'"),
        ({"defences": {"mine": {"text": ["mini"]}}}, r"defences\.mine\.kind: found no such key"),
        (
            {"defences": {"mine": {**CHANNEL, "epochs": 2}}},
            r"defences\.mine\.epochs: found an option that a defence of kind channel does not have",
        ),
        ({"defences": {"mine": {**CHANNEL, "max_edit": 2}}}, r"defences\.mine\.max_edit: .*Did you mean 'max_edits'"),
        ({"defences": {"mine": {**CHANNEL, "max_edits": 3}}}, r"defences\.mine\.max_edits: found 3"),
        (
            {"defences": {"mine": {**CHANNEL, "misspellings": ["codespel"]}}},
            r"defences\.mine\.misspellings: found no file",
        ),
        ({"defences": {"mine": {**WORDREC, "suite": "mixd"}}}, r"defences\.mine\.suite: found unknown name 'mixd'"),
        (
            {"defences": {"mine": {**WORDREC, "training_data": True}}},
            r"defences\.mine\.training_data: found true, beside",
        ),
        (
            {"defences": {"mine": {"kind": "wordrec", "training_data": False}}},
            r"defences\.mine\.training_data: found false, and no text",
        ),
        (
            {"defences": {"recogniser": WORDREC}, "recogniser": {}},
            r"defences\.recogniser: found a second word recogniser",
        ),
        ({"defences": {"mine": {**CHANNEL, "text": ["no.txt"]}}}, r"defences\.mine\.text: found no file .*no\.txt"),
    ],
)
def test_a_mistake_names_its_key(write_spec: Write, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    given = {"systems": {"bert": {"defence": "mine"}}, "defences": {"mine": CHANNEL}, **changes}
    with pytest.raises(InputError, match=message):
        plan(write_spec(**given), tmp_path, data_dir=tmp_path)


def test_a_run_with_defences(write_spec: Write, tmp_path: Path) -> None:
    """Built and ready ones, before what is trained and what is not; records name them, prices stand beside."""
    (tmp_path / "mine.py").write_text("def constant(examples):\n    return ['entailment' for _ in examples]\n")
    systems = {
        "bert": {},
        "front": {"system": "bert", "defence": "mine"},
        "behind": {"model": f"{tmp_path / 'mine.py'}:constant", "defence": "mine"},
    }
    spec = write_spec(
        systems=systems, defences={"mine": CHANNEL}, finetune={"limit": 8, "epochs": 1.0, "max_length": 32}
    )
    out = tmp_path / "out"
    done = benchmark.run(spec, output=out, store=tmp_path / "store", executor="local")
    assert not done.errors
    records = {(record.system.shown, record.condition): record for _, record in find_records([out / "records"])}
    built = {
        record.system.defence and (record.system.defence.name, record.system.defence.sha256)
        for (name, _), record in records.items()
        if name != "bert"
    }
    (one,) = built
    assert one is not None
    assert one[0] == "channel"
    assert set(records) == {(name, condition) for name in systems for condition in ("clean", "drop")}
    (price,) = out.rglob("*_price.json")
    assert json.loads(price.read_text())["defence"]["name"] == "channel"
    assert (out / "report" / "tables" / "defence_prices.csv").is_file()
