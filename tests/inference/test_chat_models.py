"""A chat model as a source of predictions, against a server on 127.0.0.1 that also fails, stalls, answers nonsense."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures.chat_server import ChatServer, Reply, from_gold

import robustbench_char.inference.chat.source as source_module
from robustbench_char.common import InputError
from robustbench_char.common.errors import Unfinished
from robustbench_char.inference.chat.source import ChatSource, check_requests
from robustbench_char.inference.evaluate import Asking, evaluate
from robustbench_char.inference.opening import open_model
from robustbench_char.inference.options import ModelOptions
from robustbench_char.inference.results import Evaluation
from robustbench_char.tasks.base import Task
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import open_source

KEY = "sk-test-0123456789abcdef"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses between tries, in which no time passes."""
    waited: list[float] = []
    monkeypatch.setattr(source_module, "pause", lambda stop, seconds: waited.append(seconds))
    return waited


Ask = Callable[..., Evaluation]


@pytest.fixture
def ask(chat_server: ChatServer, tmp_path: Path) -> Ask:
    """Return a function that evaluates the server's model on the first examples of mini."""

    def run(task: str = "qnli", *, limit: int | None = 8, output: Path | None = None, **options: Any) -> Evaluation:
        chosen = get_task(task)
        given = {"endpoint": chat_server.url, "cache": str(tmp_path / "cache"), "parallel": 4, **options}
        source = open_model("openai:tiny", chosen, options=ModelOptions(**given))
        file = open_source(chosen, data="mini", split="test")
        return evaluate(source, file, limit=limit, output=output, progress=False)

    return run


def gold(task: Task | str, **options: Any) -> Callable[[dict[str, Any]], str]:
    chosen = get_task(task)
    return from_gold(chosen, open_source(chosen, data="mini", split="test").examples(), **options)


@pytest.mark.parametrize("task", ["cola", "mrpc", "conll2003", "ptb_pos", "squad_v1", "squad_v2"])
def test_a_model_that_is_always_right(chat_server: ChatServer, ask: Ask, task: str) -> None:
    chat_server.answer = gold(task)
    record = ask(task, limit=12).record
    assert record.scores[record.headline] == 100
    assert record.counts["unparsed"] == record.counts["refused"] == 0
    assert "failed_examples" not in record.counts
    assert {request["temperature"] for request in chat_server.asked} == {0}
    assert {request["seed"] for request in chat_server.asked} == {0}
    assert record.system.chat is not None
    assert (record.system.name, record.system.chat.endpoint) == ("openai:tiny", chat_server.url)
    assert record.system.chat.messages["user"].strip()
    assert (record.device, record.served) == ("endpoint", ("tiny-2026-11-01",))


def test_nothing_is_asked_twice(chat_server: ChatServer, ask: Ask, tmp_path: Path) -> None:
    chat_server.answer = gold("qnli")
    first = ask(price="1,10", output=tmp_path / "first").record
    asked = len(chat_server.asked)
    assert asked == 8
    again = ask(price="1,10", output=tmp_path / "first").record
    assert len(chat_server.asked) == asked
    assert (again.counts, again.cost, again.predict_seconds) == (first.counts, first.cost, first.predict_seconds)
    assert first.counts["tokens_in"] > 100
    assert first.counts["tokens_out"] == 8
    assert first.cost == pytest.approx((first.counts["tokens_in"] + 80) / 1e6)
    ask(limit=10)
    assert len(chat_server.asked) == asked + 2
    ask(cache=str(tmp_path / "other"))
    assert len(chat_server.asked) == asked + 10


def test_another_model_prompt_or_endpoint_is_asked_again(chat_server: ChatServer, tmp_path: Path) -> None:
    task, file = get_task("qnli"), open_source(get_task("qnli"), data="mini", split="test")
    examples = list(file.examples())[:3]
    (tmp_path / "own.yaml").write_text("schema: 1\nfamily: classification\nuser: '{fields} {labels}'\n")
    options = {"endpoint": chat_server.url, "cache": str(tmp_path / "cache")}

    def planned(name: str, **changed: str) -> int:
        source = open_model(name, task, options=ModelOptions(**(options | changed)))  # type: ignore[arg-type]
        assert isinstance(source, ChatSource)
        return source.requests(examples)

    chat_server.answer = lambda request: "entailment"
    assert planned("openai:tiny") == 3
    open_model("openai:tiny", task, options=ModelOptions(**options)).predict(examples, progress=False)  # type: ignore[arg-type]
    assert planned("openai:tiny") == 0
    assert planned("openai:other") == 3
    assert planned("openai:tiny", prompt=str(tmp_path / "own.yaml")) == 3
    assert planned("openai:tiny", endpoint=chat_server.url.replace("127.0.0.1", "localhost")) == 3
    assert planned("openai:tiny", endpoint=chat_server.url + "/chat/completions/", key_env="PATH") == 0


