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
