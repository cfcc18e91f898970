"""CharBERT: independence of padding, losses, precision, compilation, size, and inputs that are no good."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertModel,
)

from robustbench_char.common import InputError
from robustbench_char.models.charbert import (
    CharBertConfig,
    CharBertForMaskedLM,
    CharBertForQuestionAnswering,
    CharBertForSequenceClassification,
    CharBertForTokenClassification,
    CharBertModel,
    modeling,
)
from robustbench_char.models.charbert.character_encoders import character_lengths

pytestmark = pytest.mark.models
HEADS: list[Any] = [
    CharBertModel,
    CharBertForMaskedLM,
    CharBertForTokenClassification,
    CharBertForSequenceClassification,
    CharBertForQuestionAnswering,
]
BASES = ["bert", "roberta"]
STREAMS: dict[str, dict[str, Any]] = {
    "released": {},
    "residual": {"interaction": "residual", "character_unit": "word", "character_positions": True},
    "mixture": {"interaction": "residual", "character_unit": "piece", "character_positions": True},
}
both_kinds = pytest.mark.parametrize("streams", ["released", "residual"])


def sizes_of(plain: ModuleType, base: str = "bert") -> Any:
    return plain.Sizes(base=base, positions=520, types=1 if base == "roberta" else 2)


def made(
    plain: ModuleType, kind: Any = CharBertModel, base: str = "bert", streams: str = "released", **fields: Any
) -> Any:
    """Return a tiny model in eval mode, the same each time; its gates are open."""
    fields = {**plain.config_fields(sizes_of(plain, base)), "initializer_range": 0.3, **STREAMS[streams], **fields}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = kind(CharBertConfig(**fields)).eval()
        for name, weight in model.named_parameters():
            if ".gates." in name:
                nn.init.normal_(weight)
    return model


def sentences_of(plain: ModuleType, base: str, lengths: list[int], seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [plain.random_sentence(rng, sizes_of(plain, base), pieces) for pieces in lengths]


def batch_of(sentences: list[Any], *, pad: int, length: int = 0, seed: int = 0) -> dict[str, Tensor]:
    """Return sentences as a batch of `length` sub-words; but for the mask, what pads is noise.

    RoBERTa reads positions off its padding id, so sub-words are padded with `pad`.
    """
    rng = np.random.default_rng(seed)
    rows, width = len(sentences), max(length, *(len(one.ids) for one in sentences))
    room = max(len(one.chars) for one in sentences) + (length > 0) * 30
    batch = {
        "input_ids": np.full((rows, width), pad),
        "attention_mask": np.zeros((rows, width), int),
        "token_type_ids": np.zeros((rows, width), int),
        "char_input_ids": rng.integers(0, 40, (rows, room)),
        "start_ids": rng.integers(-3, 2 * room, (rows, width)),
        "end_ids": rng.integers(-3, 2 * room, (rows, width)),
    }
    for row, one in enumerate(sentences):
        real = len(one.ids)
        batch["char_input_ids"][row, : len(one.chars)] = one.chars
        values = (one.ids, 1, one.types, one.starts, one.ends)
        names = ("input_ids", "attention_mask", "token_type_ids", "start_ids", "end_ids")
        for name, value in zip(names, values, strict=True):
            batch[name][row, :real] = value
    return {name: torch.from_numpy(value) for name, value in batch.items()}


def tensors_of(outputs: Any, row: int, real: int) -> dict[str, Tensor]:
    """Return a row of all outputs, without padding."""
    flat = ("pooler_output", "character_pooler_output")
    return {
        name: value[row] if name in flat or (value.dim() == 2 and name == "logits") else value[row, :real]
        for name, value in outputs.items()
    }


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name in found:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("streams", STREAMS)
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("kind", HEADS)
def test_no_result_depends_on_padding(plain: ModuleType, kind: Any, base: str, streams: str) -> None:
    model = made(plain, kind, base, streams)
    pad = model.config.pad_token_id

    @settings(max_examples=4)
    @given(lengths=st.lists(st.integers(1, 30), min_size=2, max_size=4), seed=st.integers(0, 99))
    @torch.no_grad()
    def check(lengths: list[int], seed: int) -> None:
        sentences = sentences_of(plain, base, lengths, seed)
        together = model(**batch_of(sentences, pad=pad, seed=seed))
        wide = model(**batch_of(sentences[:1], pad=pad, length=512, seed=seed))
        for row, one in enumerate(sentences):
            alone = batch_of([one], pad=pad)
            unmasked = {name: value for name, value in alone.items() if name != "attention_mask"}
            real = len(one.ids)
            expected = tensors_of(model(**unmasked), 0, real)
            assert_same(tensors_of(model(**alone), 0, real), expected)
            assert_same(tensors_of(together, row, real), expected)
            if row == 0:
                assert_same(tensors_of(wide, 0, real), expected)

    check()


@both_kinds
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", HEADS)
@torch.no_grad()
def test_forms_of_the_mask_and_a_row_of_padding(
    plain: ModuleType, kind: Any, implementation: str, streams: str
) -> None:
    model = made(plain, kind, streams=streams)
    model.set_attn_implementation(implementation)
    batch = batch_of(sentences_of(plain, "bert", [6, 1, 11]), pad=0, length=20)
    expected = dict(model(**batch))
    for dtype in (torch.bool, torch.int32, torch.float32):
        assert_same(dict(model(**{**batch, "attention_mask": batch["attention_mask"].to(dtype)})), expected)
    longer = {name: torch.cat([values, values[:1]]) for name, values in batch.items()}
    longer["attention_mask"][3] = 0
    found = dict(model(**longer))
    assert all(values.isfinite().all() for values in found.values())
    assert_same({name: values[:3] for name, values in found.items()}, expected)


@pytest.mark.parametrize("base", BASES)
@torch.no_grad()
def test_the_loss_of_an_answer_does_not_depend_on_padding(plain: ModuleType, base: str) -> None:
    model = made(plain, CharBertForQuestionAnswering, base)
    sentences = sentences_of(plain, base, [6])
    alone, wide = (batch_of(sentences, pad=model.config.pad_token_id, length=length) for length in (0, 100))
    for end in (3, 6, 50):  # the answer; the first place that is none of the text's; another one
        positions = {"start_positions": torch.tensor([2]), "end_positions": torch.tensor([end])}
        torch.testing.assert_close(model(**wide, **positions).loss, model(**alone, **positions).loss)
    nothing = dict.fromkeys(("start_positions", "end_positions"), torch.tensor([6]))
    assert model(**wide, **nothing).loss.item() == 0.0


def test_characters_of_a_row_end_with_the_separator_of_its_last_real_sub_word() -> None:
    ends = torch.tensor([[0, 4, 7], [0, 4, 7], [0, 9, 9], [5, 5, 5]])
    real = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 1, 1], [0, 0, 0]]).bool()
    assert character_lengths(ends, real, 10).tolist() == [9, 6, 10, 1]
    assert character_lengths(ends, None, 10).tolist() == [9, 9, 10, 7]


def test_the_mean_of_a_text_is_over_its_real_sub_words(plain: ModuleType) -> None:
    model = made(plain, CharBertForSequenceClassification, num_labels=3)
    batch = batch_of(sentences_of(plain, "bert", [5, 9]), pad=0)
    outputs = model.charbert(**batch)
    both = torch.cat([outputs.last_hidden_state, outputs.character_hidden_state], -1)
    expected = model.classifier(torch.stack([both[0, :5].mean(0), both[1, :9].mean(0)]))
    torch.testing.assert_close(model(**batch).logits, expected)


def test_extra_parameters_at_the_size_of_the_reference(plain: ModuleType) -> None:
    sizes = {"vocab_size": 28996}
    with torch.device("meta"):
        ours = CharBertModel(CharBertConfig(**sizes, **plain.RELEASED, char_embedding_size=256))
        theirs = BertModel(BertConfig(**sizes))
    counts = [sum(weight.numel() for weight in model.parameters()) for model in (ours, theirs)]
    assert counts[0] - counts[1] == 5_497_088


def test_folding_changes_nothing(plain: ModuleType) -> None:
    """The folded kernel against linear maps and convolution one after the other."""
    part = made(plain).encoder.interaction
    words, chars = torch.randn(2, 3, 11, 16, generator=torch.Generator().manual_seed(0))
    mixed = part.fusion(torch.cat([part.word_linear(words), part.char_linear(chars)], -1).transpose(1, 2))
    mixed = mixed.transpose(1, 2)
    expected = (part.word_norm(mixed + words), part.char_norm(mixed + chars))
    torch.testing.assert_close(part(words, chars, part.kernel(), None, 0), expected, rtol=1e-5, atol=1e-5)


@both_kinds
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@torch.no_grad()
def test_streams_in_one_batch_and_one_after_the_other(
    plain: ModuleType, implementation: str, streams: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU takes both at once. The same either way, with padding."""
    model = made(plain, streams=streams)
    model.set_attn_implementation(implementation)
    batch = batch_of(sentences_of(plain, "bert", [6, 1, 11]), pad=0, length=20)
    expected = dict(model(**batch))
    monkeypatch.setattr(modeling, "_STREAMS_APART", ())
    assert_same(dict(model(**batch)), expected)


