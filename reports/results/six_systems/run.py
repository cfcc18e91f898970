"""Makes this folder again, or goes on where it stopped: `python run.py DATA WORK`, with robustbench-char[offline].

DATA holds text/{train,valid}.txt, conll2003/{train,test}.txt, glue/QNLI/{train,dev}.tsv, squad/{train,dev}-v2.0.json.
WORK gets encoders, systems, attacked sets and scores (texts included), and `numbers/`: records with their counts,
manifests of the attacked sets, logs of pre-training, the price of the recogniser, and the times of all steps. These are
published here by `tools/publish.py`, with the report on them. Whatever is done already is found again. `--size gpu`
makes ../six_systems_gpu instead.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from robustbench_char.cli.main import app

HERE = Path(__file__).resolve().parent
PUBLISH = HERE.parents[2] / "tools" / "publish.py"
SUITES = ("charbert_2020", "drop", "add", "swap", "keyboard")
OPERATORS = ("keyboard", "add", "drop", "swap")


@dataclass(frozen=True)
class Size:
    """How much is done, for all systems alike. `tasks`: train file, test file, further options of `finetune`.

    `pretrained` holds further options of `pretrain`, by the name of the encoder, which begins with its system's.
    `seeds` are those of training, by task. `further` are systems of CoNLL-2003 alone: those that an operator was left
    out of, and tries at closing CharBERT's gap.
    """

    tasks: dict[str, tuple[str, str, list[str]]]
    pretrained: dict[str, list[str]]
    seeds: dict[str, tuple[int, ...]]
    further: dict[str, tuple[str, str, list[str]]]
    recogniser: list[str]
    folder: Path = HERE


def _tasks(conll2003: str, qnli: str, squad_v2: str) -> dict[str, tuple[str, str, list[str]]]:
    return {
        "conll2003": ("conll2003/train.txt", "conll2003/test.txt", conll2003.split()),
        "qnli": ("glue/QNLI/train.tsv", "glue/QNLI/dev.tsv", qnli.split()),
        "squad_v2": ("squad/train-v2.0.json", "squad/dev-v2.0.json", squad_v2.split()),
    }


LEFT_OUT = {
    f"bert_aug without {operator}": ("bert_aug", "minilm", ["--augment-share=0.5", f"--augment-without={operator}"])
    for operator in OPERATORS
}

# Fits 150 minutes of two cores: of CoNLL-2003 the first sentences, few epochs, few steps.
CPU = Size(
    tasks=_tasks("--limit=5000 --epochs=1 --lr=2e-4", "--epochs=2 --lr=1e-4", "--epochs=1 --lr=2e-4"),
    pretrained={name: ["--steps=480"] for name in ("charbert", "advbert", "bert_mlm")},
    seeds={"conll2003": (0,), "qnli": (0,), "squad_v2": (0,)},
    further=LEFT_OUT,
    recogniser=["--limit=300000", "--epochs=6"],
)
# What one GPU does in ten minutes: all training data, and sixteen times the text.
_LONG = ["--steps=2000", "--batch-size=64"]
GPU = Size(
    tasks=_tasks("--epochs=3 --batch-size=32", "--epochs=4 --batch-size=32", "--epochs=8 --lr=2e-4"),
    pretrained={
        "charbert": _LONG,
        "advbert": _LONG,
        "bert_mlm": _LONG,
        "charbert_surface": [*_LONG, "--character-case=surface"],
        "charbert_noise_30": [*_LONG, "--noise=0.3"],
        "charbert_short": ["--steps=500", "--batch-size=64"],
    },
    seeds={"conll2003": (0, 1), "qnli": (0, 1), "squad_v2": (0,)},
    further={
        "charbert with capitals": ("charbert", "charbert_surface", []),
        "charbert noise 30%": ("charbert", "charbert_noise_30", []),
        "charbert a quarter of the text": ("charbert", "charbert_short", []),
        "charbert new parts 1e-3": ("charbert", "charbert", ["--new-lr=1e-3"]),
    },
    recogniser=["--limit=300000", "--epochs=6"],
    folder=HERE.parent / "six_systems_gpu",
)
SIZES = {"cpu": CPU, "gpu": GPU}
SYSTEMS: dict[str, tuple[str, str, list[str]]] = {  # label: system, base, further options of `finetune`
    "charbert": ("charbert", "charbert", []),
    "bert": ("bert", "minilm", []),
    "advbert": ("advbert", "advbert", []),
    "bert_mlm": ("bert_mlm", "bert_mlm", []),
    "bert_wordrec": ("bert_wordrec", "minilm", ["--recogniser=recogniser"]),  # the folder in WORK
    "bert_aug": ("bert_aug", "minilm", ["--augment-share=0.5"]),
}


@dataclass(frozen=True)
class Job:
    """One step: a name, and the names of the steps that come before it."""

    name: str
    after: tuple[str, ...] = ()


def jobs(size: Size) -> list[Job]:
    """Return all steps, the most wanted first."""
    found = [*(Job(f"pretrain/{name}") for name in size.pretrained), Job("attack"), Job("recogniser")]
    for task, seeds in size.seeds.items():
        for seed, label in itertools.product(seeds, SYSTEMS):
            found.append(_training(size, task, label, seed))
    return found + [_training(size, "conll2003", label, 0) for label in size.further]


def _training(size: Size, task: str, label: str, seed: int) -> Job:
    _, base, _ = system_of(size, label)
    after = [f"pretrain/{base}"] if base in size.pretrained else []
    after += ["recogniser", f"train/{task}/bert/{seed}"] if label == "bert_wordrec" else []  # has the same weights
    return Job(f"train/{task}/{label}/{seed}", ("attack", *after))


def system_of(size: Size, label: str) -> tuple[str, str, list[str]]:
    """Return system, base, and further options of `finetune`."""
    return {**SYSTEMS, **size.further}[label]


def command(*arguments: object) -> str:
    """Run one command of robustbench-char in this process and return what it printed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        app([str(one) for one in arguments], standalone_mode=False)
    return said.getvalue()


