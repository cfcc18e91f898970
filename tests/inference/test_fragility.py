"""Fragility measured: the words that lose a character, the command, the paper's figures on the treebank's sample."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from robustbench_char.cli.main import app
from robustbench_char.common import InputError
from robustbench_char.inference.fragility import with_one_character_fewer
from robustbench_char.records.sensitivity import find_fragility

CONLL = Path("conll2003", "test.txt")
pytestmark = pytest.mark.models


def run(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["fragility", *arguments, "--json"], catch_exceptions=False)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_each_word_loses_one_character_anywhere() -> None:
    sentences = [["ship", "a", "harbour", "--", "no"]] * 50
    found = with_one_character_fewer(sentences, 1)
    assert {old for old, _ in found} == {"ship", "harbour", "no"}
    for old, new in found:
        assert new in {old[:place] + old[place + 1 :] for place in range(len(old))}
    assert {new for old, new in found if old == "no"} == {"n", "o"}
    assert found == with_one_character_fewer(sentences, 1)
    assert found != with_one_character_fewer(sentences, 2)


def test_the_command(tiny_base: str) -> None:
    found = run(tiny_base, "--task", "ptb_pos", "--data", "mini", "--split", "dev")
    rows = {row["group"]: row for row in found["nouns"]}
    assert 0 < rows["4+ letters"]["words"] <= rows["all"]["words"]
    assert found["entities"] == 0
    entities = run(tiny_base, "--task", "conll2003", "--data", "mini", "--split", "dev")
    assert entities["entities"] > 0
    assert entities["nouns"] == []
    told = CliRunner().invoke(app, ["fragility", tiny_base, "--task", "conll2003", "--data", "mini"]).output
    assert "entities have a split word" in told


def test_the_record_is_written(tiny_base: str, tmp_path: Path) -> None:
    arguments = (tiny_base, "--task", "ptb_pos", "--data", "mini", "--output", str(tmp_path / "fragility"))
    printed = run(*arguments)
    (record,) = find_fragility([tmp_path])
    assert record.model_dump(mode="json", by_alias=True) == printed
    assert run(*arguments)["source"] == "dev.txt"  # the same again: nothing is refused
    with pytest.raises(InputError, match="an output folder with other content"):
        run(*arguments[:2], "conll2003", *arguments[3:])
    run(*arguments[:2], "conll2003", *arguments[3:], "--overwrite")
    assert [found.task for found in find_fragility([tmp_path])] == ["conll2003"]


def test_other_tasks_have_no_words(tiny_base: str) -> None:
    with pytest.raises(InputError, match="--task: found qnli, a task of classification; expected a tagging task"):
        run(tiny_base, "--task", "qnli", "--data", "mini")


@pytest.mark.data
def test_the_treebank_is_as_fragile_as_the_paper_says(shared_data: Path) -> None:
    """The paper: 28% of nouns split, 78% without a piece in common. It counts distinct nouns, as here, it seems."""
    found = run("minilm", "--task", "ptb_pos", "--data-dir", str(shared_data / "ptb" / "wsj"))
    types = found["noun_types"][0]
    tokens, entities = found["nouns"][0], run("minilm", "--task", "conll2003", "--input", str(shared_data / CONLL))
    page = (Path(__file__).parent.parent.parent / "docs" / "metrics.md").read_text(encoding="utf-8")
    for share in (types["split"], types["none_shared"], tokens["split"], tokens["none_shared"]):
        assert f"{100 * share:.1f}%" in page
    for share in (entities["split_words"], entities["split_entities"]):
        assert f"{100 * share:.1f}%" in page
    assert types["split"] == pytest.approx(0.28, abs=0.01)
    assert types["none_shared"] == pytest.approx(0.78, abs=0.02)
