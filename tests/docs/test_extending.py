"""The guide to adding things: each file and each line of docs/extending.md works as it stands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from fixtures.pages import blocks_of, extend
from typer.testing import CliRunner

from robustbench_char.attack_sets.manifest import read_manifest
from robustbench_char.cli.main import app
from robustbench_char.common.systems import SYSTEMS
from robustbench_char.defences.opening import open_defence
from robustbench_char.metrics.base import METRICS, score
from robustbench_char.tasks.registry import get_task

pytestmark = pytest.mark.models

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.M | re.S)


@pytest.fixture(autouse=True)
def extended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add all that the guide adds, for one test."""
    for block in blocks_of("docs/extending.md"):
        if block.language == "py":
            extend(monkeypatch, block)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that runs one command in a folder of its own, which holds the guide's suite."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "double.yaml").write_text(blocks("yaml")[0], encoding="utf-8")

    def command(line: str) -> str:
        done = CliRunner().invoke(app, shlex.split(line), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    return command


def test_the_operator_attacks_and_its_ledger_is_verified(run: Callable[..., str], tmp_path: Path) -> None:
    for line in re.findall(r"^robustbench-char (.+)$", GUIDE, re.M):
        run(line)
    manifest = read_manifest(tmp_path / "doubled")
    assert manifest.counts.by_operator == {"double": manifest.counts.edits}
    assert manifest.strength.effective == 1.0
    assert re.search(r"(\w)\1", run("show doubled/ -n 5"))
    assert "  double" in run("list operators")


def test_the_metric_scores_a_whole_set_and_sums_alike() -> None:
    golds, said = [("O", "B-PER"), ("O",), ("O",)], [("O", "B-PER"), ("O",), ("B-PER",)]
    counted = METRICS.get("sentence_accuracy")
    sums = [unit.counts for unit in counted.units(golds, said, None)]
    result = score("sentence_accuracy", golds, said)
    assert result.scores == {"sentence_accuracy": pytest.approx(200 / 3)}
    assert counted.score(np.array(sums).sum(0)) == pytest.approx(result.scores["sentence_accuracy"])


def test_system_metric_and_section_together(run: Callable[..., str], tmp_path: Path, tiny: ModuleType) -> None:
    tiny.bert_base(tmp_path / "tiny")
    task = get_task("conll2003").model_dump_json(exclude={"hub"}, by_alias=True)
    task = task.replace('"entity_f1"', '"sentence_accuracy"').replace('"f1"', '"sentence_accuracy"')
    (tmp_path / "names.yaml").write_text(task.replace('"conll2003"', '"names"', 1), encoding="utf-8")
    run("mini conll2003 --output data")
    run("attack names.yaml --input data/valid.txt --suite double.yaml --output doubled")
    settings = "--base tiny --limit 32 --epochs 1 --precision fp32 --max-length 48 --store store"
    run(f"finetune names.yaml --train data/train.txt --system bert_lookalike {settings} --output ner")
    run("evaluate ner --input data/valid.txt --output scores/clean")
    run("evaluate ner --input doubled/valid.txt --output scores/double")
    run("report scores --output report")
    page = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "## Worst cases" in page
    row = (tmp_path / "report" / "tables" / "worst.md").read_text(encoding="utf-8").splitlines()[-1]
    assert row.startswith("| bert_lookalike, names, double |")


def test_the_system_reads_what_it_says(tmp_path: Path, tiny: ModuleType) -> None:
    base = tiny.bert_base(tmp_path / "tiny")
    words = [["h0use", "mp3", "1st", "b0at"]]
    ours, plain = (SYSTEMS.get(name).open(base, words=True) for name in ("bert_lookalike", "bert"))
    (read,) = ours.word_windows(words, max_length=32)
    (expected,) = plain.word_windows([["house", "mp3", "1st", "boat"]], max_length=32)
    assert list(read.inputs["input_ids"]) == list(expected.inputs["input_ids"])


def test_the_defence_corrects_words_and_texts_by_name_and_from_its_folder(
    run: Callable[..., str], tmp_path: Path
) -> None:
    open_defence("calm").save(tmp_path / "saved")
    for name in ("calm", tmp_path / "saved"):
        defence = open_defence(name)
        assert defence.correct([["Sooo", "good"]]) == [["Soo", "good"]]
        (text,) = defence.correct_texts(["Sooo good, heyyyy"])
        assert text.text == "Soo good, heyy"
        assert text.to_given(4, 8) == (5, 9)
    assert "  calm" in run("list defences")