@pytest.mark.parametrize("length", [1, 2, 3, 8])
def test_mixing_two_neighbours_at_a_time_changes_nothing(plain: ModuleType, length: int) -> None:
    """The same as the convolution, result and gradients, for lengths that are odd, even or below its width."""
    part = made(plain, streams="residual").encoder.interaction
    words, chars = torch.randn(2, 3, length, 16, generator=torch.Generator().manual_seed(0))
    mixed = part.fusion(torch.cat([words, chars], -1).transpose(1, 2)).transpose(1, 2)
    expected = words + part.gates[0][0] * mixed, chars + part.gates[0][1] * mixed
    found = part(words, chars, part.kernel(), None, 0)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    weights = list(part.fusion.parameters())
    gradients = (torch.autograd.grad(sum((one**2).sum() for one in both), weights) for both in (found, expected))
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-3)


@both_kinds
@pytest.mark.parametrize("base", BASES)
@torch.no_grad()
def test_the_layers_compile_without_a_graph_break(plain: ModuleType, base: str, streams: str) -> None:
    model = made(plain, base=base, streams=streams)
    batch = batch_of(sentences_of(plain, base, [5, 9]), pad=model.config.pad_token_id)
    expected = model(**batch)
    torch.compiler.reset()
    model.encoder.compile(fullgraph=True, backend="aot_eager")
    found = model(**batch)
    assert_same(dict(found), dict(expected))


