"""The store: results whole or not at all, damage found, one writer per result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from robustbench_char.common import InputError
from robustbench_char.common.provenance import provenance
from robustbench_char.experiments.store import JOB, Store

COST = {"wall_seconds": 1.0, "cpu_seconds": 1.0, "peak_memory_bytes": 1, "work": 1.0, "host": "h", "created": "now"}
KEY = "k" * 64


def put(store: Store, key: str = KEY, text: str = "result") -> None:
    with store.writing("score", key) as folder:
        assert folder is not None
        new = folder / key
        new.mkdir()
        (new / "record.json").write_text(text)
        file = {"name": "score/x", "stage": "score", "key": key, "decides": {}, "provenance": provenance()}
        store.finish(new, file, COST)


def test_a_result_is_found_and_listed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.damage("score", KEY) == "no such result"
    put(store)
    assert store.damage("score", KEY) is None
    assert store.read("score", KEY).cost.result_bytes == len("result")
    assert [file.key for file in store.files()] == [KEY]
    assert sorted(path.name for path in store.path("score", KEY).iterdir()) == [JOB, "record.json"]


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda folder: (folder / "record.json").write_text("resulT"), "record.json: another content"),
        (lambda folder: (folder / "record.json").write_text("res"), "record.json: missing or of another size"),
        (lambda folder: (folder / "record.json").unlink(), "record.json: missing or of another size"),
        (lambda folder: (folder / JOB).write_text("{"), "malformed JSON"),
        (lambda folder: (folder / JOB).unlink(), "no such result"),
        (lambda folder: (folder / JOB).write_text('{"schema": 9}'), "of a newer version"),
    ],
)
def test_damage_is_found_and_mended(tmp_path: Path, harm: Callable[[Path], object], message: str) -> None:
    store = Store(tmp_path)
    put(store)
    harm(store.path("score", KEY))
    assert message in str(store.damage("score", KEY))
    put(store)
    assert store.damage("score", KEY) is None


def test_a_quick_look_leaves_large_files_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustbench_char.experiments.store._WHOLE", 3)
    store = Store(tmp_path)
    put(store)
    (store.path("score", KEY) / "record.json").write_text("resulT")
    assert store.damage("score", KEY, thorough=False) is None
    assert store.damage("score", KEY) is not None


def test_one_writer_a_result(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with (
        store.writing("score", KEY) as first,
        store.writing("score", KEY) as second,
        store.writing("score", "another") as third,
    ):
        assert first is not None
        assert second is None
        assert third is not None
    with store.writing("score", KEY) as later:
        assert later is not None


def fail_half_way(store: Store) -> None:
    with store.writing("score", KEY) as folder:
        assert folder is not None
        (folder / "half").write_text("half")
        raise ZeroDivisionError


def test_an_error_leaves_nothing_and_the_next_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ZeroDivisionError):
        fail_half_way(store)
    assert [path.name for path in (tmp_path / "score").iterdir()] == [f"{KEY}.lock"]
    (tmp_path / "score" / f".{KEY}.abc").mkdir()
    put(store)
    assert sorted(path.name for path in (tmp_path / "score").iterdir()) == [KEY, f"{KEY}.lock"]


def test_what_was_left_beside_results_is_removed_but_for_what_is_being_made(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store)
    (tmp_path / "score" / f".{KEY}.abc").mkdir()
    with store.writing("score", "another") as folder:
        assert folder is not None
        store.tidy()
        assert sorted(path.name for path in (tmp_path / "score").glob(".*")) == [folder.name]


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"), Store(tmp_path / "file").writing("score", KEY):
        pass
