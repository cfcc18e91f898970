"""Check an installation without any extra: each command works, or says in one message which extra to install.

Run it with the Python of that installation: `python tools/core_only.py`. Nothing is written outside a temporary folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TEXT = "The harbour was quiet, and nobody had seen the boat for days.\n"
RESULTS = Path(__file__).resolve().parents[1] / "reports/results/first_comparison"
WORKING = (
    "list",
    "validate --all",
    "mini mrpc --output mini",
    "attack mrpc --data mini --suite drop --output attacked",
    "verify attacked --data mini",
    "show attacked -n 1",
    "run demo --plan",
    "check rule.py:predict --task mrpc --data mini --suite drop --limit 20 --executor local --output checked",
    "train-defence channel --text plain.txt --no-dictionary --output own_channel",
    "defence-price own_channel --task mrpc --attacked attacked --data mini",
    f"compare {RESULTS} {RESULTS}",
    f"report {RESULTS} --no-examples --output page",
)
"""Commands that need no extra; later ones read what earlier ones wrote."""
REFUSED = {
    "attack mrpc --data mini --suite human_typos --output out": "defences",
    "finetune mrpc --data mini --base model --output out": "models",
    "finetune mrpc --data mini --output out": "offline",
    "evaluate system --task cola --data mini": "models",
    "check model --task mrpc --labels not_equivalent,equivalent --data mini --output out": "models",
    "sensitivity model --task mrpc --attacked attacked --data mini": "models",
    "fragility model --data mini": "models",
    "pretrain bert_mlm --text plain.txt --base model --output out": "models",
    "convert model --output out": "models",
    "train-defence wordrec --text plain.txt --output out": "models",
    "defence-price recogniser --task mrpc --attacked attacked --data mini": "models",
    "train-defence channel --text plain.txt --output out": "defences",
    "defence-price channel --task mrpc --attacked attacked --data mini": "defences",
    "defence-price spell --task mrpc --attacked attacked --data mini": "defences",
    "check rule.py:predict --task mrpc --data mini --defence spell --executor local --output out": "defences",
    "run demo --executor local": "offline",
    "run plain.yaml --executor local": "models",
    "evaluate openai:tiny --endpoint http://127.0.0.1:9/v1 --task mrpc --data mini": "llm",
    "check openai:tiny --endpoint http://127.0.0.1:9/v1 --task mrpc --data mini --limit 9 --output out": "llm",
    "run demo --executor ray": "ray",
    "run demo --tensorboard": "tensorboard",
}
"""Commands that need an extra, and which."""


def main() -> None:
    """Run all commands. Raises SystemExit with what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder))
        wrong = [line for command in WORKING for line in _works(command, Path(folder))]
        wrong += [line for command, extra in REFUSED.items() for line in _refused(command, extra, Path(folder))]
    if wrong:
        raise SystemExit("\n".join(wrong))
    sys.stdout.write(f"{len(WORKING)} commands work without an extra, {len(REFUSED)} name the one they need\n")


def write_inputs(folder: Path) -> None:
    """Write what the commands read: plain text, a predictor, a benchmark, and folders of a model and a recogniser."""
    (folder / "plain.txt").write_text(TEXT * 200)
    (folder / "rule.py").write_text("def predict(batch, task):\n    return [task.labels[0] for example in batch]\n")
    model, sizes = folder / "model", {"hidden_size": 8, "num_hidden_layers": 1, "max_position_embeddings": 64}
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"model_type": "bert", **sizes}))
    spec = {"systems": {"bert": {}}, "tasks": {"mrpc": {}}, "data": "mini", "bases": [str(model)], "suites": ["drop"]}
    (folder / "plain.yaml").write_text(json.dumps({"schema": 1, **spec}))
    (model / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    _write_recogniser(folder / "recogniser")
    header = json.dumps({"weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (model / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))


def _write_recogniser(folder: Path) -> None:
    sizes = {"hidden_size": 1, "max_words": 5, "characters": ["a"], "words": ["a"], "splitter": "treebank"}
    sizes |= {"lower": True, "keep_case": True, "leave_numbers_and_punctuation": True, "back_off": "pass_through"}
    folder.mkdir()
    (folder / "recogniser.safetensors").write_bytes(b"weights")
    file = {"schema": 1, **sizes, "weights_sha256": hashlib.sha256(b"weights").hexdigest()}
    (folder / "recogniser.json").write_text(json.dumps(file))


def _run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "robustbench_char.cli.main", *command.split()]
    return subprocess.run(line, cwd=folder, env={**os.environ, "HOME": str(folder)}, capture_output=True, text=True)


def _works(command: str, folder: Path) -> list[str]:
    done = _run(command, folder)
    return [] if done.returncode == 0 else [f"{command}: exit code {done.returncode}\n{done.stderr}"]


def _refused(command: str, extra: str, folder: Path) -> list[str]:
    """Return what is wrong with the refusal: it is one line with the extra, exit code 2, and nothing is written."""
    done, line = _run(command, folder), f"pip install 'robustbench-char[{extra}]'"
    right = done.returncode == 2 and line in done.stderr and done.stderr.count("\n") == 1
    right = right and not done.stdout and not (folder / "out").exists()
    return [] if right else [f"{command}: exit code {done.returncode}, expected 2 and `{line}`\n{done.stderr}"]


if __name__ == "__main__":
    main()
