"""What a system was trained on is known again where it is scored: in another file or format, clean or attacked."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import robustbench_char as rbc
from robustbench_char.attack_sets.fingerprints import clean_fingerprints, fingerprints
from robustbench_char.cli.main import app
from robustbench_char.common import InputError
from robustbench_char.reports.page import write_report
from robustbench_char.reports.summary import read_summary
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import mini_path, open_source
from robustbench_char.training.saved import FINGERPRINTS, pretraining_info, read_pretraining, read_system

pytestmark = pytest.mark.models

THINGS = ("garden", "kitchen", "library", "workshop", "station", "harbour")
TOLD = "Scored on its own training data"


def _sentences(first: int, count: int) -> list[tuple[str, str]]:
    """Return sentences with labels, another one for each number."""
    return [("01"[row % 2], f"somebody {'never ' * (row % 2)}painted {THINGS[row % 6]} number {row} yesterday")
            for row in range(first, first + count)]  # fmt: skip


def _write(path: Path, rows: Sequence[tuple[str, str]]) -> Path:
    path.write_text("".join(f"x\t{label}\t\t{text}\n" for label, text in rows), encoding="utf-8")
    return path


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return _write(tmp_path / "train.tsv", _sentences(0, 24))


def _finetune(tiny_base: str, tmp_path: Path, file: Path, **options: Any) -> Path:
    chosen = {"epochs": 0.1, "precision": "fp32", "max_length": 32, "progress": False, "output": tmp_path / "system"}
    return rbc.finetune("cola", train=file, base=tiny_base, store=tmp_path / "store", **(chosen | options)).folder


def _seen(system: Path, file: Path) -> int | None:
    return rbc.evaluate(system, file, progress=False).record.data.trained_on


def test_examples_are_known_again_in_any_file(tiny_base: str, tmp_path: Path, train: Path) -> None:
    system = _finetune(tiny_base, tmp_path, train)
    assert (system / FINGERPRINTS).stat().st_size == 8 * 24
    assert _seen(system, train) == 24
    mixed = [*_sentences(100, 10), *reversed(_sentences(0, 5))]
    assert _seen(system, _write(tmp_path / "mixed.tsv", mixed)) == 5
    lines = [json.dumps({"sentence": f" {text} ", "label": label}) for label, text in mixed]
    (tmp_path / "mixed.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert _seen(system, tmp_path / "mixed.jsonl") == 5
    first = _finetune(tiny_base, tmp_path, train, limit=6, output=tmp_path / "first")
    assert _seen(first, train) == 6


def test_attacked_copies_of_them_too(tiny_base: str, tmp_path: Path, train: Path) -> None:
    system = _finetune(tiny_base, tmp_path, train)
    mixed = _write(tmp_path / "mixed.tsv", [*_sentences(100, 10), *_sentences(0, 5)])
    for file, seen in ((train, 24), (mixed, 5)):
        for suite in ("keyboard", "two_edits"):
            rbc.attack_file("cola", file, suite=suite, seed=3, output=tmp_path / f"{suite}-{file.stem}")
            assert _seen(system, tmp_path / f"{suite}-{file.stem}" / file.name) == seen
    assert (
        rbc.evaluate(system, tmp_path / "keyboard-mixed" / "mixed.tsv", limit=12, progress=False).record.data.trained_on
        == 2
    )


def test_it_is_said_wherever_scores_are_shown(
    tiny_base: str, tmp_path: Path, train: Path, caplog: pytest.LogCaptureFixture
) -> None:
    system = _finetune(tiny_base, tmp_path, train)
    command = ["evaluate", str(system), "--input", str(train), "--output", str(tmp_path / "result")]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    told = f"{TOLD}, which does not tell of texts that are new to a system: bert on cola, 24 of 24 examples."
    assert told in done.stdout
    result = rbc.evaluate(system, train, progress=False)
    assert "seen     24 of these examples in training" in repr(result)
    with caplog.at_level(logging.WARNING, "robustbench_char"):
        rbc.evaluate(system, train, progress=False)
    assert "bert was trained on 24 of the 24 examples of train.tsv: these scores do not tell of texts" in caplog.text
    assert told in read_summary([tmp_path / "result"]).text()
    page = write_report([tmp_path / "result"], tmp_path / "report").read_text(encoding="utf-8")
    assert page.count("24 of 24 examples") > 1
    clean = rbc.evaluate(
        system, _write(tmp_path / "test.tsv", _sentences(100, 10)), output=tmp_path / "clean", progress=False
    )
    assert "in training" not in repr(clean)
    assert TOLD not in read_summary([tmp_path / "clean"]).text()


def test_training_on_an_attacked_file_is_marked(
    tiny_base: str, tmp_path: Path, train: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rbc.attack_file("cola", train, suite="keyboard", seed=3, output=tmp_path / "attacked")
    with caplog.at_level(logging.WARNING, "robustbench_char"):
        system = _finetune(tiny_base, tmp_path, tmp_path / "attacked" / "train.tsv")
    assert "train.tsv was attacked by keyboard: scores under its operators are marked" in caplog.text
    trained = rbc.evaluate(system, train, progress=False).record
    assert trained.data.trained_on == 24  # the clean original of the training file
    attack = trained.system.trained_attack
    assert attack is not None
    assert (attack.suite, attack.seed, attack.operators) == ("keyboard", 3, ("keyboard",))
    test = _write(tmp_path / "test.tsv", _sentences(100, 10))
    marks = {}
    for suite in ("keyboard", "mixed", "drop"):
        made = rbc.attack_file("cola", test, suite=suite, seed=1, output=tmp_path / f"test-{suite}")
        record = rbc.evaluate(system, tmp_path / f"test-{suite}" / made.output.name, progress=False).record
        marks[suite] = record.saw_attack
        assert record.data.trained_on is None
    assert marks == {"keyboard": "suite", "mixed": "operators", "drop": None}


def test_text_that_was_attacked_marks_what_is_trained_on_it(
    pretrain_tiny: Any, tmp_path: Path, train: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rbc.attack_file("ptb_pos", mini_path("ptb_pos", "train"), suite="keyboard", seed=3, output=tmp_path / "attacked")
    (attacked,) = (tmp_path / "attacked").glob("train*")
    with caplog.at_level("WARNING", "robustbench_char"):
        first = pretrain_tiny("bert_mlm", name="one/base", text=attacked, steps=1)
    assert f"{attacked.name} was attacked by keyboard: scores under its operators are marked" in caplog.text
    plain = pretrain_tiny("bert_mlm", name="two/base", text=shutil.copy(attacked, tmp_path / "copy"), steps=1)
    later = pretrain_tiny("bert_mlm", base=str(first), steps=1)
    again = pretrain_tiny("bert_mlm", name="again", base=str(later), text=attacked, steps=1)
    known = [pretraining_info(folder) for folder in (first, plain, later, again)]
    assert [[one.suite for one in info.attacks] for info in known if info] == [["keyboard"], [], *[["keyboard"]] * 2]
    assert len({file.run for file in map(read_pretraining, (first, plain)) if file}) == 2
    assert (first / "model.safetensors").read_bytes() == (plain / "model.safetensors").read_bytes()
    systems = [_finetune(str(folder), folder.parent, train, system="bert_mlm") for folder in (first, plain)]
    files = [read_system(folder) for folder in systems]
    assert files[0].base == files[1].base
    assert files[0].run != files[1].run


def test_one_file_attacked_or_not_is_not_one_system(tiny_base: str, tmp_path: Path, train: Path) -> None:
    rbc.attack_file("cola", train, suite="keyboard", seed=3, output=tmp_path / "attacked")
    copy = tmp_path / "copy.tsv"
    copy.write_bytes((tmp_path / "attacked" / "train.tsv").read_bytes())
    system = _finetune(tiny_base, tmp_path, copy)
    with pytest.raises(InputError, match="system"):
        _finetune(tiny_base, tmp_path, tmp_path / "attacked" / "train.tsv")
    marked = _finetune(tiny_base, tmp_path, tmp_path / "attacked" / "train.tsv", overwrite=True)
    file = json.loads((marked / "system.json").read_text(encoding="utf-8"))
    assert marked == system
    assert file["train"]["attack"]["suite"] == "keyboard"


def test_an_older_system_is_asked_by_the_hash_of_its_file(tiny_base: str, tmp_path: Path, train: Path) -> None:
    system = _finetune(tiny_base, tmp_path, train, limit=6)
    path = system / "system.json"
    file = json.loads(path.read_text(encoding="utf-8"))
    for name in ("fingerprints_sha256", "attack"):
        del file["train"][name]
    path.write_text(json.dumps(file), encoding="utf-8")
    (system / FINGERPRINTS).unlink()
    rbc.attack_file("cola", train, suite="keyboard", output=tmp_path / "attacked")
    assert _seen(system, train) == _seen(system, tmp_path / "attacked" / "train.tsv") == 6
    assert _seen(system, _write(tmp_path / "mixed.tsv", _sentences(0, 5))) is None


def test_missing_or_altered_fingerprints(tiny_base: str, tmp_path: Path, train: Path) -> None:
    system = _finetune(tiny_base, tmp_path, train)
    (system / FINGERPRINTS).write_bytes(b"12345678")
    with pytest.raises(InputError, match=rf"{FINGERPRINTS}: found another content than training wrote; expected the"):
        _seen(system, train)
    (system / FINGERPRINTS).unlink()
    with pytest.raises(InputError, match=rf"{FINGERPRINTS}: found no such file; .*Copy the folder again"):
        _seen(system, train)


@pytest.mark.parametrize(
    ("task", "suite"), [("squad_v1", "mixed"), ("conll2003", "two_edits"), ("qnli", "insert_space")]
)
def test_clean_examples_of_attacked_sets(task: str, suite: str, tmp_path: Path) -> None:
    made = rbc.attack_file(task, data="mini", split="dev", suite=suite, seed=1, output=tmp_path / "set")
    examples = list(open_source(get_task(task), data="mini", split="dev").examples())
    attacked = list(open_source(get_task(task), input=tmp_path / "set" / made.output.name).examples())
    clean = clean_fingerprints(tmp_path / "set", made, attacked)
    assert clean.tolist() == fingerprints(examples).tolist()
    assert set(fingerprints(attacked).tolist()) != set(clean.tolist())
    assert clean_fingerprints(tmp_path / "set", made, attacked[:3]).tolist() == clean.tolist()[:3]
