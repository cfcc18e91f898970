"""Two processes that each take half of a batch train like one process that takes all of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytestmark = pytest.mark.models

TOLERANCE = 1e-4
"""Relative, of each loss of the curve: sums are formed in another order."""

SCRIPT = """
import json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from transformers import TrainerCallback
from robustbench_char.training.pretraining.run import pretrain

options = json.loads(sys.argv[1])
stop = options.pop("stop", None)

class Stop(TrainerCallback):
    def on_step_end(self, args, state, control, **others):
        if state.global_step == stop:
            raise SystemExit(7)

for name in ("output", "store"):
    options[name] = Path(options[name])
pretrain("charbert", text=Path(options.pop("text")), callbacks=[Stop()], progress=False, **options)
"""


@pytest.fixture
def still_base(tiny: ModuleType, tmp_path: Path) -> Path:
    """A tiny base without dropout, whose draws are those of a process."""
    folder = tiny.bert_base(tmp_path / "still")
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return Path(folder)


@pytest.fixture
def options(still_base: Path, tmp_path: Path) -> dict[str, Any]:
    lines = [f"anna sees the great house in {place} and the door" for place in ("berlin", "paris", "oslo") * 50]
    (tmp_path / "text.txt").write_text("\n".join(lines))
    return {
        "text": str(tmp_path / "text.txt"),
        "base": str(still_base),
        "suite": "mixed",
        "noise": 0.3,
        "steps": 8,
        "block_size": 16,
        "precision": "fp32",
        "heldout_blocks": 1,
        "store": str(tmp_path / "store"),
        "save_seconds": 0.0,
    }


def _launch(script: Path, options: dict[str, Any], count: int) -> int:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)] if count > 1 else []
    done = subprocess.run(
        [sys.executable, *launcher, str(script), json.dumps(options)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode and "stop" not in options:
        raise AssertionError(done.stderr[-4000:])
    return done.returncode


@pytest.mark.slow
def test_two_processes_train_like_one_with_the_doubled_batch(options: dict[str, Any], tmp_path: Path) -> None:
    """Also when the two are stopped after a checkpoint, and started again."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    _launch(script, options | {"output": str(tmp_path / "one"), "batch_size": 4}, 1)
    two = options | {"output": str(tmp_path / "two"), "batch_size": 2}
    assert _launch(script, two | {"stop": 5}, 2) != 0
    assert not (tmp_path / "two").exists()
    assert list((tmp_path / "store").glob("*/checkpoint-4/complete.json"))
    _launch(script, two, 2)
    logs = [json.loads((tmp_path / name / "training_log.json").read_text()) for name in ("one", "two")]
    for kind, names in (("log", ("mlm_loss", "nlm_loss", "loss")), ("heldout", ("mlm_loss", "nlm_loss"))):
        left, right = (log[kind] for log in logs)
        assert [entry["step"] for entry in left] == [entry["step"] for entry in right]
        for name in names:
            expected = [entry[name] for entry in left]
            assert [entry[name] for entry in right] == pytest.approx(expected, rel=TOLERANCE)
    records = [json.loads((tmp_path / name / "pretraining.json").read_text()) for name in ("one", "two")]
    assert [record["processes"] for record in records] == [1, 2]
    assert records[0]["tokens"] == records[1]["tokens"] == 8 * 4 * 16