def test_answers_that_say_nothing_are_counted_kept_and_shown(chat_server: ChatServer, ask: Ask) -> None:
    chat_server.answer = gold("qnli", wrong_every=4, wrong="I would say that this depends.")
    result = ask(limit=8)
    assert (result.record.counts["unparsed"], result.record.counts["failed_examples"]) == (2, 2)
    assert result.scores["accuracy"] == 75
    errors = result.predictions["error"]
    assert errors[0] == "not exactly one of the labels; the answer: I would say that this depends."
    assert errors.notna().sum() == 2
    assert result.predictions["prediction"][0] == "null"
    ask(limit=8)
    assert len(chat_server.asked) == 8


def test_answers_that_are_cut_off(chat_server: ChatServer, ask: Ask) -> None:
    chat_server.answer = gold("conll2003")
    chat_server.first = [Reply('[{"text": "Mari', finish="length")]
    result = ask("conll2003", parallel=1)
    assert (result.record.counts["cut_off"], result.record.counts["unparsed"]) == (1, 1)
    assert result.predictions["error"][0] == (
        'no JSON list of texts and types (cut off by the limit of its length); the answer: [{"text": "Mari'
    )


def test_nonsense_alone_is_no_score(chat_server: ChatServer, ask: Ask) -> None:
    chat_server.answer = lambda request: "Hello!"
    with pytest.raises(InputError, match=r"system openai:tiny: found no usable prediction for any of 8.*Hello!"):
        ask()


def test_failures_are_tried_again(chat_server: ChatServer, ask: Ask, pauses: list[float]) -> None:
    chat_server.answer = gold("qnli")
    chat_server.first = [
        Reply.error(500),
        Reply.error(503),
        Reply.error(529),
        Reply(body='{"choices": [{"ind'),
        Reply(body='{"error": {"message": "overloaded"}}'),
        Reply.error(429, Retry_After="7"),
    ]
    assert ask(limit=1, parallel=1).scores["accuracy"] == 100
    assert len(chat_server.asked) == 7
    assert [round(pause, 1) for pause in pauses] == [0.5, 1.0, 2.0, 4.0, 8.0, 7.0]


def test_a_server_that_stalls(chat_server: ChatServer, ask: Ask, pauses: list[float]) -> None:
    chat_server.answer = gold("qnli")
    chat_server.first = [Reply(stall=True)]
    assert ask(limit=2, parallel=1, timeout=0.2).scores["accuracy"] == 100
    chat_server.answer = lambda request: Reply(stall=True)
    with pytest.raises(Unfinished, match=r"no answer within 0.2 seconds, after 2 tries; 2 of 3 answers are kept"):
        ask(limit=3, timeout=0.2, retries=1)


def test_a_parameter_that_is_refused(chat_server: ChatServer, ask: Ask) -> None:
    right = gold("qnli")

    def answer(request: dict[str, Any]) -> Reply | str:
        for name in ("seed", "temperature"):
            if name in request:
                return Reply.error(400, f"Unsupported parameter: '{name}' is not supported with this model.")
        return right(request)

    chat_server.answer = answer
    record = ask().record
    assert record.scores["accuracy"] == 100
    assert (record.counts["without_temperature"], record.counts["without_seed"]) == (8, 8)


def test_a_text_that_is_refused(chat_server: ChatServer, ask: Ask) -> None:
    chat_server.answer = gold("qnli")
    chat_server.first = [Reply.error(400, "This model's maximum context length is 10 tokens")]
    result = ask(parallel=1)
    assert (result.record.counts["refused"], result.record.counts["unparsed"]) == (1, 0)
    assert result.predictions["error"][0].startswith("refused by the endpoint: HTTP 400 (This model's maximum")
    assert result.scores["accuracy"] == 87.5


def test_an_endpoint_that_refuses_everything(chat_server: ChatServer, ask: Ask) -> None:
    chat_server.answer = lambda request: Reply.error(400, "the model does not exist")
    with pytest.raises(InputError, match=r"endpoint http://127.0.0.1:\d+/v1: found HTTP 400 \(the model does not"):
        ask(limit=100)
    assert len(chat_server.asked) < 30


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            Reply.error(401, "Incorrect API key"),
            r"found HTTP 401 \(Incorrect API key\); .* Set the environment",
        ),
        (Reply.error(404, "no such model"), r"found HTTP 404 \(no such model\); .*the URL: it usually ends in /v1\."),
        (Reply(status=404, body="<html><title>Nothing</title>", headers={"Content-Type": "text/html"}), r"HTTP 404 \("),
        (
            Reply(body="<html><title>Welcome</title>", headers={"Content-Type": "text/html"}),
            r"found an HTML page \('Welcome'\); expected answers of the model tiny\. Check the URL: it usually",
        ),
        (Reply.error(429, "You exceeded your quota", "insufficient_quota"), r"the quota is used up; .*Add credit"),
        (Reply.error(429, "Later", Retry_After="86400"), r"it asks to wait 86400 seconds; .*Rerun then"),
    ],
)
def test_what_no_other_request_would_change(chat_server: ChatServer, ask: Ask, reply: Reply, message: str) -> None:
    chat_server.answer = lambda request: reply
    with pytest.raises(InputError, match=message) as raised:
        ask(limit=50)
    assert (raised.value.exit_code, type(raised.value)) == (2, InputError)
    assert len(chat_server.asked) <= 8


