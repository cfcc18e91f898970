"""Fixtures of the training tests: a tiny base, one small learnable task a family, files in memory."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

if importlib.util.find_spec("torch") is None:  # the extra `models` is not installed
    collect_ignore_glob = ["test_*.py"]

from robustbench_char.cli.main import app
from robustbench_char.tasks.base import Answer, Example, Task

COLOURS = ("red", "blue", "green", "grey", "black", "white")
THINGS = ("house", "boat", "door", "coat", "hat", "sky", "lamp", "desk")
PEOPLE = ("anna", "karl", "maria", "peter", "olga")
PLACES = ("berlin", "paris", "london", "oslo", "madrid")


@dataclass(frozen=True)
class MemoryFile:
    """A native file whose examples are in memory; its path is a real file, for hashes."""

    path: Path
    held: tuple[Example, ...]

    def examples(self) -> Iterator[Example]:
        return iter(self.held)

    def rewrite(self, out: Any, attacked: Any) -> None:
        raise AssertionError("not used")

    def source(self, example: Example, field: str, start: int, end: int) -> str | None:
        raise AssertionError("not used")


def _task(name: str, family: Any, fields: tuple[str, ...], metric: str, headline: str, labels: Any = None) -> Task:
    return Task(
        name=name,
        title=name,
        family=family,
        fields=fields,
        labels=labels,
        metric=metric,
        headline=headline,
        format="memory",
    )


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Models this small only wait for each other's threads."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tasks() -> dict[str, Task]:
    return {
        "classification": _task("liking", "classification", ("sentence",), "accuracy", "accuracy", ("no", "yes")),
        "tagging": _task("names", "tagging", ("tokens",), "entity_f1", "f1"),
        "question_answering": _task("colours", "question_answering", ("question", "context"), "squad_v2", "f1"),
    }


def _liking(row: int) -> Example:
    good = row % 2 == 0
    word = (("good", "great", "fine") if good else ("bad", "poor", "awful"))[row % 3]
    thing = ("film", "book", "meal", "walk")[(row // 2) % 4]
    text = f"the {thing} was {'very ' * (row % 5)}{word}"
    return Example(row, f"liking-{row}", f"k{row}", {"sentence": text}, "yes" if good else "no")


def _names(row: int) -> Example:
    person, place = PEOPLE[row % 5], PLACES[(row // 2) % 5]
    tokens = (*("very",) * (row % 4), person, "lives", "in", place) if row % 3 else ("the", "hat", "of", person, "went")
    tags = tuple("B-PER" if word in PEOPLE else "B-LOC" if word in PLACES else "O" for word in tokens)
    return Example(row, f"names-{row}", f"k{row}", {"tokens": tokens}, tags)


def _colours(row: int) -> Example:
    colour, thing = COLOURS[row % 6], THINGS[row % 8]
    answerable = row % 4 != 0
    context = f"{'very ' * (row % 3)}anna sees the {thing} in {colour}" if answerable else f"karl went to the {thing}"
    answers = (Answer(context.index(colour), colour),) if answerable else ()
    fields = {"question": f"what colour is the {thing}", "context": context}
    return Example(row, f"q-{row}", f"k{row}", fields, answers=answers, answerable=answerable, context_key=f"c{row}")


_MAKERS: dict[str, Callable[[int], Example]] = {
    "classification": _liking,
    "tagging": _names,
    "question_answering": _colours,
}


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., MemoryFile]:
    """Return a function from family and number of examples to a file; given examples replace the made-up ones."""

    def make(
        family: str, count: int = 24, *, name: str = "data.txt", held: tuple[Example, ...] | None = None
    ) -> MemoryFile:
        examples = tuple(_MAKERS[family](row) for row in range(count)) if held is None else held
        (tmp_path / name).write_text(repr(examples))
        return MemoryFile(tmp_path / name, examples)

    return make


@pytest.fixture(scope="session")
def tiny(load_module: Callable[[Path], ModuleType]) -> ModuleType:
    """Return the module that makes tiny base checkpoints."""
    path = Path(__file__).parent.parent / "models" / "tiny_models.py"
    return load_module(path)


@pytest.fixture(scope="session")
def tiny_base(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of a tiny BERT checkpoint that no test may change."""
    return str(tiny.bert_base(tmp_path_factory.mktemp("bases") / "tiny-bert"))


@pytest.fixture(scope="session")
def roberta(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of a tiny RoBERTa checkpoint that no test may change."""
    return str(tiny.roberta_base(tmp_path_factory.mktemp("bases") / "tiny-roberta"))


@pytest.fixture
def train_tiny(tiny_base: str, tasks: dict[str, Task], tmp_path: Path) -> Callable[..., Path]:
    """Return a function that fine-tunes the tiny base on a file and returns the folder."""
    from robustbench_char.training.finetune import finetune

    def train(family: str, file: MemoryFile, *, name: str = "system", **options: Any) -> Path:
        chosen = {"epochs": 4, "learning_rate": 3e-3, "batch_size": 8, "max_length": 32, "doc_stride": 4, "bf16": False}
        chosen |= {"base": tiny_base, "store": tmp_path / "store", "progress": False, **options}
        return finetune(tasks[family], train=file, output=tmp_path / name, **chosen)

    return train


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Return a small text with words that predict one another, to pre-train on."""
    people, things, places = PEOPLE[:3], ("house", "boat", "door", "lamp"), PLACES[:3]
    lines = [
        f"{people[row % 3]} sees the great {things[row % 4]} in {places[row % 3]} and the {things[(row + 1) % 4]}"
        for row in range(240)
    ]
    (tmp_path / "text.txt").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path / "text.txt"


@pytest.fixture
def pretrain_tiny(tiny_base: str, text: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that pre-trains the tiny base and returns the folder."""
    from robustbench_char.training.pretraining.run import pretrain

    def run(system: str, *, name: str = "out", **options: Any) -> Path:
        chosen: dict[str, Any] = {
            "base": tiny_base,
            "texts": [text],
            "suite": "mixed",
            "noise": 0.3,
            "mask": 0.15,
            "steps": 8,
            "batch_size": 4,
            "block_size": 16,
            "learning_rate": 3e-3,
            "new_learning_rate": 3e-3,
            "bf16": False,
            "heldout_blocks": 2,
            "store": tmp_path / "store",
            "progress": False,
        }
        return pretrain(system, output=tmp_path / name, **(chosen | options))

    return run


_SENTENCES = ("anna lives in oslo", "the great house was not in berlin , karl said", "peter sees a boat", "a of is")
_NER = "\n\n".join("\n".join(f"{word} O" for word in sentence.split()) for sentence in _SENTENCES) + "\n"
_QNLI = "index\tquestion\tsentence\tlabel\n" + "".join(
    f"{row}\twhat is {text} ?\tThe  answer, said karl: {text}!\tentailment\n" for row, text in enumerate(_SENTENCES)
)


@pytest.fixture(scope="module", params=["conll2003", "qnli"])
def attacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path]:
    """Return a task, its clean file, and the folder of its attack."""
    folder = tmp_path_factory.mktemp(request.param)
    clean = folder / ("test.txt" if request.param == "conll2003" else "dev.tsv")
    clean.write_text(_NER if request.param == "conll2003" else _QNLI, encoding="utf-8")
    command = ["attack", request.param, "--input", str(clean), "--suite", "mixed", "--output", str(folder / "attacked")]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    return request.param, clean, folder / "attacked"


@pytest.fixture(scope="session")
def ner_text() -> str:
    """The sentences of `attacked` as a file of the task conll2003."""
    return _NER
