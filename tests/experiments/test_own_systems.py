"""Systems that were added: they are trained by themselves, and the seeds of their copies refused."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from robustbench_char.common import InputError
from robustbench_char.common.systems import SYSTEMS
from robustbench_char.experiments._expand import expand
from robustbench_char.experiments._resolve import resolve
from robustbench_char.experiments.spec import load_spec
from robustbench_char.models.bert import BertSystem

pytestmark = pytest.mark.models

SPEC = """
schema: 1
data: mini
bases: [BASE]
systems: {bert: {}, bert_aug: {}, bert_swap: {}}
tasks: {cola: {}}
suites: [drop]
attack_seeds: [1]
"""


class BertSwapSystem(BertSystem):
    """A system with copies of its own."""

    name = "bert_swap"
    augmentation = "swap"


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: ModuleType) -> str:
    monkeypatch.setitem(SYSTEMS._entries, "bert_swap", BertSwapSystem)
    return SPEC.replace("BASE", str(tiny.bert_base(tmp_path / "tiny")))


def test_copies_of_another_suite_are_another_training(spec: str, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(spec)
    plan = expand(resolve(*load_spec(str(tmp_path / "s.yaml")), None))
    trained = [job for job in plan.jobs.values() if job.stage == "finetune"]
    assert [job.params["system"] for job in trained] == ["bert", "bert_aug", "bert_swap"]
    assert not [job.name for job in trained if "weights" in job.needs]


def test_the_seed_of_its_copies_is_refused(spec: str, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(spec.replace("bert_aug: {}, ", "").replace("[1]", "[1000]"))
    with pytest.raises(InputError, match="1000, which training copies are attacked with"):
        resolve(*load_spec(str(tmp_path / "s.yaml")), None)


def taken_over(path: Path, spec: str) -> dict[str, bool]:
    """Return the systems that a spec trains, and whether each takes over the weights of an earlier one."""
    path.write_text(spec)
    plan = expand(resolve(*load_spec(str(path)), None))
    return {job.name.split("/")[2]: "weights" in job.needs for job in plan.jobs.values() if job.stage == "finetune"}


def test_weights_are_taken_over_unless_training_reads_through_a_defence(spec: str, tmp_path: Path) -> None:
    head, tail = spec.split("systems:")[0], spec.split("bert_swap: {}}")[1]
    bare = "systems: {bert: {}, bert_wordrec: {}}"
    copies = (
        "systems: {bert: {augment: {suite: swap, fresh: true}}, bert_wordrec: {augment: {suite: swap, fresh: true}}}"
    )
    assert taken_over(tmp_path / "s.yaml", head + bare + tail) == {"bert": False, "bert_wordrec": True}
    assert taken_over(tmp_path / "s.yaml", head + copies + tail) == {"bert": False, "bert_wordrec": False}


def test_every_seed_of_fresh_copies_is_refused(spec: str, tmp_path: Path) -> None:
    """One per epoch: three by default."""
    path = tmp_path / "s.yaml"
    for seed in (1001, 1002):
        path.write_text(spec.replace("bert_swap: {}", "").replace("[1]", f"[{seed}]"))
        with pytest.raises(InputError, match=f"attack_seeds: found {seed}, which training copies are attacked with"):
            resolve(*load_spec(str(path)), None)
    path.write_text(spec.replace("bert_swap: {}", "").replace("[1]", "[1003]"))
    resolve(*load_spec(str(path)), None)
    path.write_text(
        path.read_text().replace("[1003]", "[1001]").replace("bert_aug: {}", "bert_aug: {augment: {fresh: false}}")
    )
    resolve(*load_spec(str(path)), None)
