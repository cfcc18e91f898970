"""Attacks that have seeds of their own, and those that are published operations and draw nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from robustbench_char.attack_sets import read_manifest
from robustbench_char.common import InputError
from robustbench_char.experiments import run as benchmark
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import open_source

Write = Callable[..., str]
NAMED = {"operations": "ops/test_ops.txt"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a data folder with operations on the generated test set that strike the last letter of long words."""
    task = get_task("conll2003")
    lines = []
    for example in open_source(task, data="mini", split="test").examples():
        lines += ["-" * (len(word) - 1) + ("d" if len(word) > 4 else "-") for word in example.fields["tokens"]] + [""]
    (tmp_path / "data" / "ops").mkdir(parents=True)
    (tmp_path / "data" / "ops" / "test_ops.txt").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path / "data"


def test_a_suite_has_seeds_of_its_own(write_spec: Write, tmp_path: Path) -> None:
    spec = write_spec(suites=["drop", "swap@0.3"], suite_seeds={"swap@0.3": [1, 2]})
    jobs = benchmark.plan(spec, store=tmp_path / "store").plan.jobs
    attacks = [name for name in jobs if name.startswith("attack/")]
    assert attacks == [f"attack/qnli/{name}" for name in ("drop/seed_1", "swap@0.3/seed_1", "swap@0.3/seed_2")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"suite_seeds": {"swap": [1]}}, r"suite_seeds: found 'swap', which this spec does not run"),
        ({"suite_seeds": {"drop": [1, 1]}}, r"suite_seeds\.drop: found \[1, 1\]"),
        (
            {"suite_seeds": {"drop": [1000]}, "systems": {"bert_aug": {}}},
            r"suite_seeds\.drop: found 1000, which training copies",
        ),
        (
            {"tasks": {"qnli": {"operations": NAMED}}},
            r"tasks\.qnli\.operations\.operations: found .*the task qnli; expected a tagging task",
        ),
        (
            {"tasks": {"conll2003": {"operations": {"nat2021_typo": "ops/test_ops.txt"}}}},
            r"tasks\.conll2003\.operations\.nat2021_typo: found .*Did you mean 'nat2021_typos'",
        ),
        (
            {"tasks": {"conll2003": {"operations": {"operations": "ops/none.txt"}}}},
            r"tasks\.conll2003\.operations\.operations: found .*none\.txt",
        ),
    ],
)
def test_a_mistake_names_its_key(
    write_spec: Write, tmp_path: Path, folder: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        benchmark.plan(write_spec(**changes), store=tmp_path / "store", data_dir=folder)


def test_operations_need_a_data_folder(write_spec: Write, tmp_path: Path) -> None:
    spec = write_spec(tasks={"conll2003": {"operations": NAMED}})
    with pytest.raises(InputError, match="--data-dir: found none, and files below it"):
        benchmark.plan(spec, store=tmp_path / "store")


def test_operations_attack_once_beside_the_suites(write_spec: Write, tmp_path: Path, folder: Path) -> None:
    tasks = {"conll2003": {"operations": NAMED, "train_systems": False}}
    spec = write_spec(tasks=tasks, attack_seeds=[1, 2])
    out = tmp_path / "out"
    done = benchmark.run(spec, output=out, store=tmp_path / "store", data_dir=folder, executor="local")
    assert not done.errors
    made = sorted(path.parent.relative_to(out).as_posix() for path in out.rglob("manifest.json"))
    assert made == [f"manifests/conll2003/{name}" for name in ("drop/seed_1", "drop/seed_2", "operations/seed_0")]


def test_other_operations_are_another_attack(write_spec: Write, tmp_path: Path, folder: Path) -> None:
    spec = write_spec(tasks={"conll2003": {"operations": NAMED, "train_systems": False}})

    def key() -> str:
        plan = benchmark.plan(spec, store=tmp_path / "store", data_dir=folder).plan
        return plan.keys["attack/conll2003/operations/seed_0"]

    first, file = key(), folder / "ops" / "test_ops.txt"
    assert key() == first
    file.write_text(file.read_text().replace("d", "-", 1))
    assert key() != first


def test_a_list_of_ones_own_is_found_by_the_job(write_spec: Write, tmp_path: Path) -> None:
    """A job holds the resolved suite, in which no path is; the hash of the list decides, its place does not."""
    (tmp_path / "own.tsv").write_text("teh\tthe\n")
    own = tmp_path / "own.yaml"
    own.write_text(
        "schema: 1\ndescription: x\noperators: {misspelling: {}}\npositions: all\n"
        "misspellings: {list: own.tsv, licence: CC0-1.0}\n"
    )
    spec = write_spec(suites=[str(own)], tasks={"qnli": {"train_systems": False}})
    done = benchmark.run(spec, output=tmp_path / "out", store=tmp_path / "store", executor="local")
    assert not done.errors
    (made,) = (tmp_path / "out").rglob("manifest.json")
    manifest = read_manifest(made.parent)
    assert manifest.counts.by_operator.keys() == {"misspelling"}
    assert str(tmp_path) not in made.read_text()
