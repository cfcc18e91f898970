"""Options of chat models: what cannot work is refused before anything is sent; what decides the predictions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import robustbench_char as rbc
from robustbench_char.common import InputError
from robustbench_char.inference.chat.client import wait_of
from robustbench_char.inference.chat.opening import chat
from robustbench_char.inference.chat.source import read_price
from robustbench_char.inference.opening import identify_model, kind_of_model, open_model
from robustbench_char.inference.options import ModelOptions
from robustbench_char.tasks.registry import get_task

KEY = "sk-test-0123456789abcdef"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "openai:tiny",
            {"endpoint": None},
            r"endpoint=: found none; expected the URL .*openai\.com/v1",
        ),
        ("openai:tiny", {"endpoint": "localhost:8000"}, r"endpoint=: found 'localhost:8000'; expected a URL: http"),
        ("openai:tiny", {"endpoint": "http://[::1/v1"}, r"endpoint=: found 'http://\[::1/v1'; expected a URL: http"),
        ("openai:tiny", {"endpoint": "http://host:port/v1"}, r"endpoint=: found 'http://host:port/v1'; expected a URL"),
        ("openai:tiny", {"endpoint": "http://me:secret@host/v1"}, r"found a URL with a user, a query or a fragment"),
        ("openai:", {}, r"openai:: found no name; expected openai:NAME"),
        ("openai:tiny", {"endpoint": "host/v1?key=secret"}, r"found a URL with a user, a query or a fragment"),
        ("openai:tiny", {"key_env": "NO_SUCH_KEY"}, r"key_env=: found NO_SUCH_KEY, which is not set"),
        ("openai:tiny", {"key_env": KEY}, r"key_env=: found no such variable; .*its name, never the key\.$"),
        ("openai:tiny", {"price": "0.15"}, r"price=: found '0.15'; expected the price of a million input tokens and"),
        (
            "openai:tiny",
            {"labels": ("entailment", "neutral")},
            r"labels=: found entailment, neutral; expected the",
        ),
    ],
)
def test_options_that_cannot_work(name: str, options: dict[str, Any], message: str) -> None:
    given = ModelOptions(**{"endpoint": "http://127.0.0.1:9/v1", **options})
    with pytest.raises(InputError, match=message) as raised:
        open_model(name, get_task("qnli"), options=given)
    assert "secret" not in str(raised.value)
    assert KEY not in str(raised.value)


def test_requests_of_all_attacked_sets_count_together(tmp_path: Path) -> None:
    model = rbc.chat("http://127.0.0.1:9/v1", model="tiny", cache=tmp_path / "cache")
    suites = ["drop", "swap", "add", "keyboard", "mixed", "charbert_2020"]
    with pytest.raises(InputError, match=r"limit=: found 2,100 requests planned; expected at most 2,000"):
        rbc.evaluate(model, task="qnli", data="mini", suites=suites, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_key_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"“{KEY}”")
    with pytest.raises(InputError, match=r"key_env=: found a key with characters that cannot be sent") as raised:
        open_model("openai:tiny", get_task("qnli"), options=ModelOptions(endpoint="http://127.0.0.1:9/v1"))
    assert KEY not in str(raised.value)


def test_tags_must_be_known() -> None:
    task = get_task("conll2003").model_copy(update={"format_options": {}})
    with pytest.raises(InputError, match=r"labels=: found none for conll2003, which lists no tags"):
        identify_model("openai:tiny", task, options=ModelOptions(endpoint="http://127.0.0.1:9"))
    options = ModelOptions(endpoint="http://127.0.0.1:9", labels=("O,B-PER,I-PER,ORG",))
    assert identify_model("openai:tiny", task, options=options)["choices"] == ["PER", "ORG"]


def test_the_package_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(InputError, match=r"openai:tiny: found no package openai; .*robustbench-char\[llm\]"):
        open_model("openai:tiny", get_task("qnli"), options=ModelOptions(endpoint="http://127.0.0.1:9/v1"))


def test_identity() -> None:
    assert kind_of_model("openai:gpt-x") == "chat"
    options = ModelOptions(endpoint="http://127.0.0.1:9/v1", parallel=3, cache="x", timeout=3, yes=True)
    plain = ModelOptions(endpoint="http://127.0.0.1:9/v1/")
    task = get_task("squad_v2")
    known = identify_model("openai:tiny", task, options=options)
    assert known == identify_model("openai:tiny", task, options=plain)
    json.dumps(known)
    priced = plain.model_copy(update={"price": "1,2"})
    assert identify_model("openai:tiny", task, options=priced) != known  # the cost is computed again
    own = open_model("openai:tiny", task, options=plain.model_copy(update={"prompt": "question_answering"}))
    assert own.info.shown == "openai:tiny, prompt question_answering"
    made = chat("http://127.0.0.1:9/v1", model="tiny")
    bound = identify_model(made, task)
    assert {**bound, "kind": "chat"} == known
    assert open_model(made, task).info.shown == made.name == "openai:tiny"
    with pytest.raises(InputError, match=r"--task: found none"):
        open_model(made)
    with pytest.raises(InputError, match=r"parallel=: found 0; expected at least 1"):
        chat("http://127.0.0.1:9/v1", model="tiny", parallel=0)


def test_prices_and_waits() -> None:
    assert read_price("0.15, 0.6") == (0.15, 0.6)
    for odd in ("a,b", "1", "1,2,3", "-1,2", "nan,1"):
        with pytest.raises(InputError, match="price="):
            read_price(odd)
    assert wait_of({"retry-after": "2.5"}) == 2.5
    assert wait_of({"retry-after": "Sat, 28 Nov 2020 00:00:00 GMT"}) == 0
    assert wait_of({}) is None
    assert wait_of({"retry-after": "soon"}) is None
