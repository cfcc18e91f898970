"""CharBERT from pre-training to scores, as new models are and as released: words with marks and digits, gates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from robustbench_char.common import InputError
from robustbench_char.inference.evaluate import evaluate
from robustbench_char.inference.systems import load_system
from robustbench_char.tasks.base import Example

pytestmark = pytest.mark.models
WORDS = ("don't", "see", "AT&T", "in", "3rd", "Zürich-West", "東京", "...")
HELD = {
    "tagging": Example(0, "0", "k", {"tokens": WORDS}, ("O", "O", "B-ORG", "O", "O", "B-LOC", "B-LOC", "O")),
    "classification": Example(0, "0", "k", {"sentence": " ".join(WORDS)}, "yes"),
}
KINDS: dict[str, tuple[dict[str, Any], tuple[str, str, bool]]] = {
    "residual": ({}, ("residual", "word", True)),
    "released": ({"interaction": "released"}, ("released", "piece", False)),
    "pieces": ({"character_unit": "piece", "character_positions": False}, ("residual", "piece", False)),
    "none": ({"interaction": "none"}, ("none", "word", True)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("base", ["tiny_base", "roberta"])
def test_from_text_to_scores(
    base: str, kind: str, pretrain_tiny: Any, train_tiny: Any, make_file: Any, request: pytest.FixtureRequest
) -> None:
    options, streams = KINDS[kind]
    encoder = pretrain_tiny("charbert", base=request.getfixturevalue(base), steps=2, **options)
    said = json.loads((encoder / "config.json").read_text())
    names = ("interaction", "character_unit", "character_positions")
    assert tuple(said[name] for name in names) == streams
    settings = json.loads((encoder / "pretraining.json").read_text())["settings"]
    assert tuple(settings[name] for name in names) == streams
    for family, example in HELD.items():
        file = make_file(family, held=(example,) * 8)
        folder = train_tiny(family, file, name=family, system="charbert", base=str(encoder), epochs=1)
        system = load_system(folder)
        record = evaluate(system, file, progress=False).record
        assert (record.system.gates is None) == (streams[0] != "residual")
        if record.system.gates:
            layers = said["num_hidden_layers"]
            assert {name: len(gates) for name, gates in record.system.gates.items()} == {
                "sub_words": layers,
                "characters": layers,
            }
            assert any(any(gates) for gates in record.system.gates.values())


def test_a_base_that_goes_on_keeps_how_it_reads(pretrain_tiny: Any, tmp_path: Path) -> None:
    first = pretrain_tiny("charbert", name="first", steps=1, interaction="released")
    folder = pretrain_tiny("charbert", base=str(first), steps=1)
    assert json.loads((folder / "config.json").read_text())["character_unit"] == "piece"
    with pytest.raises(
        InputError, match=r"interaction=: found residual; expected released, as the base was pre-trained"
    ):
        pretrain_tiny("charbert", base=str(first), steps=1, name="other", interaction="residual")
    assert not (tmp_path / "other").exists()


def test_a_charbert_base_must_have_all_of_its_encoder(pretrain_tiny: Any) -> None:
    first = pretrain_tiny("charbert", name="first", steps=1)
    config = json.loads((first / "config.json").read_text())
    (first / "config.json").write_text(json.dumps({**config, "interaction": "released"}))
    with pytest.raises(InputError, match=r"found charbert\.encoder\.interaction\.\S+, which has no place"):
        pretrain_tiny("charbert", base=str(first), steps=1)
