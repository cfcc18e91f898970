"""Which results share a name, and so a row: those of systems that differ in nothing but seeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robustbench_char.analysis.pairs import check_together, comparison_table, pair_records
from robustbench_char.analysis.variants import measured_apart, told_apart
from robustbench_char.common import InputError
from robustbench_char.records.defence import DefenceInfo
from robustbench_char.records.evaluation import ForeignModelInfo, PredictorInfo, Record, SystemInfo
from robustbench_char.records.sensitivity import SensitivityRecord
from robustbench_char.records.training import AugmentInfo, PretrainingInfo

MakeRecord = Callable[..., Record]
SETTINGS = {"seed": 1, "epochs": 1.0, "max_length": 128, "layers": None, "limit": None, "training_examples": 300}


def _system(**changes: Any) -> SystemInfo:
    settings = {**SETTINGS, **changes.pop("settings", {})}
    values: dict[str, Any] = {
        "name": "bert", "base": "minilm", "parameters": 10, "training_seed": settings["seed"],
        "training_sha256": "d" * 64, "weights_sha256": f"{settings['seed']}" * 64, "base_sha256": "b" * 64,
    }  # fmt: skip
    return SystemInfo(**{**values, "settings": settings, **changes})


def _names(make_record: MakeRecord, *systems: SystemInfo, **options: Any) -> list[str]:
    records = [make_record(system=system) for system in systems]
    named = told_apart(records, **options)
    return [named(record).system.shown for record in records]


def _channel(sha256: str, **changes: Any) -> DefenceInfo:
    return DefenceInfo(**{"kind": "channel", "name": "channel", "sha256": sha256 * 64, "edits": 1, **changes})


def _copies(**changes: Any) -> AugmentInfo:
    values = {"suite": "mixed", "suite_sha256": "s", "operators": ("drop",), "share": 0.5, "seed": 1000}
    return AugmentInfo(**{**values, **changes})


def _pretrained(**changes: Any) -> PretrainingInfo:
    return PretrainingInfo(**{"system": "bert", "base": "minilm", "steps": 10, "tokens": 100, **changes})


def _elsewhere(sha256: str, **changes: Any) -> SystemInfo:
    model = ForeignModelInfo(**{"source": "model", "architecture": "BertFor", "max_length": 128, **changes})
    return _system(model=model, training_seed=None, training_sha256=None, settings={}, weights_sha256=sha256 * 64)


def _predictor(**changes: Any) -> SystemInfo:
    values = {"entry_point": "m:f", "version": None, "source_sha256": "1" * 64, **changes}
    return _system(predictor=PredictorInfo(**values), training_seed=None, weights_sha256=repr(changes))


def test_runs_that_differ_in_seeds_alone_have_one_name(make_record: MakeRecord) -> None:
    later = _system(settings={"seed": 2}, gates={"characters": (0.1,)})
    assert _names(make_record, _system(), later, _system()) == ["bert", "bert", "bert"]
    limited = _system(settings={"seed": 3, "limit": 300})  # of a longer file, the same 300 examples
    assert _names(make_record, _system(), limited) == ["bert", "bert"]


@pytest.mark.parametrize(
    ("one", "other", "names"),
    [
        ({}, {"settings": {"seed": 2, "epochs": 4.0, "training_examples": 600}},
         ("training examples 300, epochs 1", "training examples 600, epochs 4")),
        ({}, {"settings": {"max_length": 64, "seed": 2}}, ("max length 128", "max length 64")),
        ({}, {"settings": {"layers": 3, "seed": 2}}, ("layers none", "layers 3")),
        ({}, {"training_sha256": "e" * 64}, ("training data hash dddddddd", "training data hash eeeeeeee")),
        ({}, {"base_sha256": "c" * 64}, ("base hash bbbbbbbb", "base hash cccccccc")),
        ({}, {"weights_sha256": "9" * 64}, ("weights 11111111", "weights 99999999")),
        ({"label": "mine"}, {"label": "mine", "name": "charbert"}, ("system bert", "system charbert")),
        ({}, {"augment": _copies()}, ("copies none", "copies mixed")),
        ({"augment": _copies()}, {"augment": _copies(share=1.0)}, ("copies share 0.5", "copies share 1")),
        ({"augment": _copies()}, {"augment": _copies(without=("add",))}, ("copies without none", "copies without add")),
        ({"defence": _channel("1")}, {"defence": _channel("2")},
         ("defence hash 11111111", "defence hash 22222222")),
        ({"defence": _channel("1")}, {"defence": _channel("2", edits=2)},
         ("defence edits 1, defence hash 11111111", "defence edits 2, defence hash 22222222")),
        ({"pretraining": _pretrained()}, {"pretraining": _pretrained(steps=20)},
         ("pre-training steps 10", "pre-training steps 20")),
        ({"pretraining": _pretrained()}, {"pretraining": _pretrained(noise="mixed")},
         ("pre-training noise none", "pre-training noise mixed")),
    ],
)  # fmt: skip
def test_all_else_sets_systems_apart(
    make_record: MakeRecord, one: dict[str, Any], other: dict[str, Any], names: tuple[str, str]
) -> None:
    called = one.get("label", "bert")
    assert _names(make_record, _system(**one), _system(**other)) == [f"{called} ({name})" for name in names]


def test_models_and_predictors_of_one_name(make_record: MakeRecord) -> None:
    names = _names(make_record, _elsewhere("1"), _elsewhere("2"))
    assert names == ["bert (weights 11111111)", "bert (weights 22222222)"]
    assert _names(make_record, _elsewhere("1"), _elsewhere("1", max_length=64))[1] == "bert (model max length 64)"
    versions = _names(make_record, _predictor(version="1"), _predictor(version="2"))
    assert versions[0].startswith("bert (predictor version 1")
    assert versions[1].startswith("bert (predictor version 2")
    code = _names(make_record, _predictor(), _predictor(source_sha256="2" * 64))
    assert code[0].startswith("bert (predictor source hash 11111111")
    assert len(set(code)) == 2


def test_what_an_endpoint_serves_under_one_name(make_record: MakeRecord) -> None:
    def names(*served: tuple[str, ...]) -> list[str]:
        records = [make_record(system=_system(training_seed=None)).model_copy(update={"served": one}) for one in served]
        named = told_apart(records)
        return [named(record).system.shown for record in records]

    assert names(("m-05",), ("m-08",)) == ["bert (served m-05)", "bert (served m-08)"]
    assert names(("m-05",), ("m-05", "m-08"))[1] == "bert (served m-05, m-08)"
    assert names(("m-05",), ("m-05",), ()) == ["bert"] * 3  # not told in older records
    assert names(("m-05",), ("m-08",), ())[2] == "bert"


def test_a_name_that_would_be_long_ends_in_a_hash_of_the_rest(make_record: MakeRecord) -> None:
    many = {f"option_{number}": 1 for number in range(7)}
    one, other = (_system(settings=dict.fromkeys(many, value)) for value in (1, 2))
    first, second = _names(make_record, one, other)
    assert first.startswith("bert (option 0 1, option 1 1, option 2 1, 4 more differences ")
    assert len({first, second}) == 2


def test_an_older_record_is_not_another_system_for_what_it_does_not_tell(make_record: MakeRecord) -> None:
    old = _system(base_sha256=None)
    assert _names(make_record, old, _system(settings={"seed": 2})) == ["bert", "bert"]
    names = _names(make_record, old, _system(), _system(settings={"seed": 2}, base_sha256="c" * 64))
    assert names == ["bert (base hash bbbbbbbb)", "bert (base hash bbbbbbbb)", "bert (base hash cccccccc)"]


def test_tasks_and_bases_are_named_by_themselves(make_record: MakeRecord) -> None:
    other = _system(settings={"epochs": 4.0, "seed": 2})
    records = [make_record(system=_system()), make_record(task="qnli", system=other)]
    records.append(make_record(system=other.model_copy(update={"base": "another"})))
    named = told_apart(records)
    assert [named(record).system.shown for record in records] == ["bert", "bert", "bert"]


def test_gains_are_over_the_reference_that_was_trained_alike(make_record: MakeRecord) -> None:
    longer = {"epochs": 4.0, "seed": 2}
    systems = [_system(), _system(settings=longer, weights_sha256="4" * 64)]
    systems.append(_system(name="advbert", settings=longer, weights_sha256="5" * 64, base_sha256="a" * 64))
    systems.append(_system(name="charbert", settings={"epochs": 9.0, "seed": 2}, weights_sha256="6" * 64))
    scores = [40.0, 60.0, 65.0, 70.0]
    records = [(Path(f"{score} {suite}"), make_record(score, suite=suite, system=system))
               for score, system in zip(scores, systems, strict=True) for suite in (None, "drop")]  # fmt: skip
    named = told_apart(record for _, record in records)
    table = comparison_table(pair_records([(folder, named(record)) for folder, record in records])).set_index("label")
    assert table.loc["advbert", "gain"] == 5.0  # not 15, over the mean of two systems
    assert table["gain"].isna().drop("advbert").all()
    assert list(table.index[:2]) == ["bert (epochs 1)", "bert (epochs 4)"]


def test_suites_of_one_name_are_refused_whatever_their_seeds(make_record: MakeRecord) -> None:
    def attacked(seed: int, **changes: Any) -> tuple[Path, Record]:
        record = make_record(60.0, suite="drop", seed=seed)
        attack = record.data.attack and record.data.attack.model_copy(update=changes)
        data = record.data.model_copy(update={"attack": attack, "sha256": str(seed)})
        return Path(f"seed-{seed}"), record.model_copy(update={"data": data})

    check_together([attacked(1), attacked(2), attacked(3, constraints="question")])
    with pytest.raises(InputError, match="seed-1 and seed-2: found two suites called drop of conll2003"):
        check_together([attacked(1), attacked(2, suite_sha256="another")])
    with pytest.raises(InputError, match="two attacks called drop, on other fields or words, of conll2003"):
        check_together([attacked(1, constraints="question"), attacked(2, constraints="context")])


def test_one_system_measured_in_two_ways(make_record: MakeRecord) -> None:
    attack = make_record(suite="drop").data.attack
    values: dict[str, Any] = {
        "task": "conll2003", "system": _system(), "pooling": "mean", "stream": "both", "max_length": 128,
        "examples": 20, "clean_sha256": "c", "attacked_sha256": "a", "attack": attack, "summary": (),
        "words_sha256": "w", "wall_seconds": 1.0, "device": "cpu", "created": "2030", "layer": -1,
        "provenance": make_record().provenance,
    }  # fmt: skip
    changes: list[dict[str, Any]] = [{}, {"layer": 3}, {"system": _system(base="large")}]
    records = [SensitivityRecord(**{**values, **change}) for change in changes]
    apart = measured_apart(records)
    assert [apart(record).shown for record in records] == [
        "bert (layer -1, minilm)", "bert (layer 3, minilm)", "bert (layer -1, large)",
    ]  # fmt: skip
    alone = measured_apart(records[:1])
    assert alone(records[0]).shown == "bert"
