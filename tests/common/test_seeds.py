"""A seed is a whole number of any kind; whatever else is given as one is refused, wherever a seed is taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import robustbench_char as rbc
from robustbench_char.attack_sets.stream import Attack
from robustbench_char.common import InputError
from robustbench_char.common.seeds import SEEDS, seed_of
from robustbench_char.defences.wordrec.options import AnswerOptions, resolve_recogniser
from robustbench_char.experiments import run as benchmark
from robustbench_char.inference.asked import seeds_of
from robustbench_char.metrics.bootstrap import resampled_sums
from robustbench_char.metrics.significance import permutation_test
from robustbench_char.tasks.registry import get_task
from robustbench_char.training.options import AugmentOptions, FinetuneOptions, resolve_settings
from robustbench_char.training.pretraining.options import PretrainOptions, resolve_characters, resolve_pretraining

ROWS = [{"sentence": "The harbour was quiet this morning.", "label": 1}]
WHOLE = [7, np.int64(7), np.uint8(7), np.array(7)]
WRONG = ["1", 1.0, np.float64(1), True, np.bool_(True), -1, 2**32, 10**22, None, [1], np.array([1, 2])]
COUNTS = np.random.default_rng(0).random((60, 2))


def _permuted(seed: Any) -> float:
    return permutation_test(COUNTS[:30], COUNTS[30:], lambda sums: sums[..., 0] - 2 * sums[..., 1], seed=seed)


TAKERS: dict[str, Callable[[Any], Any]] = {
    "seed_of": seed_of,
    "attack": lambda seed: rbc.attack(ROWS, task="cola", suite="mixed", seed=seed)[0]["sentence"],
    "attack_file": lambda seed: rbc.attack_file("cola", ROWS, suite="drop", seed=seed, output="x", overwrite=True).seed,
    "worst_case": lambda seed: Attack.of(get_task("cola"), "mixed", seed, None).seed,
    "finetune": lambda seed: resolve_settings(FinetuneOptions(), seed=seed, family="tagging", positions=512).seed,
    "pretrain": lambda seed: resolve_pretraining("advbert", PretrainOptions(), seed=seed, positions=9, lower=True)[0],
    "characters": lambda seed: resolve_characters(PretrainOptions(), seed=seed, lower=True, text=False)[0],
    "wordrec": lambda seed: resolve_recogniser({}, seed=seed)[0],
    "bootstrap": lambda seed: resampled_sums(COUNTS, resamples=3, seed=seed).tolist(),
    "permutation": _permuted,
}


@pytest.mark.parametrize("name", TAKERS)
def test_every_whole_number_is_a_seed_and_nothing_else(name: str, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    take = TAKERS[name]
    results = list(map(take, WHOLE))
    assert all(result == results[0] for result in results)
    assert type(results[0]) is type(take(0))
    take(SEEDS)
    for wrong in WRONG:
        with pytest.raises(InputError, match=r"seed=: found .* expected a whole number from 0 to 4294967295"):
            take(wrong)


@pytest.mark.parametrize("model", [AugmentOptions, AnswerOptions])
def test_a_seed_among_options(model: type[Any]) -> None:
    assert model(seed=np.int64(5)).seed == 5
    for wrong in ("1", 1.0, True, -1, 2**32):
        with pytest.raises(ValueError, match="seed"):
            model(seed=wrong)


@pytest.mark.slow
def test_functions_that_train_refuse_a_wrong_seed_before_any_work(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("One line of words.\n" * 200)
    for call in (
        lambda: rbc.finetune("cola", data="mini", seed="1", output=tmp_path / "out"),  # type: ignore[arg-type]
        lambda: rbc.train_defence("wordrec", text=text, seed=1.5, output=tmp_path / "out"),  # type: ignore[arg-type]
        lambda: rbc.fragility("minilm", data="mini", seed=-1),
    ):
        with pytest.raises(InputError, match=r"seed=: found ('1'|1\.5|-1); expected"):
            call()
    assert not (tmp_path / "out").exists()


def test_how_many_seeds_are_whole_and_few() -> None:
    assert seeds_of(np.int64(2)) == seeds_of((np.int64(1), 2)) == (1, 2)
    for wrong in (True, 1.0, 0, -1, [-1], [1.0], ["1"], [2**32], 10**6, 10**22, "1.0", "1,x", (), [1, 1], object()):
        with pytest.raises(InputError, match=r"--seeds: found .*; expected how many seeds \(3, at most 1000\)"):
            seeds_of(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["'1'", "1.0", "True", "-1", "4294967296", "1234567890123456789012"])
def test_seeds_of_a_spec(tmp_path: Path, wrong: str) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        f"schema: 1\nsuites: [drop]\nsystems: {{bert: {{}}}}\ntasks: {{cola: {{}}}}\nattack_seeds: [2, {wrong}]\n"
    )
    with pytest.raises(InputError, match=rf"attack_seeds\.1: found {wrong}; expected"):
        benchmark.plan(str(spec), store=tmp_path / "store")
