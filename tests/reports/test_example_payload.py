"""What the explorer holds: which examples, their texts and predictions, the distances of their words, and how much."""

from __future__ import annotations

import base64
import json
import shutil
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from robustbench_char.analysis.pairs import pair_records
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.records.evaluation import find_records, read_record, write_record
from robustbench_char.records.sensitivity import SensitivityRecord
from robustbench_char.reports import write_report
from robustbench_char.reports.examples._choice import Changed, changed_examples
from robustbench_char.reports.examples._payload import sample, word_distances

Make = Callable[..., Path]


def changed_in(root: Path) -> list[Changed]:
    return changed_examples(pair_records(find_records([root])))


def joined(parts: list[str], without: int) -> str:
    """Return a text from its parts: the clean one without the inserted (2), the attacked without the removed (1)."""
    return "".join(part for place, part in enumerate(parts) if place % 3 != without)


def test_it_holds_what_the_predictions_say(make_runs: Make) -> None:
    changed = changed_in(make_runs(("qnli", "conll2003", "squad_v2"), count=30))
    found, packed = sample(changed)
    assert json.loads(zlib.decompress(base64.b64decode(packed))) == found.data
    assert found.shown == found.total == sum(len(table) for _, table in changed) == len(found.data["results"])
    frames = {
        (pair.attacked.task, pair.attacked.condition): [
            pd.read_parquet(folder / "predictions.parquet").set_index("id")
            for folder in (pair.clean_folder, pair.attacked_folder)
            if folder
        ]
        for pair, _ in changed
    }
    for example, _, _, before, after, _ in found.data["results"]:
        task, suite, name, fields, _, gold, _ = found.data["examples"][example]
        key = found.data["tasks"][task], found.data["suites"][suite]
        for without, frame, said in zip((2, 1), frames[key], (before, after), strict=True):
            row = frame.loc[name]
            assert {field: joined(parts, without) for field, parts in fields} == {
                field: value if isinstance(value, str) else " ".join(value)
                for field, value in json.loads(row["fields"]).items()
            }
            assert said == shown(json.loads(row["prediction"]))
            assert gold == shown(json.loads(row["gold"]), key[0] == "squad_v2")


def shown(value: Any, answers: bool = False) -> str:
    if isinstance(value, list):
        return (" | " if answers else " ").join("∅" if one is None else one for one in value)
    return str(value["text"] if isinstance(value, dict) else value)


def test_a_sample_is_the_same_each_time_and_balanced(make_runs: Make) -> None:
    root = make_runs(("qnli", "conll2003"), ("bert", "charbert"), count=40)
    found, packed = sample(changed_in(root), most=80)
    assert found.shown == 80
    assert found.total == 8 * 34
    groups = Counter((*found.data["examples"][example][:2], system)
                     for example, system, *_ in found.data["results"])  # fmt: skip
    assert set(groups.values()) == {10}
    assert len(groups) == 8
    assert len(found.data["examples"]) == 40  # texts once for both systems
    again, repacked = sample(changed_in(root), most=80)
    assert (again, repacked) == (found, packed)
    fewer, _ = sample(changed_in(root), most=16)
    assert {example[2] for example in fewer.data["examples"]} <= {example[2] for example in found.data["examples"]}


def test_it_stays_within_its_bytes(make_runs: Make) -> None:
    changed = changed_in(make_runs(("squad_v2",), count=120))
    whole, packed = sample(changed)
    part, smaller = sample(changed, most_bytes=len(packed) // 3)
    assert len(smaller) <= len(packed) // 3
    assert 0 < part.shown < whole.shown
    assert part.total == whole.total


def test_the_page_states_the_share(make_runs: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = make_runs(count=70)
    page = write_report([runs], tmp_path / "all").read_text(encoding="utf-8")
    assert "The explorer holds all 120 results" in page
    monkeypatch.setattr(sample, "__kwdefaults__", {**(sample.__kwdefaults__ or {}), "most": 50})
    page = write_report([runs], tmp_path / "some").read_text(encoding="utf-8")
    assert "The explorer holds 50 of 120 results" in page


def test_seeds_are_told_apart(make_runs: Make) -> None:
    for seed in (0, 1):
        for attack_seed in (1, 2):
            root = make_runs(suites=("drop",), count=14, seed=seed, attack_seed=attack_seed)
        shutil.rmtree(root / f"qnli-bert-{seed}-clean-2")
    data = sample(changed_in(root))[0].data
    assert sorted(data["systems"]) == ["bert (seed 0)", "bert (seed 1)"]
    assert sorted(data["suites"]) == ["drop (seed 1)", "drop (seed 2)"]


def test_distances_are_those_of_the_words_between_spaces() -> None:
    table = pd.DataFrame(
        {
            "row": [3, 3, 3, 3, 4],
            "field": ["text", "text", "text", "other", "text"],
            "start": [0, 4, 9, 0, 0],
            "distance": [0.126, 0.5, float("nan"), 0.9, 0.25],
        }
    )
    look_up = word_distances(table)
    assert look_up(3, "text", "rock-face gone now") == [0.5, None, None]
    assert look_up(3, "other", "rock") == [0.9]
    assert look_up(4, "text", "rock face") == [0.25, None]
    assert look_up(5, "text", "rock") == 0
    assert word_distances(None)(3, "text", "rock") == 0


def test_words_of_a_measurement_shade_the_results_of_its_system(make_runs: Make, tmp_path: Path) -> None:
    changed = changed_in(make_runs(systems=("bert", "charbert"), suites=("drop",), count=10))
    table = pd.DataFrame(
        {"row": [1], "field": ["question"], "word": [0], "start": [0], "changed": [False], "operator": [""],
         "pieces_clean": [1], "pieces_attacked": [1], "length": [5], "distance": [0.31]}
    )  # fmt: skip
    table.to_parquet(tmp_path / "words.parquet", index=False)
    attacked = changed[0].pair.attacked
    record = SensitivityRecord.model_construct(
        task="qnli", system=attacked.system, attacked_sha256=attacked.data.sha256,
        words_sha256=sha256_file(tmp_path / "words.parquet"),
    )  # fmt: skip
    data = sample(changed, [(tmp_path, record)])[0].data
    shaded = [(data["examples"][example][2], data["systems"][system], moved)
              for example, system, *_, moved in data["results"] if moved]  # fmt: skip
    assert shaded == [("qnli-1", "bert", [[0.31, *[None] * 5], 0])]


def test_an_edit_that_is_not_in_its_text(make_runs: Make) -> None:
    root = make_runs(suites=("add",), count=20)
    folder = root / "qnli-bert-0-add-1"
    frame = pd.read_parquet(folder / "predictions.parquet")
    frame["edits"] = frame["edits"].str.replace('"inserted": "x"', '"inserted": "xyz"')
    frame.to_parquet(folder / "predictions.parquet", index=False)
    sha = sha256_file(folder / "predictions.parquet")
    write_record(folder, read_record(folder / "record.json").model_copy(update={"predictions_sha256": sha}))
    with pytest.raises(InputError, match=r"an edit that is not in the text \(the text at \d+ is '.*', not 'xyz'\)"):
        sample(changed_in(root))
