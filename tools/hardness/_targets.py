"""What is mutated and the commands that read it: a draw for each case."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from robustbench_char.common import InputError
from tools.hardness._round_trip import written

__all__ = ["Target", "draw"]

SHARED = Path(__file__).resolve().parents[3] / "shared/data"
"""Real files, where there are some."""
_REAL = {
    "cola": "glue/CoLA/dev.tsv", "mrpc": "glue/MRPC/dev.tsv", "qnli": "glue/QNLI/dev.tsv",
    "conll2003": "conll2003/valid.txt", "squad_v1": "squad/dev-v1.1.json", "squad_v2": "squad/dev-v2.0.json",
}  # fmt: skip
_SUITES = ("drop", "charbert_2020", "keyboard", "mixed", "two_edits", "swap", "ends", "case")


class Target(NamedTuple):
    """Files to lay out (bytes, or what to copy), those to mutate (a folder: any file in it), the commands in turn, what
    they may write, their exit codes, and what checks that all was right where all ended with 0.
    """

    name: str
    files: dict[str, bytes | Path]
    mutated: Sequence[str]
    commands: Sequence[Sequence[str]]
    outputs: Sequence[str] = ("out",)
    codes: frozenset[int] = frozenset({0, 2})
    right: Callable[[Path], str | None] = lambda _: None


def draw(rng: Random, materials: Path) -> Target:
    """Return the target of one case."""
    kinds: list[Callable[[Random, Path], Target]] = [
        *[_data] * 10, _trees, _operations, _task, _suite, _suite, _spec, _prompt, _set, _set, _set, _records, _records,
        _stored, _model, _model, _system, _defence, _base,
    ]  # fmt: skip
    return rng.choice(kinds)(rng, materials)


def _command(text: str) -> list[str]:
    return text.split()


# Data files.


@cache
def _source(task: str, real: bool) -> tuple[str, str]:
    """Return name and text of a file of a task."""
    from robustbench_char.tasks.sources import mini_path

    path = SHARED / _REAL[task] if real else mini_path(task, "dev")
    return path.name, path.read_text(encoding="utf-8")


def excerpt(task: str, rng: Random) -> tuple[str, str]:
    """Return name and text of a few examples of a real file, or of mini."""
    real = task in _REAL and (SHARED / _REAL[task]).is_file() and rng.random() < 0.7
    name, text = _source(task, real)
    if name.endswith(".json"):
        value = json.loads(text)
        article = rng.choice(value["data"])
        article["paragraphs"] = rng.sample(article["paragraphs"], min(2, len(article["paragraphs"])))
        return name, json.dumps(value | {"data": [article]}, ensure_ascii=rng.random() < 0.5)
    if task in ("conll2003", "ptb_pos"):
        sentences = text.split("\n\n")
        at = rng.randrange(len(sentences) - 4)
        return name, "\n\n".join(sentences[at : at + 3]) + "\n\n"
    header, *lines = text.splitlines(keepends=True)
    at = rng.randrange(len(lines) - 8)
    return name, ("" if task == "cola" else header) + "".join(lines[at : at + 6])


def _as_table(task: str, name: str, text: str, suffix: str, folder: Path) -> bytes:
    """Return data as a table in the layout of the hub."""
    from robustbench_char.tasks.formats import open_native
    from robustbench_char.tasks.formats._rows import example_row
    from robustbench_char.tasks.formats.table import write_table
    from robustbench_char.tasks.registry import get_task

    source, record = folder / name, get_task(task)
    source.write_text(text, encoding="utf-8", newline="")
    examples = list(open_native(record, source).examples())
    if suffix != ".csv":
        write_table(record, folder / f"table{suffix}", examples)
        return (folder / f"table{suffix}").read_bytes()
    rows = [example_row(record, example) for example in examples]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _data(rng: Random, materials: Path) -> Target:
    task = rng.choice(("cola", "mrpc", "qqp", "qnli", "conll2003", "ptb_pos", "squad_v1", "squad_v2"))
    (name, text), kind = excerpt(task, rng), rng.choice(("native", "native", "csv", "jsonl", "parquet"))
    if kind == "csv" and task not in ("cola", "mrpc", "qqp", "qnli"):
        kind = "native"
    data, name = text.encode(), f"data.{name.rpartition('.')[2]}"
    if kind != "native":
        scratch = materials.parent / "scratch"
        scratch.mkdir(exist_ok=True)
        with suppress(InputError):  # a few sentences of numbers alone are no sentences, and stay as they are
            data, name = _as_table(task, name, text, f".{kind}", scratch), f"data.{kind}"
    suite, seed = rng.choice(_SUITES), rng.randrange(100)
    commands = [
        f"attack {task} --input {name} --suite {suite} --seed {seed} --output out",
        f"verify out --input {name}",
        "show out -n 2",
    ]
    return Target(
        f"{kind} {task}",
        {name: data},
        [name],
        list(map(_command, commands)),
        right=lambda work: _same(work / name, task),
    )


def _same(path: Path, task: str) -> str | None:
    """Return what is wrong with a file that was accepted, or None: it has to come back as it was."""
    from robustbench_char.tasks.formats import open_native
    from robustbench_char.tasks.registry import get_task

    after = written(open_native(get_task(task), path))
    return None if after == path.read_bytes() else "other bytes are written than were read"


def _trees(rng: Random, _: Path) -> Target:
    real = sorted((SHARED / "ptb/wsj/00").glob("*.mrg"))
    tree = b"( (S (NP-SBJ (DT The) (NN boat)) (VP (VBD was) (ADJP (JJ late\\/slow)) (-NONE- *)) (. .)) )\n"
    data = rng.choice(real).read_bytes()[:3000].rpartition(b"\n( ")[0] + b"\n" if real and rng.random() < 0.7 else tree
    commands = ["attack ptb_pos --data-dir wsj --suite drop --output out", "verify out --data-dir wsj"]
    return Target(
        "trees", {"wsj/00/wsj_0001.mrg": data or tree}, ["wsj/00/wsj_0001.mrg"], list(map(_command, commands))
    )


def _operations(rng: Random, materials: Path) -> Target:
    files: dict[str, bytes | Path] = {
        "ops.txt": materials / "operations.txt",
        "valid.txt": materials / "clean-conll2003/valid.txt",
    }
    commands = ["attack conll2003 --input valid.txt --operations ops.txt --suite operations --output out",
                "verify out --input valid.txt", "show out"]  # fmt: skip
    return Target("operations", files, ["ops.txt"], list(map(_command, commands)))


# Declarations.


def _task(rng: Random, materials: Path) -> Target:
    files: dict[str, bytes | Path] = {name: materials / name for name in ("task.yaml", "data.tsv")}
    commands = [
        "validate task.yaml",
        "attack task.yaml --input data.tsv --suite drop --output out",
        "verify out --input data.tsv",
    ]
    return Target("task", files, ["task.yaml"], list(map(_command, commands)))


def _suite(rng: Random, materials: Path) -> Target:
    from robustbench_char.common.files import shipped

    chosen = rng.choice([materials / "suite.yaml", *shipped("attacks").values()])
    files: dict[str, bytes | Path] = {"suite.yaml": chosen, "data.tsv": materials / "clean-cola/dev.tsv"}
    commands = ["validate suite.yaml", "attack cola --input data.tsv --suite suite.yaml --output out",
                "verify out --input data.tsv",
                "show out -n 2"]  # fmt: skip
    return Target("suite", files, ["suite.yaml"], list(map(_command, commands)))


def _spec(rng: Random, materials: Path) -> Target:
    from robustbench_char.common.files import shipped

    chosen = rng.choice([materials / "spec.yaml", *shipped("benchmarks/suites").values()])
    files: dict[str, bytes | Path] = {"spec.yaml": chosen, "rule.py": materials / "rule.py"}
    commands = ["validate spec.yaml", "run spec.yaml --plan --output out --store store"]
    return Target("spec", files, ["spec.yaml"], list(map(_command, commands)), outputs=("out", "store"))


def _prompt(rng: Random, materials: Path) -> Target:
    chosen = rng.choice(sorted(materials.glob("prompt-*.yaml")))
    return Target("prompt", {"prompt.yaml": chosen}, ["prompt.yaml"], [["validate", "prompt.yaml"]])


# What this program wrote.


def _set(rng: Random, materials: Path) -> Target:
    task = rng.choice(("cola", "squad_v2", "conll2003"))
    clean = next((materials / f"clean-{task}").iterdir())
    files: dict[str, bytes | Path] = {
        "set": materials / f"set-{task}",
        clean.name: clean,
        "rule.py": materials / "rule.py",
    }
    commands = [f"verify set --input {clean.name}"]
    if rng.random() < 0.5:
        others = [f"defence-price channel --task {task} --attacked set --input {clean.name} --output out"]
        others += [f"evaluate --predictor rule.py:predict --task cola --input set/{clean.name} --output out"] * (
            task == "cola"
        )
        files["channel"] = materials / "channel"
        commands = ["show set --all", rng.choice(others)]
    original = {path.name: path for path in (materials / f"set-{task}").iterdir()}
    right = (lambda work: _unchanged(work / "set", original)) if commands[0].startswith("verify") else (lambda _: None)
    return Target(f"set {task}", files, ["set"], list(map(_command, commands)), right=right)


def _unchanged(folder: Path, original: dict[str, Path]) -> str | None:
    """Return what `verify` should have seen: another ledger, another attacked file, other numbers in the manifest."""
    import pyarrow.parquet as pq

    for name, path in original.items():
        other = folder / name
        if path.suffix == ".parquet" and not pq.read_table(path).equals(pq.read_table(other)):
            return f"{name} holds other rows, and was verified"
        if path.suffix not in (".json", ".parquet") and path.read_bytes() != other.read_bytes():
            return f"{name} holds other bytes, and was verified"
    one, two = (
        json.loads(path.read_text(encoding="utf-8")) for path in (original["manifest.json"], folder / "manifest.json")
    )
    different = [key for key in one if key not in _SAID and one[key] != two.get(key)]
    return f"the manifest has another {different[0]}, and was verified" if different else None


_SAID = {"provenance", "seed", "counts", "suite_sha256", "suite", "task_record", "task", "fields", "strength", "input"}
"""What a manifest says that only another attack could tell."""


def _records(rng: Random, materials: Path) -> Target:
    files: dict[str, bytes | Path] = {"records": materials / "records", "other": materials / "records"}
    commands = ["compare records other"] + ["report records --output out"] * (rng.random() < 0.1)
    return Target("records", files, ["records"], list(map(_command, commands)), codes=frozenset({0, 1, 2}))


def _stored(rng: Random, materials: Path) -> Target:
    files: dict[str, bytes | Path] = {"run": materials / "run", "store": materials / "store"}
    data = next((materials / "clean-cola").iterdir())
    command = f"check {materials}/rule.py:predict --input {data} --task cola --suite drop --executor local"
    return Target("stored", files, ["store", "store", "run"], [_command(f"{command} --output run --store store")],
                  ("run", "store"), frozenset({0, 1, 2}),
                  right=lambda work: _same_scores(work / "run/records", materials / "run/records"))  # fmt: skip


def _same_scores(folder: Path, original: Path) -> str | None:
    for path in original.rglob("record.json"):
        one, two = (
            json.loads(each.read_text(encoding="utf-8")) for each in (path, folder / path.relative_to(original))
        )
        if any(one[key] != two[key] for key in ("scores", "headline", "task", "system")):
            return f"{path.relative_to(original)}: the finished run has other results"
    return None


# Models.


def _evaluated(name: str, materials: Path, folder: str, command: str, *others: str) -> Target:
    files: dict[str, bytes | Path] = {one: materials / one for one in (folder, *others)}
    files["data.tsv"] = materials / "clean-cola/dev.tsv"
    return Target(name, files, [folder], [_command(command)], right=_scored)


def _scored(work: Path) -> str | None:
    path = work / "out/record.json"
    scores: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["scores"] if path.is_file() else {}
    return None if all(-100 <= score <= 100 for score in scores.values()) else f"the scores {scores}"


def _model(rng: Random, materials: Path) -> Target:
    return _evaluated("model", materials, "model", "evaluate model --task cola --input data.tsv --output out")


def _system(rng: Random, materials: Path) -> Target:
    return _evaluated("system", materials, "system", "evaluate system --input data.tsv --output out")


def _base(rng: Random, materials: Path) -> Target:
    options = "--train data.tsv --epochs 0 --max-length 32 --output out --store store"
    made = _evaluated("base", materials, "base", f"finetune cola --base base {options}")
    return made._replace(outputs=("out", "store"))


def _defence(rng: Random, materials: Path) -> Target:
    kind = rng.choice(("channel", "channel", "wordrec"))
    command = f"evaluate model --task cola --input data.tsv --defence {kind} --output out"
    return _evaluated(kind, materials, kind, command, "model")
