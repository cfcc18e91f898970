"""Records in a few lines, and predictions without JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

import robustbench_char as rbc
from robustbench_char.records.defence_price import PriceRecord, WordErrors
from robustbench_char.records.evaluation import Record
from robustbench_char.records.readable import READABLE_COLUMNS, readable
from robustbench_char.records.sensitivity import FragilityRecord, Group, ModelInfo, SensitivityRecord


def test_an_evaluation_is_printed_in_five_lines(make_record: Callable[..., Record]) -> None:
    clean = make_record(81.25)
    assert str(clean) == repr(clean)
    title, model, data, scores, made = str(clean).splitlines()
    assert title == f"Record of {clean.system.shown} on conll2003, clean"
    assert model.split() == ["model", f"{clean.system.name},", "base", clean.system.base]
    assert data.split(maxsplit=1)[1] == "test.txt, 20 examples, clean"
    assert scores.split(maxsplit=1)[1] == "f1 81.25, precision 0.33"
    assert made.split(maxsplit=1)[1].endswith("1.5 s on cpu")


def test_an_attack_a_limit_and_failures_are_said(make_record: Callable[..., Record]) -> None:
    record = make_record(70.0, suite="drop", counts={"examples": 20, "failed_examples": 3})
    record = record.model_copy(update={"data": record.data.model_copy(update={"limit": 20})})
    text = str(record)
    assert "20 examples (the first 20 alone), attacked by drop (seed 7" in text
    assert "3 examples without a prediction" in text


def test_other_records(make_record: Callable[..., Record], tmp_path: Path) -> None:
    made = make_record(70.0, suite="drop")
    common = {"task": "cola", "created": made.created, "provenance": made.provenance}
    whole = Group(group="all", value="all", words=12, left_out=0, s=0.25, low=0.2, high=0.3, half=None)
    measured = {
        "model": ModelInfo(name="minilm", weights_sha256="0" * 64), "layer": -1, "pooling": "mean", "stream": "both",
        "max_length": 64, "examples": 20, "clean_sha256": "c", "attacked_sha256": "a", "attack": made.data.attack,
        "words_sha256": "w", "wall_seconds": 2.0, "device": "cpu",
    }  # fmt: skip
    shown = str(SensitivityRecord(**common, **measured, summary=(whole,)))
    assert shown.startswith("Sensitivity of minilm on cola, drop\n")
    assert "0.2500 [0.2000, 0.3000] over 12 words" in shown
    assert "none over 0 words" in str(SensitivityRecord(**common, **measured, summary=()))
    split = {"words": 1200, "split_words": 0.25, "entities": 0, "split_entities": None}
    fragile = FragilityRecord(
        **common, tokenizer="minilm", source="dev.tsv", source_sha256="s", seed=0, **split, noun_tags=(), nouns=(),
        noun_types=(),
    )  # fmt: skip
    assert "split    25.0% of 1,200 words\n" in str(fragile)
    errors = dict.fromkeys(WordErrors.model_fields, None) | {"wer_before": 40.0, "wer_after": 12.5, "examples": 3}
    recogniser = {
        "vocabulary": 9, "suite": "drop", "operators": ("drop",), "parameters": 1, "backoff": "neutral",
        "weights_sha256": "w",  # as older versions wrote it
    }  # fmt: skip
    price = PriceRecord.model_validate(
        {**common, "recogniser": recogniser, "source": "dev.tsv", "clean_sha256": "c", "attacked_sha256": "a",
         "attack": made.data.attack, "errors": errors | {"words": 9, "entity_words": 0}}
    )  # fmt: skip
    assert "40.00% before, 12.50% after\n" in str(price)
    manifest = rbc.attack_file("cola", data="mini", suite="drop", output=tmp_path / "a")
    assert str(manifest).splitlines()[0] == "Attacked set of cola, drop, seed 0"
    assert len(repr(manifest).splitlines()) == 4


def test_predictions_without_json() -> None:
    edit = {"word_before": "slept", "word_after": "slpet"}
    rows = [
        (0, "a", {"sentence": "It slpet."}, "good", "bad", 0.0, [edit]),
        (1, "b", {"question": "Who?", "context": "Anna."}, ["Anna"], {"text": "Anna", "null_odds": 0.1}, 1.0, []),
        (2, "c", {"tokens": ["Oslo", "waits"]}, ["B-LOC", "O"], None, 0.0, []),
    ]
    names = ("fields", "gold", "prediction", "edits")
    frame = pd.DataFrame(rows, columns=["row", "id", "fields", "gold", "prediction", "score", "edits"])
    frame = frame.assign(**{name: frame[name].map(json.dumps) for name in names})
    table = readable(frame)
    assert tuple(table.columns) == READABLE_COLUMNS
    assert table["text"].tolist() == ["It slpet.", "question: Who?\ncontext: Anna.", "Oslo waits"]
    assert table["gold"].tolist() == ["good", ["Anna"], ["B-LOC", "O"]]
    assert table["prediction"].tolist()[:2] == ["bad", "Anna"]
    assert table["prediction"].isna().tolist() == [False, False, True]
    assert table["edits"].tolist() == ["slept → slpet", "", ""]
    assert table["error"].isna().all()
    told = readable(frame.assign(error=[None, None, "it timed out"]))
    assert told["error"][2] == "it timed out"
