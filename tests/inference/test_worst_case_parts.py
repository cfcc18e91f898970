"""A search in parts: each keeps what it found as JSON, and together they write what one search writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import robustbench_char as rbc
from robustbench_char.attack_sets.stream import Attack
from robustbench_char.inference.options import ModelOptions
from robustbench_char.inference.worst_case import (
    Request,
    SearchOptions,
    plan_of,
    read_part,
    search_part,
    worst_case,
    write_part,
    write_parts,
)
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import open_source

pytestmark = pytest.mark.models

ROWS = [
    {"sentence": f"The {place} was {state}.", "label": int(place == "harbour")}
    for place in ("harbour", "market", "lane")
    for state in ("quiet", "loud")
]


def says(batch: list[dict[str, Any]]) -> list[str]:
    return ["acceptable" if "harbour" in one["sentence"] else "unacceptable" for one in batch]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return rbc.predictor(says, name="harbours")


def request(model: Any) -> Request:
    task = get_task("cola")
    attack, plan = Attack.of(task, "drop", 0, None), plan_of(SearchOptions(edits=1), "drop")
    return Request(model, ModelOptions(), attack, plan, open_source(task, input=ROWS), None)


def test_parts_together_write_what_one_search_writes(model: Any, tmp_path: Path) -> None:
    whole = worst_case("cola", ROWS, model=model, suite="drop", output=tmp_path / "whole", progress=False)
    parts = []
    for part in (2, 0, 1):
        made = search_part(request(model), part, 3, progress=False)
        write_part(tmp_path / "part.json", made)
        assert read_part(tmp_path / "part.json") == made
        parts.append(read_part(tmp_path / "part.json"))
    wrote = write_parts(request(None), parts, tmp_path / "parts", 1.0)
    assert wrote.found.steps.equals(whole.found.steps)
    assert wrote.found.broken().value == pytest.approx(100 * 2 / 6)
    for name in ("edits.parquet", "worst_case.parquet", whole.manifest.output.name):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_part_that_is_searched_again_asks_for_nothing(model: Any) -> None:
    first = search_part(request(model), 1, 2, progress=False)
    again = search_part(request(model), 1, 2, progress=False)
    assert again.outcomes == first.outcomes
    assert (first.queries.cached, again.queries.cached) == (0, again.queries.distinct)
    assert again.queries.read == 0 < first.queries.read


def test_there_may_be_more_parts_than_examples(model: Any) -> None:
    assert search_part(request(model), 7, 8, progress=False).outcomes == ()