def test_nobody_listens(chat_server: ChatServer, ask: Ask) -> None:
    with pytest.raises(InputError, match=r"found no connection \(.*refused.*\); .*Start the server, or check the URL"):
        ask(endpoint="http://127.0.0.1:9/v1")


def test_a_quota_that_ends_in_the_middle(chat_server: ChatServer, ask: Ask, tmp_path: Path) -> None:
    right = gold("qnli")
    chat_server.answer = lambda request: (
        right(request) if len(chat_server.asked) <= 10 else Reply.error(429, "no more", "insufficient_quota")
    )
    with pytest.raises(Unfinished, match=r"the quota is used up; 10 of 20 answers are kept; .*only what is missing"):
        ask(limit=20, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    chat_server.answer, asked = right, len(chat_server.asked)
    assert ask(limit=20).scores["accuracy"] == 100
    assert len(chat_server.asked) == asked + 10


def test_an_outage_stops_the_run(chat_server: ChatServer, ask: Ask, pauses: list[float]) -> None:
    right = gold("qnli")
    chat_server.answer = lambda request: right(request) if len(chat_server.asked) <= 5 else Reply.error(500, "crashed")
    with pytest.raises(Unfinished, match=r"HTTP 500 \(crashed\), after 3 tries; 5 of 100 answers are kept"):
        ask(limit=100, retries=2)
    assert len(chat_server.asked) < 60


def test_requests_run_side_by_side_up_to_a_limit(chat_server: ChatServer, ask: Ask) -> None:
    barrier = threading.Barrier(3, timeout=5)

    def answer(request: dict[str, Any]) -> str:
        barrier.wait()
        return "entailment"

    chat_server.answer = answer
    ask(limit=9, parallel=3)
    assert chat_server.most_at_once == 3


def test_an_interrupt_keeps_what_was_answered(
    chat_server: ChatServer, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat_server.answer = gold("qnli")
    take = source_module._Round.take

    def interrupted(self: Any, place: int, future: Any) -> None:
        take(self, place, future)
        if len(self.answers) == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(source_module._Round, "take", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ask(limit=60)
    assert 5 <= len(chat_server.asked) < 50
    assert ask(limit=60).scores["accuracy"] == 100
    assert len(chat_server.asked) == 60


def test_half_of_a_surrogate_pair_is_kept_as_a_question_mark(chat_server: ChatServer, ask: Ask) -> None:
    chat_server.answer = lambda request: Reply(body='{"choices": [{"index": 0, "message": {"content": "No \\ud83d"}}]}')
    with pytest.raises(InputError, match=r"the answer: No \?"):
        ask()


@pytest.mark.parametrize("echo", ["answer", "error"])
def test_the_key_is_written_nowhere(
    chat_server: ChatServer, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any, echo: str
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    said = f"Your key {KEY} says entailment"
    chat_server.answer = lambda request: said if echo == "answer" else Reply.error(401, said)
    if echo == "error":
        with pytest.raises(InputError) as raised:
            ask(key_env="MY_KEY")
        assert "Your key [key] says" in str(raised.value)
    else:
        ask(key_env="MY_KEY", output=tmp_path / "out")
    assert set(chat_server.keys) == {f"Bearer {KEY}"}
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) >= (4 if echo == "answer" else 1)
    assert [path.name for path in written if KEY.encode() in path.read_bytes()] == []
    assert KEY not in "".join(capfd.readouterr())


def test_many_requests_need_a_limit(
    chat_server: ChatServer, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "MOST_REQUESTS", 290)
    chat_server.answer = gold("qnli")
    message = r"limit=: found 300 requests planned; expected at most 290 unless you say so\. .*`limit=`.*`yes=`"
    with pytest.raises(InputError, match=message):
        ask(limit=None)
    assert chat_server.asked == []
    check_requests(300, limit=300, yes=False)
    check_requests(300, limit=None, yes=True)
    ask(limit=20)
    options = ModelOptions(endpoint=chat_server.url, cache=str(tmp_path / "cache"))
    source = open_model("openai:tiny", get_task("qnli"), options=options)
    assert isinstance(source, Asking)
    examples = list(open_source(get_task("qnli"), data="mini", split="test").examples())
    assert source.requests(examples) == 280
    source.check_requests(examples, None)
