"""Answers on disk: found again by who was asked what, by many threads and processes, also after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_char.common import InputError
from robustbench_char.inference._answers import Answers

texts = st.text(max_size=5) | st.dictionaries(st.sampled_from(["tokens", "question"]), st.text(max_size=3))
answers = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=4), st.lists, max_leaves=4)
WRITER = """
import sys
from robustbench_char.inference._answers import Answers
store = Answers(["model", 1], sys.argv[1])
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    store.put(f"text {number}", ["answer", number])
    print(number, flush=True)
"""


@settings(settings.get_profile("few"))
@given(st.lists(st.tuples(st.sampled_from("ab"), texts, answers.filter(lambda value: value is not None))))
def test_the_last_answer_of_each_model_is_found(
    tmp_path_factory: pytest.TempPathFactory, puts: list[tuple[str, Any, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("answers")
    expected = {}
    for model, asked, answer in puts:
        Answers({"model": model}, folder).put(asked, answer)
        expected[model, repr(asked)] = asked, answer
    for model in "ab":
        store = Answers({"model": model}, folder)
        for (_, asked), answer in ((key, value) for key, value in expected.items() if key[0] == model):
            assert store.get(answer[0]) == answer[1], asked
    assert Answers({"model": "c"}, folder).get_all([asked for _, asked, _ in puts]) == [None] * len(puts)


def test_the_order_of_keys_does_not_matter_and_lone_surrogates_do_no_harm(tmp_path: Path) -> None:
    Answers({"a": 1, "b": 2}, tmp_path).put({"question": "\ud800?", "context": "c"}, ["\udfff"])
    assert Answers({"b": 2, "a": 1}, tmp_path).get({"context": "c", "question": "\ud800?"}) == ["\udfff"]


def test_what_is_forgotten_is_asked_again(tmp_path: Path) -> None:
    store = Answers("m", tmp_path)
    store.put_all([("a", 1), ("b", 2), ("c", 3)])
    store.forget(["a", "c", "d"])
    assert store.get_all(["a", "b", "c"]) == [None, 2, None]


def test_many_threads_share_one_store(tmp_path: Path) -> None:
    store = Answers("m", tmp_path)

    def work(number: int) -> Any:
        store.put(f"text {number % 20}", number % 20)
        return store.get(f"text {number % 20}")

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(60))) == [number % 20 for number in range(60)]
    assert store.get_all([f"text {number}" for number in range(20)]) == list(range(20))


def test_several_processes_and_one_that_is_killed(tmp_path: Path) -> None:
    def write(first: int, last: int) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", WRITER, str(tmp_path), str(first), str(last)]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)

    writers = [write(0, 30), write(100, 130), write(1000, 1_000_000)]
    doomed = writers[2].stdout
    assert doomed is not None
    told = [int(doomed.readline()) for _ in range(10)]
    os.kill(writers[2].pid, signal.SIGKILL)
    told += [int(line) for line in doomed.read().splitlines()]
    assert [writer.wait() for writer in writers] == [0, 0, -signal.SIGKILL]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.close()
    store = Answers(["model", 1], tmp_path)
    for number in [*range(30), *range(100, 130), *told]:
        assert store.get(f"text {number}") == ["answer", number]
    store.put("after", 1)
    assert store.get("after") == 1


def test_a_file_that_is_not_a_store(tmp_path: Path) -> None:
    (tmp_path / "answers.sqlite3").write_text("something else " * 100)
    with pytest.raises(InputError, match=r"answers\.sqlite3: found a store of answers that cannot be used \(file is"):
        Answers("m", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be used .*delete the file"):
        Answers("m", tmp_path / "file" / "answers")


def test_the_default_folder_is_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Answers("m").path == tmp_path / "robustbench-char" / "answers" / "answers.sqlite3"
