"""The section on chat models: where they were asked, tokens, cost, and what could not be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from robustbench_char.records.chat import ChatInfo
from robustbench_char.records.evaluation import write_record
from robustbench_char.reports import report_tables, write_report

CHAT = ChatInfo(
    endpoint="http://127.0.0.1:9/v1",
    model="tiny",
    prompt="tagging",
    prompt_sha256="abcdef0123456789",
    messages={"user": "{text}"},
    choices=("PER",),
    parameters={"temperature": 0, "seed": 0},
)
COUNTS = {"examples": 20, "tokens_in": 5000, "tokens_out": 400, "unparsed": 2, "refused": 1, "unusable_spans": 7}


def test_chat_models(make_record: Callable[..., Any], tmp_path: Path) -> None:
    for number, (suite, cost) in enumerate([(None, 0.25), ("drop", 1.5)]):
        record = make_record(suite=suite, name="openai:tiny", base="external", parts={"chat": CHAT})
        (tmp_path / "in" / str(number)).mkdir(parents=True)
        changed = record.model_copy(update={"cost": cost, "counts": COUNTS, "predict_seconds": 90.0})
        write_record(tmp_path / "in" / str(number), changed)
    frame = report_tables([tmp_path / "in"])["chat_answers"]
    assert frame[["condition", "tokens_in", "unparsed", "parts"]].values.tolist() == [
        ["clean", 5000, 2, 7],
        ["drop", 5000, 2, 7],
    ]
    text = (write_report([tmp_path / "in"], tmp_path / "out").parent / "report.md").read_text(encoding="utf-8")
    assert "openai:tiny at http://127.0.0.1:9/v1 by tagging (abcdef012345)" in text
    assert "| conll2003 | openai:tiny | clean | 20 | 5,000 | 400 | 1 min 30 s | 0.2500 | 2 | 1 | 0 | 7 |" in text
    assert "| 1.50 |" in text


def test_without_prices_or_chat_models(make_record: Callable[..., Any], tmp_path: Path) -> None:
    for number, parts in enumerate([{"chat": CHAT}, {}]):
        (tmp_path / str(number)).mkdir()
        write_record(tmp_path / str(number), make_record(parts=parts))
    assert report_tables([tmp_path / "0"])["chat_answers"]["cost"].isna().all()
    assert "chat_answers" not in report_tables([tmp_path / "1"])
