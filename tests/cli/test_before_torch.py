"""What is wrong with files, names and options is said before torch is loaded: here it cannot be."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import mini_path

pytestmark = pytest.mark.models

DRIVER = """
import contextlib, io, json, sys
sys.modules.update(dict.fromkeys(("torch", "transformers", "accelerate", "tokenizers")))
from robustbench_char.cli.main import main
for line in sys.stdin:
    out, sys.argv = io.StringIO(), ["robustbench-char", *json.loads(line)]
    code = 0
    with contextlib.redirect_stderr(out), contextlib.redirect_stdout(out):
        try:
            main()
        except SystemExit as stopped:
            code = stopped.code
    print(json.dumps([code, out.getvalue()]))
"""
FINETUNE = "finetune mrpc --base model --output out"
PRETRAIN = "pretrain bert_mlm --base model --output out"
SENSITIVITY = "sensitivity model --task mrpc"
CASES = {
    f"{FINETUNE} --train none.tsv": "expected data of the task mrpc. Check the path given to --train.",
    f"{FINETUNE} --train page.tsv": "page.tsv: found an HTML page",
    f"{FINETUNE} --train folder": "folder: found a folder; expected a file. Give --train one",
    f"{FINETUNE} --train short.tsv": "short.tsv:2: found",
    f"{FINETUNE}": "--train: found no data; expected one source of data",
    f"{FINETUNE} --data mini --system bertt": "--system: found unknown system 'bertt'",
    f"{FINETUNE} --data mini --recogniser none": "--defence: found no folder none; expected a folder",
    f"{FINETUNE} --data mini --defence none": "--defence: found no folder none; expected a folder",
    f"{FINETUNE} --data mini --augment dropp": "--augment: found unknown name 'dropp'",
    f"{FINETUNE} --data mini --batch-size 0": "--batch-size: found 0; expected at least 1",
    f"{FINETUNE} --data mini --max-length 9999": "--max-length: found 9999; expected at least 8 and at most",
    f"{FINETUNE} --data mini --layers 99": "--layers: found 99; expected a number from 1 to",
    "finetune mrpc --data mini --base model --output full": "full: found an output folder with other content",
    "finetune mrpc --data mini --base nowhere/at/all": "nowhere/at/all: found no such folder",
    "finetune mprc --data mini": "Did you mean 'mrpc'?",
    f"{PRETRAIN} --text none.txt": "none.txt: found no such file; expected an existing file. Check the path",
    f"{PRETRAIN} --text text.txt --heldout folder": "folder: found a folder; expected a file. Give --heldout one",
    f"{PRETRAIN} --text text.txt --layers 99": "--layers: found 99",
    "pretrain bert --text text.txt --output out": "SYSTEM: found 'bert'; expected one of bert_mlm, advbert, charbert",
    "convert none --output out": "none: found no such folder; expected the folder of a CharBERT checkpoint",
    "convert folder --output out": "folder: found no config.json; expected the folder of a CharBERT checkpoint",
    "convert model --output out --char-vocab none.txt": "none.txt: found no such file",
    "train-defence wordrec --output out": "--text: found neither text nor a task; expected one source of words.",
    "train-defence wordrec --text text.txt --task mrpc --data mini --output out": "--text: found both plain text",
    "train-defence wordrec --text none.txt --output out": "none.txt: found no such file",
    "train-defence wordrec --text text.txt --suite dropp --output out": "--suite: found unknown name 'dropp'",
    "train-defence wordrec --task mrpc --input none.tsv --output out": "none.tsv: found no such file",
    "train-defence wordrec --text text.txt --output full": "full: found an output folder with other content",
    "recogniser-price none --task mrpc --attacked set --data mini": "DEFENCE: found no folder none",
    "defence-price spel --task mrpc --attacked set --data mini": "Did you mean 'spell'?",
    "train-recogniser --output out": "--text: found neither text nor a task",
    "train-defence word --output out": "KIND: found unknown kind of defence 'word'; expected one of wordrec",
    "evaluate system --input none.tsv": "none.tsv: found no such file",
    "evaluate model --task mrpc --input none.tsv": "none.tsv: found no such file",
    "evaluate model --task mprc --input none.tsv": "Did you mean 'mrpc'?",
    "evaluate folder --data mini": "folder: found neither system.json nor config.json",
    "evaluate model --task mrpc --data mini --suite dropp": "--suite: found unknown name 'dropp'",
    "check model --task mrpc --input none.tsv --output out": "none.tsv",
    "check model --task mprc --data mini --output out": "Did you mean 'mrpc'?",
    "check model --task mrpc --data mini --suite dropp --output out": "Did you mean 'drop'?",
    "check folder --task mrpc --data mini --output out": "neither system.json nor config.json",
    "check --task mrpc --data mini --output out none/at/all": "none/at/all: found no such folder",
    "check model --data mini --output out": "--task: found none",
    f"{SENSITIVITY} --attacked set --input none.tsv": "none.tsv: found no such file",
    f"{SENSITIVITY} --attacked none --data mini": "none: found no manifest.json",
    f"{SENSITIVITY} --attacked set --data mini --split train": "--input: found another file than the one",
    "sensitivity none/at/all --task mrpc --attacked set --data mini": "none/at/all: found no such folder",
    "fragility model --input none.txt": "none.txt: found no such file",
    "fragility model --task mrpc --data mini": "--task: found mrpc, a task of classification; expected a tagging task",
    "fragility none/at/all --data mini": "none/at/all: found no such folder",
    "run spec.yaml --data-dir .": "none.tsv, no such file or folder",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, shared_bert: Path) -> Path:
    folder = tmp_path_factory.mktemp("before_torch")
    shutil.copytree(shared_bert, folder / "model")
    (folder / "system").mkdir()
    task = get_task("mrpc").model_dump(mode="json", by_alias=True)
    (folder / "system" / "system.json").write_text(json.dumps({"task": task}))
    (folder / "folder").mkdir()
    (folder / "full").mkdir()
    (folder / "full" / "notes.txt").write_text("Mine.")
    (folder / "text.txt").write_text("The harbour was quiet.\n" * 50)
    (folder / "page.tsv").write_text("<!DOCTYPE html>\n<html></html>\n")
    (folder / "short.tsv").write_text(mini_path("mrpc", "dev").read_text().splitlines()[0] + "\n1\tone\n")
    spec = "schema: 1\ndata: files\nbases: [model]\nsystems: {bert: {}}\nsuites: [drop]\n"
    (folder / "spec.yaml").write_text(f"{spec}tasks: {{mrpc: {{train: none.tsv, test: none.tsv}}}}\n")
    return folder


@pytest.fixture(scope="module")
def answers(folder: Path) -> dict[str, tuple[int, str]]:
    """Return exit code and message of each command, all run by one process that has no torch."""
    first = "attack mrpc --data mini --suite drop --output set"
    lines = "".join(f"{json.dumps(command.split())}\n" for command in (first, *CASES))
    done = subprocess.run(
        [sys.executable, "-c", DRIVER], input=lines, cwd=folder, capture_output=True, text=True, check=True
    )
    found = [tuple(json.loads(line)) for line in done.stdout.splitlines()]
    assert found[0][0] == 0, found[0]
    return dict(zip(CASES, found[1:], strict=True))


@pytest.mark.parametrize("command", CASES)
def test_the_mistake_is_named(command: str, answers: dict[str, tuple[int, str]]) -> None:
    code, message = answers[command]
    assert CASES[command] in message
    assert code == 2
    assert message.splitlines()[-1].startswith("error: ")


def test_nothing_was_written(folder: Path, answers: dict[str, tuple[int, str]]) -> None:
    assert answers
    assert not (folder / "out").exists()
