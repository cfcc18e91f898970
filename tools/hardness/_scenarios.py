"""The commands that are stopped: each with the files that it needs and the commands that come before it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

__all__ = ["SCENARIOS", "TRAINED", "Scenario"]

_PREDICTOR = """
def predict(batch, task):
    return [task.labels[len(one["sentence"]) % 2] for one in batch]
"""
_TEXT = "The ferry left the harbour before sunrise.\nNobody had seen the old captain for days.\n" * 20
_ROWS = [f"src\t{number % 2}\t\tThe ferry number {number} left the harbour before sunrise.\n" for number in range(6)]
_MODEL = "mine.py:predict"
_TASK = ("--task", "cola")
_RUN = ("run", "spec.yaml", "--data-dir", ".", "--output", "out", "--store", "store", "--executor", "local")


@dataclass(frozen=True)
class Scenario:
    """A command that is stopped. `before` are run first, whole; `files` are written before that."""

    name: str
    command: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    prepare: Callable[[Path], None] | None = None

    def write(self, box: Path) -> None:
        """Write the files that the commands read."""
        for folder in ("tmp", "home"):
            (box / folder).mkdir(parents=True)
        (box / "mine.py").write_text(_PREDICTOR)
        (box / "in.tsv").write_text("".join(_ROWS))
        (box / "text.txt").write_text(_TEXT)
        _spec(box, systems={"mine": {"predictor": _MODEL}}, tasks={"cola": {"test": "in.tsv"}})
        if self.prepare:
            self.prepare(box)


def _spec(box: Path, **keys: object) -> None:
    (box / "spec.yaml").write_text(yaml.safe_dump({"schema": 1, "suites": ["drop"], **keys}))


def _attack(seed: int, *more: str) -> tuple[str, ...]:
    return ("attack", "cola", "--input=in.tsv", "--suite=drop", f"--seed={seed}", "--output=set", *more)


def _evaluate(*more: str) -> tuple[str, ...]:
    return ("evaluate", _MODEL, *_TASK, "--input=in.tsv", "--output=scored", *more)


def _channel(*more: str) -> tuple[str, ...]:
    return ("train-defence", "channel", "--text=text.txt", "--no-dictionary", "--output=channel", *more)


_SCORED = _evaluate("--suite=drop")
_PRICE = ("defence-price", "channel", *_TASK, "--input=in.tsv", "--attacked=set", "--output=price")
SCENARIOS = {
    one.name: one
    for one in (
        Scenario("run", _RUN),
        Scenario("rerun", _RUN, before=(_RUN,)),
        Scenario("processes", (*_RUN[:-1], "processes", "--workers=2")),
        Scenario("check", ("check", _MODEL, *_TASK, "--input=in.tsv", "--suite=drop", "--output=out", "--store=store",
                           "--executor=local")),
        Scenario("attack", _attack(1)),
        Scenario("attack again", _attack(2, "--overwrite"), before=(_attack(1),)),
        Scenario("verify", ("verify", "set", "--input=in.tsv"), before=(_attack(1),)),
        Scenario("evaluate", _evaluate()),
        Scenario("evaluate again", _evaluate("--limit=5", "--overwrite"), before=(_evaluate(),)),
        Scenario("evaluate on suites", _SCORED),
        Scenario("report", ("report", "scored", "--output=page"), before=(_SCORED,)),
        Scenario("report again", ("report", "scored", "--no-examples", "--output=page"),
                 before=(_SCORED, ("report", "scored", "--output=page"))),
        Scenario("publish", ("publish", "scored", "public"), before=(_SCORED,)),
        Scenario("channel", _channel()),
        Scenario("channel again", _channel("--max-edits=1", "--overwrite"), before=(_channel(),)),
        Scenario("price", _PRICE, before=(_channel(), _attack(1))),
        Scenario("mini", ("mini", "cola", "--output=data")),
    )
}  # fmt: skip


def _base(box: Path) -> None:
    """Write a tiny model with random weights, and a spec that trains it."""
    transformers = importlib.import_module("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    words += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"]
    (box / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer(str(box / "vocab.txt")).save_pretrained(box / "tiny")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.BertConfig(vocab_size=len(words), **sizes)
    transformers.BertModel(config).save_pretrained(box / "tiny")
    (box / "train.tsv").write_text("".join(row.replace("ferry", "steamer") for row in _ROWS))
    task = {"train": "train.tsv", "test": "in.tsv"}
    _spec(box, systems={"bert": {}}, bases=["tiny"], tasks={"cola": task}, finetune={"epochs": 3.0, "batch_size": 2})


_TINY: Sequence[str] = ("cola", "--train=in.tsv", "--base=tiny", "--epochs=1", "--store=store", "--output=system")
_WORDREC = ("train-defence", "wordrec", "--text=text.txt", "--steps=4", "--epochs=1", "--output=wordrec")
TRAINED = {
    one.name: one
    for one in (
        Scenario("train", (*_RUN, "--save-seconds=0"), prepare=_base),
        Scenario("finetune", ("finetune", *_TINY), prepare=_base),
        Scenario("finetune again", ("finetune", *_TINY, "--seed=1", "--overwrite"), (("finetune", *_TINY),), _base),
        Scenario("pretrain", ("pretrain", "bert_mlm", "--text=text.txt", "--heldout=text.txt", "--base=tiny",
                              "--steps=4", "--output=encoder", "--store=store"), prepare=_base),
        Scenario("wordrec", _WORDREC),
        Scenario("fragility", ("fragility", "tiny", "--data=mini", "--output=broken"), prepare=_base),
    )
}  # fmt: skip
"""Those that need torch."""
