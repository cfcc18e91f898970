"""`demo`: the main job from end to end on generated data, in a few minutes on two cores."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from robustbench_char.tasks.base import Task

__all__ = ["demo"]

TRAINED = {"qnli": (3.0, 1e-4), "conll2003": (2.0, 1e-4), "squad_v1": (4.0, 4e-4)}
"""The tasks that a system is trained on, one of each family, for how many epochs and at which learning rate."""
Say = Callable[[str], None]
SUITES = ("drop", "add", "swap", "keyboard", "charbert_2020")


def demo(
    output: Annotated[Path, typer.Option(help="The folder to fill.")] = Path("robustbench-char-demo"),
    layers: Annotated[int, typer.Option(min=1, help="Layers of MiniLM that are kept.")] = 3,
) -> None:
    """Attack and verify eight generated data sets, fine-tune BERT on three, score it, write the report.

    What an earlier run with the same versions has finished is kept.
    """
    started = time.monotonic()

    def say(text: str) -> None:
        typer.echo(f"[{time.monotonic() - started:5.0f} s] {text}")

    _attack_all(output, say)
    records = [folder for task in TRAINED for folder in _train_and_score(output, task, layers, say)]
    from robustbench_char.reports.page import write_report

    page = write_report(records, output / "report", overwrite=True)
    say("done; the report:")
    typer.echo(page.absolute())


def _attack_all(output: Path, say: Say) -> None:
    from robustbench_char.attacks.suites import load_suites
    from robustbench_char.tasks.attack_files import attack_file
    from robustbench_char.tasks.registry import TASKS
    from robustbench_char.tasks.sources import open_source
    from robustbench_char.tasks.verify import verify

    for name in TASKS:
        task, source = TASKS.get(name), open_source(TASKS.get(name), data="mini", split="test")
        for suite_name in SUITES if name in TRAINED else SUITES[-1:]:
            (suite,) = load_suites(suite_name, task=name)
            folder = output / "attacked" / name / suite_name
            manifest = attack_file(task, source, suite, seed=1, output=folder, overwrite=True)
            verify(folder, source)
            say(
                f"{name}: attacked with {suite_name} and verified, "
                f"{manifest.counts.edited_words:,} of {manifest.counts.words:,} words edited"
            )


def _train_and_score(output: Path, name: str, layers: int, say: Say) -> list[Path]:
    from robustbench_char.tasks.attack_files import source_sha256
    from robustbench_char.tasks.formats import open_native
    from robustbench_char.tasks.manifest import read_manifest
    from robustbench_char.tasks.registry import get_task
    from robustbench_char.tasks.sources import open_source
    from robustbench_char.training.evaluate import evaluate
    from robustbench_char.training.finetune import finetune

    task, train = get_task(name), open_source(get_task(name), data="mini", split="train")
    epochs, rate = TRAINED[name]
    say(f"{name}: fine-tuning BERT ({layers} layers of MiniLM, {epochs:g} epochs)")
    folder = finetune(
        task,
        train=train,
        train_sha256=source_sha256(train.path),
        output=output / "systems" / name,
        layers=layers,
        epochs=epochs,
        learning_rate=rate,
        overwrite=True,
    )
    records = []
    for condition in ("clean", *SUITES):
        home = output / "attacked" / name / condition
        file = (
            open_source(task, data="mini", split="test")
            if condition == "clean"
            else open_native(task, home / read_manifest(home).output.name)
        )
        record = evaluate(folder, file, progress=False, overwrite=True, output=output / "scores" / name / condition)
        say(f"{name}: {condition}, {record.headline} {record.scores[record.headline]:.1f}")
        records.append(output / "scores" / name / condition)
    return [*records, *_sensitivity(output, task, folder, say)]


def _sensitivity(output: Path, task: Task, folder: Path, say: Say) -> list[Path]:
    """Measure how far words move under the last suite, with one sentence's profile; long contexts would take long."""
    from robustbench_char.tasks.sources import open_source
    from robustbench_char.training.sensitivity import measure_sensitivity

    if task.family == "question_answering":
        return []
    clean = open_source(task, data="mini", split="test")
    target = output / "sensitivity" / task.name
    found = measure_sensitivity(
        str(folder),
        clean,
        output / "attacked" / task.name / SUITES[-1],
        task,
        output=target,
        profiles=[next(clean.examples()).id],
        overwrite=True,
        progress=False,
    )
    s = found.record.summary[0].s
    say(f"{task.name}: sensitivity S under {SUITES[-1]} {s:.3f}")
    return [target]