@both_kinds
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@torch.no_grad()
def test_attention_implementations_agree(plain: ModuleType, implementation: str, streams: str) -> None:
    model = made(plain, streams=streams)
    assert model.config._attn_implementation == "sdpa"
    batch = batch_of(sentences_of(plain, "bert", [5, 9]), pad=0)
    expected = dict(model(**batch))
    model.set_attn_implementation(implementation)
    assert_same(dict(model(**batch)), expected)


@both_kinds
def test_bfloat16(plain: ModuleType, streams: str) -> None:
    """Under autocast, with a backward pass, and with the whole model in bfloat16: near the single-precision result."""
    model = made(plain, CharBertForMaskedLM, streams=streams, initializer_range=0.05)
    batch = batch_of(sentences_of(plain, "bert", [5, 9]), pad=0)
    labels = {"labels": batch["input_ids"], "nlm_labels": batch["input_ids"] % 30}
    expected = model(**batch, **labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = model(**batch, **labels)
    mixed.loss.backward()
    assert all(weight.grad.isfinite().all() for name, weight in model.named_parameters())
    low = model.to(torch.bfloat16)(**batch, **labels)
    assert low.logits.dtype == torch.bfloat16
    for outputs in (mixed, low):
        torch.testing.assert_close(outputs.loss, expected.loss, rtol=0.02, atol=0.02)
        torch.testing.assert_close(outputs.logits.float(), expected.logits, rtol=0.1, atol=0.05)


@pytest.mark.parametrize("streams", STREAMS)
def test_every_weight_learns(plain: ModuleType, streams: str) -> None:
    model = made(plain, CharBertForMaskedLM, streams=streams)
    batch = batch_of(sentences_of(plain, "bert", [5, 9]), pad=0)
    model(**batch, labels=batch["input_ids"], nlm_labels=batch["input_ids"] % 30).loss.backward()
    still = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert still == []


def losses_case(plain: ModuleType) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    batch = batch_of(sentences_of(plain, "bert", [5, 9]), pad=0)
    labels = torch.full((2, 9), -100)
    labels[0, 1], labels[1, 4], labels[1, 8] = 7, 9, 3
    nlm_labels = torch.full((2, 9), -100)
    nlm_labels[0, 2], nlm_labels[1, 5] = 29, 0
    return batch, labels, nlm_labels


def test_losses_of_the_masked_lm(plain: ModuleType) -> None:
    model = made(plain, CharBertForMaskedLM)
    batch, labels, nlm_labels = losses_case(plain)
    full = model(**batch, labels=labels, nlm_labels=nlm_labels)
    expected = nn.functional.cross_entropy(full.logits.flatten(0, 1), labels.flatten())
    nlm_expected = nn.functional.cross_entropy(full.nlm_logits.flatten(0, 1), nlm_labels.flatten())
    torch.testing.assert_close(full.mlm_loss, expected)
    torch.testing.assert_close(full.nlm_loss, nlm_expected)
    torch.testing.assert_close(full.loss, expected + nlm_expected)

    alone = model(**batch, labels=labels)
    torch.testing.assert_close(alone.loss, expected)
    assert alone.nlm_loss is None


def test_sparse_prediction_computes_labelled_positions_only(plain: ModuleType) -> None:
    batch, labels, nlm_labels = losses_case(plain)
    full = made(plain, CharBertForMaskedLM)(**batch, labels=labels, nlm_labels=nlm_labels)
    sparse_model = made(plain, CharBertForMaskedLM, sparse_prediction=True)
    sparse = sparse_model(**batch, labels=labels, nlm_labels=nlm_labels)
    torch.testing.assert_close(sparse.logits, full.logits[labels != -100])
    torch.testing.assert_close(sparse.nlm_logits, full.nlm_logits[nlm_labels != -100])
    for name in ("loss", "mlm_loss", "nlm_loss"):
        torch.testing.assert_close(sparse[name], full[name])
    torch.testing.assert_close(sparse_model(**batch).logits, full.logits)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_part_without_targets_has_no_loss(plain: ModuleType, sparse: bool) -> None:
    model = made(plain, CharBertForMaskedLM, sparse_prediction=sparse)
    batch, labels, _ = losses_case(plain)
    nothing = torch.full_like(labels, -100)
    outputs = model(**batch, labels=labels, nlm_labels=nothing)
    assert outputs.nlm_loss.item() == 0.0
    torch.testing.assert_close(outputs.loss, outputs.mlm_loss)
    model(**batch, labels=nothing, nlm_labels=nothing).loss.backward()
    assert all(weight.grad is not None and not weight.grad.any() for weight in model.nlm_head.parameters())


def test_losses_of_the_task_heads(plain: ModuleType) -> None:
    batch, labels, _ = losses_case(plain)
    tagging = made(plain, CharBertForTokenClassification, num_labels=10)(**batch, labels=labels)
    expected = nn.functional.cross_entropy(tagging.logits.flatten(0, 1), labels.flatten())
    torch.testing.assert_close(tagging.loss, expected)

    classes = torch.tensor([2, 0])
    whole = made(plain, CharBertForSequenceClassification, num_labels=3)(**batch, labels=classes)
    torch.testing.assert_close(whole.loss, nn.functional.cross_entropy(whole.logits, classes))
    number = made(plain, CharBertForSequenceClassification, num_labels=1)(**batch, labels=torch.tensor([0.5, 2.0]))
    expected = ((number.logits.squeeze(-1) - torch.tensor([0.5, 2.0])) ** 2).mean()
    torch.testing.assert_close(number.loss, expected)

    starts, ends = torch.tensor([1, 3]), torch.tensor([2, 99])  # the last answer ends beyond the window
    spans = made(plain, CharBertForQuestionAnswering)(**batch, start_positions=starts, end_positions=ends)
    first = nn.functional.cross_entropy(spans.start_logits.where(batch["attention_mask"] == 1, -1e9), starts)
    last = nn.functional.cross_entropy(spans.end_logits[:1, :5], ends[:1])  # the first sentence has five sub-words
    torch.testing.assert_close(spans.loss, (first + last) / 2)


def test_tuples_and_hidden_states(plain: ModuleType) -> None:
    model = made(plain, CharBertForTokenClassification)
    batch = batch_of(sentences_of(plain, "bert", [5, 9]), pad=0)
    outputs = model(**batch, output_hidden_states=True)
    assert [tuple(states.shape) for states in outputs.hidden_states] == [(2, 9, 16)] * 3
    logits, hidden_states = model(**batch, output_hidden_states=True, return_dict=False)
    torch.testing.assert_close(logits, outputs.logits)
    assert len(hidden_states) == 3


def test_inputs_that_are_missing(plain: ModuleType) -> None:
    with pytest.raises(InputError, match=r"found no char_input_ids, start_ids, end_ids.*CharBertProcessor"):
        made(plain)(torch.ones(1, 3, dtype=torch.long))


@pytest.mark.parametrize(("base", "most"), [("bert", 520), ("roberta", 518)])
def test_inputs_that_are_too_long(plain: ModuleType, base: str, most: int) -> None:
    model = made(plain, base=base)
    sentences = sentences_of(plain, base, [3])
    with torch.no_grad():
        model(**batch_of(sentences, pad=model.config.pad_token_id, length=most))
    with pytest.raises(InputError, match=rf"found {most + 1} sub-words; expected at most {most}"):
        model(**batch_of(sentences, pad=model.config.pad_token_id, length=most + 1))


def test_noisy_words_without_their_head(plain: ModuleType) -> None:
    model = made(plain, CharBertForMaskedLM, term_vocab_size=None)
    batch, labels, nlm_labels = losses_case(plain)
    assert model(**batch, labels=labels).nlm_logits is None
    with pytest.raises(InputError, match=r"nlm_labels: found a model without the head.*term_vocab_size"):
        model(**batch, nlm_labels=nlm_labels)