def kept(work: Path, *place: str) -> Path:
    """Return where a file of numbers goes. It is outside the checkout, whose state each record tells."""
    return work.joinpath("numbers", *place)


def keep(source: Path, target: Path) -> None:
    """Copy a file that holds numbers alone."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def attack(size: Size, data: Path, work: Path) -> None:
    """Make and verify the attacked sets."""
    for task, (_, test, _) in size.tasks.items():
        for suite in SUITES:
            folder, manifest = work / "attacked" / task / suite, kept(work, "manifests", task, suite, "manifest.json")
            if folder.is_dir() and manifest.is_file():
                continue
            command("attack", task, "--input", data / test, "--suite", suite, "--seed", 1, "--output", folder)
            command("verify", folder, "--input", data / test)
            keep(folder / "manifest.json", manifest)


def pretrain(size: Size, data: Path, work: Path, name: str) -> None:
    """Pre-train one encoder; all see the same number of blocks of the same text."""
    system = next(system for system in ("charbert", "advbert", "bert_mlm") if name.startswith(system))
    folder = work / "pretrained" / name
    text = ("--text", data / "text/train.txt", "--heldout", data / "text/valid.txt")
    command(
        "pretrain",
        system,
        "--base=minilm",
        *text,
        "--seed=0",
        "--store",
        work / "store",
        "--output",
        folder,
        *size.pretrained[name],
    )
    for file in ("pretraining.json", "training_log.json"):
        keep(folder / file, kept(work, "pretraining", name, file))


def recogniser(size: Size, data: Path, work: Path) -> None:
    """Train one word recogniser on plain text, for all tasks."""
    if not (work / "recogniser").is_dir():
        text = ("--text", data / "text/train.txt", *size.recogniser, "--suite=mixed")
        command("train-recogniser", *text, "--seed=0", "--output", work / "recogniser")


def train(size: Size, data: Path, work: Path, task: str, label: str, seed: str = "0") -> None:
    """Fine-tune one system, and score it on clean and attacked data."""
    system, base, options = system_of(size, label)
    source, test, settings = size.tasks[task]
    base = str(work / "pretrained" / base) if base in size.pretrained else base
    options = [option.replace("=recogniser", f"={work / 'recogniser'}") for option in options]
    named = ("--system", system, "--base", base, "--label", label, "--store", work / "store")
    said = command("finetune", task, "--train", data / source, "--seed", seed, *named, *settings, *options)
    folder = Path(said.partition(": trained;")[0])
    place = (label.replace(" ", "_").replace("%", ""), task, f"seed_{seed}")
    score(folder, work, place, "clean", data / test)
    for suite in conditions(label):
        score(folder, work, place, suite, work / "attacked" / task / suite / Path(test).name)
    measure_sensitivity(folder, data / test, work, place)
    if label == "bert_wordrec":
        attacked = work / "attacked" / task / "charbert_2020"
        files = ("--input", data / test, "--attacked", attacked)
        target = kept(work, "recognisers", task)
        if not target.is_dir():
            command("recogniser-price", folder / "recogniser", "--task", task, *files, "--output", target)


def measure_sensitivity(folder: Path, test: Path, work: Path, place: tuple[str, ...]) -> None:
    """Measure how far words move under `charbert_2020`, unless it is here; of its words the summary alone is kept."""
    record = kept(work, "sensitivity", *place, "sensitivity.json")
    task = place[1]
    if task != "squad_v2" and not record.is_file():
        target = work / "sensitivity" / Path(*place)
        files = ("--input", test, "--attacked", work / "attacked" / task / "charbert_2020")
        command("sensitivity", folder, "--task", task, *files, "--overwrite", "--output", target)
        keep(target / "sensitivity.json", record)


def conditions(label: str) -> tuple[str, ...]:
    """Return the attacks that a system is scored under; of a variant, those that it is there to be asked about."""
    if label in SYSTEMS:
        return SUITES
    return ("charbert_2020", *(name for name in OPERATORS if label.endswith(f"without {name}")))


def score(folder: Path, work: Path, place: tuple[str, ...], condition: str, file: Path) -> None:
    """Evaluate a system on one file, unless its record is here."""
    record = kept(work, "records", *place, condition, "record.json")
    if not record.is_file():
        target = work / "scores" / Path(*place) / condition
        command("evaluate", folder, "--input", file, "--overwrite", "--output", target)
        keep(target / "counts.parquet", record.with_name("counts.parquet"))
        keep(target / "record.json", record)


def run_one(size: Size, data: Path, work: Path, name: str) -> None:
    """Do one step in this process, and add what it took to the steps' times: a stopped step has several lines."""
    kind, *rest = name.split("/")
    started = time.monotonic()
    {"attack": attack, "recogniser": recogniser, "pretrain": pretrain, "train": train}[kind](size, data, work, *rest)
    took = {"step": name, "wall_seconds": time.monotonic() - started, "cpu_seconds": sum(os.times()[:4])}
    with kept(work, "times.jsonl").open("a", encoding="utf-8") as times:
        times.write(json.dumps(took) + "\n")


