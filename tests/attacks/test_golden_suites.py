"""Golden results of every shipped suite on sentences of our own: who changes them changes attacked sets that people
have published.

To write the file of golden results anew, after such a change was decided on: `python
tests/attacks/test_golden_suites.py`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import sys
from pathlib import Path

import pytest

from robustbench_char.attacks.engine import Batch, attack_batch
from robustbench_char.attacks.keys import text_keys
from robustbench_char.attacks.ledger import Slot, ledger_table
from robustbench_char.attacks.suites import Suite, load_suites, suite_names

GOLDEN = Path(__file__).resolve().parent / "cases" / "golden_suites.json"
TASKS = ("qnli", "conll2003")
SENTENCES = [
    "The harbour master said that Martin's ship would leave Vienna before Tuesday morning.",
    "Which of the islands has the oldest lighthouse, and who built it in 1884?",
    'She answered: "Nobody believes me", but they don\'t listen (as usual).',
    "PASSENGERS ARE ASKED to keep well-known co-operative Straße-signs in view…",
    "Naïve  readers\tof the café's menu paid $3.88; yesterday's cost 2,500 crowns.",
    "U.S. officials cannot travel to Königsberg themselves between 1996-12-06 and 24 May.",
    "日本語のテキスト, שלום, Ελληνικά and 😀😀 stay readable.",
    "",
]
TEXTS = SENTENCES * 10
NLPAUG = importlib.metadata.version("nlpaug") == "1.1.11" and sys.version_info[:2] == (3, 11)
CODESPELL = importlib.metadata.version("codespell") == "2.4.3"


def result(suite: Suite, task: str) -> dict[str, object]:
    """Return the first attacked sentences, the number of edits, and the hash of the ledger."""
    names = [f"golden-{number}" for number in range(len(TEXTS))]
    outcome = attack_batch(Batch(TEXTS, text_keys(names, seed=2020, family=suite.family, task=task)), suite)
    ledger = ledger_table(outcome, [Slot(number, name, "sentence") for number, name in enumerate(names)]).to_pylist()
    digest = hashlib.sha256(json.dumps(ledger, ensure_ascii=True).encode()).hexdigest()
    return {"texts": outcome.texts[: len(SENTENCES)], "edits": len(ledger), "ledger_sha256": digest}


def current() -> dict[str, dict[str, object]]:
    return {
        f"{task}/{suite.name}": result(suite, task)
        for task in TASKS
        for name in suite_names()
        for suite in load_suites(name, task=task)
    }


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", suite_names())
def test_golden(name: str, task: str) -> None:
    if name.startswith("nlpaug") and not NLPAUG:
        pytest.skip("the golden results of nlpaug are those of nlpaug 1.1.11 on Python 3.11")
    if name == "human_typos" and not CODESPELL:
        pytest.skip("the golden results of codespell's list are those of codespell 2.4.3")
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    for suite in load_suites(name, task=task):
        assert result(suite, task) == golden[f"{task}/{suite.name}"]


def test_nothing_golden_is_left_over() -> None:
    names = {
        f"{task}/{suite.name}" for task in TASKS for name in suite_names() for suite in load_suites(name, task=task)
    }
    assert set(json.loads(GOLDEN.read_text(encoding="utf-8"))) == names


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(current(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
