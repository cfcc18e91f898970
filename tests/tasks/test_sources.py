"""Sources: exactly one, the hub's layout from a local folder, mini, and what is said when the network is away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pytest

from robustbench_char.common import InputError
from robustbench_char.tasks import Task, get_task, open_source, sources
from robustbench_char.tasks.sources import mini_path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setattr(sources, "cache_folder", lambda: folder)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "hf"))
    return folder


def moved(task: Task, path: Path, **changes: Any) -> Task:
    """Return the task with its hub data in a local folder of the same layout."""
    assert task.hub
    return task.model_copy(update={"hub": task.hub.model_copy(update={"path": str(path), **changes})})


@pytest.fixture
def glue(tmp_path: Path) -> Path:
    folder = tmp_path / "glue"
    features = datasets.Features({
        "sentence": datasets.Value("string"), "idx": datasets.Value("int32"),
        "label": datasets.ClassLabel(names=["unacceptable", "acceptable"]),
    })  # fmt: skip
    for split, label in {"train": 1, "validation": 0, "test": -1}.items():
        (folder / "cola").mkdir(parents=True, exist_ok=True)
        rows = {"sentence": [f"A {split} sentence."], "label": [label], "idx": [0]}
        data = datasets.Dataset.from_dict(rows, features=features)
        data.to_parquet(folder / "cola" / f"{split}-00000-of-00001.parquet")
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: cola\n  data_files:\n"
        + "".join(f"  - split: {split}\n    path: cola/{split}-*\n" for split in ("train", "validation", "test"))
        + "---\n"
    )
    return folder


@pytest.mark.parametrize(
    ("split", "name", "label"),
    [("train", "train", "acceptable"), ("dev", "validation", "unacceptable"), ("test", "test", None)],
)
def test_the_hub_layout(glue: Path, split: str, name: str, label: str | None) -> None:
    (example,) = open_source(moved(get_task("cola"), glue), hub=True, split=split).examples()
    assert (example.fields, example.label, example.id) == ({"sentence": f"A {name} sentence."}, label, "0")


def test_a_commit_is_fetched_once(glue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = moved(get_task("cola"), glue)
    first = open_source(task, hub=True, split="validation")
    monkeypatch.setattr(datasets, "load_dataset", None)
    again = open_source(task, hub=True, split="dev")
    assert again.path == first.path
    assert list(again.examples()) == list(first.examples())
    with pytest.raises(InputError, match="--hub"):
        open_source(moved(get_task("cola"), glue, revision="main"), hub=True)


def test_pinned_commit_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def load(path: str, **options: Any) -> datasets.Dataset:
        asked.update(options, path=path)
        return datasets.Dataset.from_dict({"tokens": [["Riga"]], "ner_tags": [[5]], "id": ["0"]})

    monkeypatch.setattr(datasets, "load_dataset", load)
    task = get_task("conll2003")
    (example,) = open_source(task, hub=True, split="test").examples()
    assert example.label == ("B-LOC",)
    assert task.hub
    assert asked == {"path": "lhoestq/conll2003", "name": None, "split": "test", "revision": task.hub.revision}


def test_no_network(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    def load(*arguments: Any, **options: Any) -> None:
        raise ConnectionError("Couldn't reach 'rajpurkar/squad' on the Hub\nmore")

    monkeypatch.setattr(datasets, "load_dataset", load)
    message = r"--hub rajpurkar/squad: found ConnectionError: Couldn't reach .*--input FILE, or --data mini"
    with pytest.raises(InputError, match=message):
        open_source(get_task("squad_v1"), hub=True)
    assert not list(cache.rglob("*.parquet"))


def test_a_folder_here_never_stands_in_for_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rajpurkar" / "squad").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="found a local folder of that name"):
        open_source(get_task("squad_v1"), hub=True)


def test_what_is_not_on_the_hub(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"LDC99T42.*--data-dir"):
        open_source(get_task("ptb_pos"), hub=True)
    with pytest.raises(InputError, match=r"found the split 'test'; expected one of train, dev"):
        open_source(get_task("squad_v1"), hub=True, split="test")
    with pytest.raises(InputError, match=r"which has no hub id.*--input FILE"):
        open_source(get_task("cola").model_copy(update={"hub": None}), hub=True)


def test_exactly_one_source(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found no data; expected one source.*--input FILE, --hub, --data mini\."):
        open_source(get_task("cola"))
    with pytest.raises(InputError, match=r"found --input and --hub; expected one source"):
        open_source(get_task("cola"), input=tmp_path, hub=True)
    with pytest.raises(InputError, match=r"or --data-dir FOLDER"):
        open_source(get_task("ptb_pos"))
    with pytest.raises(InputError, match=r"--data-dir: found a folder for cola"):
        open_source(get_task("cola"), data_dir=tmp_path)
    with pytest.raises(InputError, match=r"no such folder"):
        open_source(get_task("ptb_pos"), data_dir=tmp_path / "none")
    with pytest.raises(InputError, match=r"no such file or folder"):
        open_source(get_task("cola"), input=tmp_path / "none.tsv")
    with pytest.raises(InputError, match=r"--data: found 'maxi'; expected mini"):
        open_source(get_task("cola"), data="maxi")


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_text("a\t1\t\tOne.\n")
    file = open_source(get_task("cola"), input=tmp_path / "dev.tsv")
    assert [example.fields["sentence"] for example in file.examples()] == ["One."]


def test_mini(cache: Path) -> None:
    """Every task and split has its own file, which is part of the package."""
    for task in ("cola", "mrpc"):
        for split in ("train", "dev"):
            assert open_source(get_task(task), data="mini", split=split).path == mini_path(task, split)
    assert open_source(get_task("cola"), data="mini").path == mini_path("cola", "dev")
    assert not cache.exists()
    with pytest.raises(InputError, match=r"found the task mine; expected one of squad_v1"):
        open_source(get_task("cola").model_copy(update={"name": "mine"}), data="mini")


def test_the_cache_folder_is_made_with_those_above_it_and_found_again(tmp_path: Path) -> None:
    code = "from robustbench_char.tasks.sources import cache_folder as folder\nprint(folder(), folder())"
    there = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "not" / "yet")}
    done = subprocess.run([sys.executable, "-c", code], env=there, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tmp_path / "not" / "yet" / "robustbench-char")] * 2


@pytest.mark.parametrize("split", ["dev", "validation", "valid"])
def test_the_development_data_have_three_names(split: str) -> None:
    assert open_source(get_task("cola"), data="mini", split=split).path == mini_path("cola", "dev")  # type: ignore[union-attr]


def test_cache_folder_falls_back_to_one_that_goes_with_the_process(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "temporary").mkdir()
    code = (
        "from robustbench_char.tasks.sources import cache_folder as folder\n"
        "(folder() / 'kept').write_text('')\n"
        "print(*folder().iterdir())"
    )
    there = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "file"), "TMPDIR": str(tmp_path / "temporary")}
    done = subprocess.run([sys.executable, "-c", code], env=there, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).name == "kept"
    assert Path(done.stdout.strip()).is_relative_to(tmp_path / "temporary")
    assert list((tmp_path / "temporary").iterdir()) == []