def run_all(size: str, data: Path, work: Path, workers: int, threads: int) -> bool:
    """Do all steps, `workers` at a time; return whether all went well."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    for folder in ("logs", "numbers"):
        (work / folder).mkdir(parents=True, exist_ok=True)

    def start(job: Job) -> bool:
        with (work / "logs" / f"{job.name.replace('/', '-')}.log").open("a") as log:
            line = [sys.executable, __file__, str(data), str(work), "--size", size, "--job", job.name]
            return subprocess.run(line, env=environment, stdout=log, stderr=log, check=False).returncode == 0

    waiting, done, failed = jobs(SIZES[size]), set[str](), set[str]()
    running: dict[Future[bool], Job] = {}
    with ThreadPoolExecutor(workers) as pool:
        while True:
            ready = [job for job in waiting if done.issuperset(job.after)]
            for job in ready[: workers - len(running)]:
                waiting.remove(job)
                running[pool.submit(start, job)] = job
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                (done if future.result() else failed).add(job.name)
                sys.stdout.write(f"{job.name}: {'done' if job.name in done else 'FAILED, see its log'}\n")
                sys.stdout.flush()
    if not failed and not waiting:
        subprocess.run([sys.executable, PUBLISH, kept(work), SIZES[size].folder], check=True)
        shutil.copy(kept(work, "times.jsonl"), SIZES[size].folder)
    return not failed and not waiting


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--size", choices=SIZES, default="cpu")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--threads", type=int, default=2, help="threads of each worker; part of what decides the result"
    )
    parser.add_argument("--job", help="do this step alone")
    asked = parser.parse_args()
    if asked.job:
        run_one(SIZES[asked.size], asked.data, asked.work, asked.job)
    elif not run_all(asked.size, asked.data, asked.work, asked.workers, asked.threads):
        sys.exit(1)


if __name__ == "__main__":
    main()
