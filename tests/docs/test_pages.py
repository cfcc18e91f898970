"""All blocks of all documents run, in one folder, in the order in which a reader would come to them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fixtures.chat_server import ChatServer, from_gold, prompt_of
from fixtures.pages import LANGUAGES, NOT_RUN, ROOT, Reader, blocks_of, slow_blocks

import robustbench_char as rbc
from robustbench_char.tasks.sources import MINI_TEXT, write_mini

PAGES = (
    "README.md",
    "docs/your_model.md",
    "docs/chat_models.md",
    "docs/tasks.md",
    "attacks/README.md",
    "docs/api.md",
    "docs/worst_case.md",
    "docs/defences.md",
    "docs/systems.md",
    "docs/benchmarks.md",
    "docs/metrics.md",
    "reports/results/README.md",
    "reports/reference/README.md",
    "docs/extending.md",
    "docs/ray.md",
    "docs/citing.md",
    "benchmarks/README.md",
    "CONTRIBUTING.md",
)
"""Every page with a block, as a reader of the table in README.md would go through them."""
RTE = "index\tsentence1\tsentence2\tlabel\n0\tIt rained all day.\tIt was dry.\tnot_entailment\n"


def all_pages() -> set[str]:
    paths = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("reports/**/README.md")]
    return {path.relative_to(ROOT).as_posix() for path in paths}


def furnish(folder: Path) -> None:
    """Put a user's files into a folder. train.txt is short, as it is read often."""
    for task in ("conll2003", "qnli"):
        for path in write_mini(task, folder / "mini" / task):
            (folder / path.name).write_bytes(path.read_bytes())
    sentences = (folder / "train.txt").read_text(encoding="utf-8").split("\n\n")
    (folder / "train.txt").write_text("\n\n".join(sentences[:200]) + "\n", encoding="utf-8")
    for name, lines in {"corpus.txt": slice(0, 400), "heldout.txt": slice(400, 440)}.items():
        text = MINI_TEXT.read_text(encoding="utf-8").splitlines()[lines]
        (folder / name).write_text("\n".join(text) + "\n", encoding="utf-8")
    (folder / "rte-dev.tsv").write_text(RTE, encoding="utf-8")
    (folder / "numbered.txt").write_text("1\tGreta\tB-PER\tO\n2\tlaughed\tO\tO\n", encoding="utf-8")
    (folder / "reports").symlink_to(ROOT / "reports")


def add_models(folder: Path, tiny: ModuleType) -> None:
    """Put a user's models into a folder: one that has learnt, as a Trainer saves it, and two with random weights."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    made = importlib.import_module("fixtures.fine_tuned").fine_tuned
    made(folder / "my-nli", "Bert", "classification", ("LABEL_0", "LABEL_1"))
    tiny.canine_base(folder / "tiny-canine")
    rbc.finetune(
        "conll2003", data="mini", base="minilm", limit=600, epochs=2, learning_rate=3e-4, batch_size=8,
        precision="fp32", output=folder / ".home" / "ner", progress=False,
    )  # fmt: skip
    for kind in (AutoModelForTokenClassification, AutoTokenizer):
        kind.from_pretrained(folder / ".home" / "ner").save_pretrained(folder / "my-model")


def chat_answer() -> Callable[[dict[str, Any]], str]:
    """Return how the chat model of the documents answers: rightly, whatever typos the text has."""
    first = {
        name: list(islice(rbc.load(task=name, data="mini", split=split).examples(), 40))
        for name, split in (("conll2003", "test"), ("qnli", "dev"))
    }
    tagged, classified = (from_gold(rbc.task(name), examples) for name, examples in first.items())
    return lambda request: (tagged if "JSON" in prompt_of(request) else classified)(request)


@contextmanager
def inside(folder: Path) -> Iterator[Path]:
    """Enter a folder; what is kept for the user goes into it too."""
    furnish(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
            patch.setenv(name, str(folder / ".home"))
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def quick_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Enter the one folder of the quick blocks."""
    with inside(tmp_path_factory.mktemp("quick")) as folder:
        yield folder


@pytest.fixture(scope="module")
def whole_folder(tmp_path_factory: pytest.TempPathFactory, tiny: ModuleType) -> Iterator[Path]:
    """Enter the one folder of all blocks."""
    with inside(tmp_path_factory.mktemp("whole")) as folder:
        add_models(folder, tiny)
        yield folder


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch, chat_server: ChatServer) -> Reader:
    """Return a reader that has a chat model, and a small model in place of one of the hub."""
    chat_server.answer = chat_answer()
    return Reader(monkeypatch, {"http://127.0.0.1:8000/v1": chat_server.url, "google/canine-s": "tiny-canine"})


def test_every_page_with_blocks_is_run() -> None:
    assert {page for page in all_pages() if blocks_of(page)} == set(PAGES)


def test_every_block_has_a_language() -> None:
    assert [block.place for page in PAGES for block in blocks_of(page) if block.language not in LANGUAGES] == []


def test_no_folder_is_written_twice() -> None:
    made = [name for page in PAGES for block in blocks_of(page) for name in sorted(block.made)]
    assert sorted({name for name in made if made.count(name) > 1}) == []


def test_what_is_not_run_is_in_a_document() -> None:
    lines = [line for page in PAGES for block in blocks_of(page) if block.language == "sh" for line in block.commands()]
    assert [start for start in NOT_RUN if not any(line.startswith(start.strip()) for line in lines)] == []


@pytest.mark.models
@pytest.mark.parametrize("page", PAGES)
def test_quick_blocks(page: str, quick_folder: Path, reader: Reader) -> None:
    blocks = blocks_of(page)
    slow = slow_blocks(blocks)
    for number, block in enumerate(blocks):
        if number not in slow:
            reader.run(block)


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.parametrize("page", PAGES)
def test_all_blocks(page: str, whole_folder: Path, reader: Reader) -> None:
    for block in blocks_of(page):
        reader.run(block)
