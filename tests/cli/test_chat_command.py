"""`check` and `evaluate` of a chat model as a user runs them, against a server on 127.0.0.1."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fixtures.chat_server import ChatServer, Reply, from_gold

from robustbench_char.cli.main import main
from robustbench_char.records.evaluation import find_records
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import open_source

KEY = "sk-test-0123456789abcdef"


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Run:
    """Run the command on a server that answers qnli from its gold labels, one answer in five useless."""

    def __init__(self, server: ChatServer, folder: Path, capfd: Any) -> None:
        task = get_task("qnli")
        self.right = from_gold(task, open_source(task, data="mini").examples(), wrong_every=5, wrong="Well.")
        server.answer = self.right
        self.server, self.folder, self.capfd = server, folder, capfd

    def __call__(self, command: str, *options: object, url: str | None = None, limit: int = 10) -> Done:
        arguments = [command, "openai:tiny", "--endpoint", url or self.server.url, "--task", "qnli", "--data", "mini"]
        arguments += ["--cache", str(self.folder / "cache"), "--limit", str(limit), *map(str, options)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["robustbench-char", *arguments])
            try:
                main()
                code: Any = 0
            except SystemExit as stopped:
                code = stopped.code or 0
        return Done(int(code), *self.capfd.readouterr())

    def check(self, output: str, **options: Any) -> Done:
        how = ("--suite", "drop", "--executor", "local")
        return self("check", *how, "--store", self.folder / "store", "--output", self.folder / output, **options)


@pytest.fixture
def run(chat_server: ChatServer, tmp_path: Path, capfd: Any) -> Run:
    return Run(chat_server, tmp_path, capfd)


def test_evaluate_says_what_was_found_and_what_it_cost(run: Run, tmp_path: Path) -> None:
    done = run("evaluate", "--price", "1,2", "--output", tmp_path / "out")
    assert done.code == 0
    assert "openai:tiny: 2 of 10 predictions could not be used and count as wrong; the column `error`" in done.out
    assert " tokens in, 10 tokens out, cost 0.00" in done.out
    assert "qnli, clean, 10 examples: accuracy 80.00" in done.out
    assert "openai:tiny on qnli, accuracy 80.0 [" in done.out
    assert "Not learnt: the clean score is not above that of the best constant answer" in done.out
    assert "Not learnt" not in run("evaluate", limit=40).out


def test_a_quota_that_ends_in_the_middle_of_check(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    used_up = Reply.error(429, f"{KEY} has no more", "insufficient_quota")
    run.server.answer = lambda request: run.right(request) if len(run.server.asked) <= 15 else used_up
    done = run.check("out")
    assert done.code == 1
    assert "failed: score/models/tiny/qnli/drop/seed_1" in done.err
    assert "the quota is used up; 5 of 10 answers are kept; expected all answers of the model tiny." in done.err
    assert [record.condition for _, record in find_records([tmp_path / "out" / "records"])] == ["clean"]
    asked, run.server.answer = len(run.server.asked), run.right
    done = run.check("out")
    assert done.code == 0
    assert len(run.server.asked) - asked == 5
    assert len(find_records([tmp_path / "out" / "records"])) == 2
    assert "Left out: tiny on qnli, accuracy 80.0 [" in done.out  # ten examples tell no more
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


def test_an_endpoint_that_cannot_be_used(run: Run, tmp_path: Path) -> None:
    done = run("evaluate", "--output", tmp_path / "out", url="http://127.0.0.1:9/v1")
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[-1].startswith("error: endpoint http://127.0.0.1:9/v1: found no connection (")
    assert not (tmp_path / "out").exists()
    done = run.check("out", url="http://127.0.0.1:9/v1")
    assert done.code == 1
    assert "found no connection" in done.err
    assert "Traceback" not in done.err
    done = run("evaluate", "--key-env", "NO_SUCH_KEY")
    assert (done.code, done.err[:60]) == (2, "error: --key-env: found NO_SUCH_KEY, which is not set; expec")
    assert run.server.asked == []
