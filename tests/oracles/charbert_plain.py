"""CharBERT a second time, plainly: one sentence at a time, in numpy and double precision, from the published formulas.

Weights are named as in the released checkpoints, without the prefix `bert.` or `roberta.`. Nothing here knows padding:
a sentence has as many sub-words and characters as it has.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
RELEASED = {"interaction": "released", "character_unit": "piece", "character_positions": False}
Weights = dict[str, Array]


class Sizes(NamedTuple):
    """Sizes of a tiny model; `base` is bert or roberta, `terms` the number of words that the masked LM predicts."""

    base: str = "bert"
    vocab: int = 60
    hidden: int = 16
    layers: int = 2
    heads: int = 4
    inner: int = 24
    positions: int = 80
    types: int = 2
    chars: int = 40
    char_size: int = 12
    terms: int = 30
    eps: float = 1e-5
    act: str = "gelu"


class Sentence(NamedTuple):
    """The inputs of one sentence, without padding."""

    ids: list[int]
    types: list[int]
    chars: list[int]
    starts: list[int]
    ends: list[int]


def random_sentence(rng: np.random.Generator, sizes: Sizes, pieces: int) -> Sentence:
    """Return random pieces of one to seven characters, each followed by a separator (character 2)."""
    chars, starts, ends = [], [], []
    for _ in range(pieces):
        piece = rng.integers(5, sizes.chars, rng.integers(1, 8)).tolist()
        starts.append(len(chars))
        chars += piece
        ends.append(len(chars) - 1)
        chars.append(2)
    types = np.sort(rng.integers(0, sizes.types, pieces)).tolist()
    return Sentence(rng.integers(5, sizes.vocab, pieces).tolist(), types, chars, starts, ends)


def random_weights(rng: np.random.Generator, sizes: Sizes) -> Weights:
    """Return random weights of the encoder with all its parts, named as in the released checkpoints."""
    h, q = sizes.hidden, sizes.hidden // 4
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (sizes.vocab, h),
        "embeddings.position_embeddings.weight": (sizes.positions, h),
        "embeddings.token_type_embeddings.weight": (sizes.types, h),
        "char_embeddings.char_embeddings.weight": (sizes.chars, sizes.char_size),
        "encoder.word_linear1.weight": (h, h),
        "encoder.char_linear1.weight": (h, h),
        **_dense("pooler.dense", h, h),
        **_norms("embeddings.LayerNorm", "encoder.word_norm", "encoder.char_norm", size=h),
    }
    for way in ("", "_reverse"):
        gru = "char_embeddings.rnn_layer."
        shapes |= {f"{gru}weight_ih_l0{way}": (3 * q, sizes.char_size), f"{gru}weight_hh_l0{way}": (3 * q, q)}
        shapes |= {f"{gru}bias_ih_l0{way}": (3 * q,), f"{gru}bias_hh_l0{way}": (3 * q,)}
    for index in range(sizes.layers):
        layer = f"encoder.layer.{index}."
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            shapes |= _dense(f"{layer}attention.{part}", h, h)
        shapes |= _dense(f"{layer}intermediate.dense", sizes.inner, h) | _dense(f"{layer}output.dense", h, sizes.inner)
        shapes |= _norms(f"{layer}attention.output.LayerNorm", f"{layer}output.LayerNorm", size=h)
    weights = {name: rng.normal(0, 0.4, shape) for name, shape in shapes.items()}
    fusion = {"weight": rng.normal(0, 0.2, (h, 2 * h, 3)), "bias": rng.normal(0, 0.2, h)}
    names = ["fusion_layer"] if sizes.base == "roberta" else [f"fusion_layer_list.{i}" for i in range(sizes.layers)]
    return weights | {f"encoder.{name}.{part}": value for name in names for part, value in fusion.items()}


def _dense(name: str, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def _norms(*names: str, size: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.{part}": (size,) for name in names for part in ("weight", "bias")}


def masked_lm_weights(rng: np.random.Generator, sizes: Sizes) -> Weights:
    """Return random weights of the two heads of the masked LM; the tied decoder is no weight of its own."""
    h = sizes.hidden
    if sizes.base == "roberta":
        shapes = (
            _dense("lm_head.dense", h, h) | _dense("lm_head.char_dense", h, h) | _norms("lm_head.layer_norm", size=h)
        )
        shapes |= {"lm_head.bias": (sizes.vocab,)} | _dense("lm_head.adv_decoder", sizes.terms, h)
    else:
        head = "cls.predictions."
        shapes = _dense(f"{head}transform.dense", h, h) | _dense(f"{head}adv_transform.dense", h, h)
        shapes |= _norms(f"{head}transform.LayerNorm", f"{head}adv_transform.LayerNorm", size=h)
        shapes |= {f"{head}bias": (sizes.vocab,)} | _dense(f"{head}adv_decoder", sizes.terms, h)
    return {name: rng.normal(0, 0.4, shape) for name, shape in shapes.items()}


def encode(weights: Weights, sentence: Sentence, sizes: Sizes) -> tuple[list[Array], list[Array]]:
    """Return the states of the sub-word stream and of the character stream, before the first and after each layer."""
    words = [_sub_words(weights, sentence, sizes)]
    characters = [_characters(weights, sentence)]
    for index in range(sizes.layers):
        left = _transformer_layer(weights, f"encoder.layer.{index}.", words[-1], sizes)
        right = _transformer_layer(weights, f"encoder.layer.{index}.", characters[-1], sizes)
        name = "encoder.fusion_layer" if sizes.base == "roberta" else f"encoder.fusion_layer_list.{index}"
        mixed = _convolution(
            weights[f"{name}.weight"],
            weights[f"{name}.bias"],
            np.concatenate(
                [left @ weights["encoder.word_linear1.weight"].T, right @ weights["encoder.char_linear1.weight"].T],
                axis=1,
            ),
        )
        words.append(_norm(weights, "encoder.word_norm", mixed + left, sizes.eps))
        characters.append(_norm(weights, "encoder.char_norm", mixed + right, sizes.eps))
    return words, characters


def pooled(weights: Weights, states: Array) -> Array:
    """Return the pooler's view of the first sub-word of a stream."""
    return np.tanh(_linear(weights, "pooler.dense", states[0]))


def token_labels(weights: Weights, words: Array, characters: Array) -> Array:
    """Return the logits of token classification."""
    return _linear(weights, "classifier", np.concatenate([words, characters], axis=1))


def sequence_label(weights: Weights, words: Array, characters: Array, name: str = "classifier") -> Array:
    """Return the logits of sequence classification."""
    return _linear(weights, name, np.concatenate([words, characters], axis=1).mean(axis=0))


def answer(weights: Weights, words: Array, characters: Array) -> Array:
    """Return start and end logits of question answering, as two columns."""
    return _linear(weights, "qa_outputs", np.concatenate([words, characters], axis=1))


def masked_lm(weights: Weights, words: Array, characters: Array, sizes: Sizes) -> tuple[Array, Array]:
    """Return the logits of sub-words and those of whole words; `weights` are those of encoder and heads together."""
    if sizes.base == "roberta":
        names = ("lm_head.dense", "lm_head.layer_norm", "lm_head.char_dense", "lm_head.layer_norm", "lm_head.")
    else:
        head = "cls.predictions."
        names = (f"{head}transform.dense", f"{head}transform.LayerNorm")
        names += (f"{head}adv_transform.dense", f"{head}adv_transform.LayerNorm", head)
    act = _gelu if sizes.base == "roberta" else _ACTS[sizes.act]  # as the reference has it, whatever the layers have
    left = _norm(weights, names[1], act(_linear(weights, names[0], words)), sizes.eps)
    right = _norm(weights, names[3], act(_linear(weights, names[2], characters)), sizes.eps)
    sub_words = left @ weights["embeddings.word_embeddings.weight"].T + weights[f"{names[4]}bias"]
    return sub_words, _linear(weights, f"{names[4]}adv_decoder", right)


def _sub_words(weights: Weights, sentence: Sentence, sizes: Sizes) -> Array:
    first = 2 if sizes.base == "roberta" else 0  # RoBERTa counts from after its padding index, which is 1
    rows = []
    for place, (piece, kind) in enumerate(zip(sentence.ids, sentence.types, strict=True)):
        rows.append(
            weights["embeddings.word_embeddings.weight"][piece]
            + weights["embeddings.position_embeddings.weight"][first + place]
            + weights["embeddings.token_type_embeddings.weight"][kind]
        )
    return _norm(weights, "embeddings.LayerNorm", np.stack(rows), sizes.eps)


def _characters(weights: Weights, sentence: Sentence) -> Array:
    inputs = [weights["char_embeddings.char_embeddings.weight"][char] for char in sentence.chars]
    forward = _gru(weights, "", inputs)
    backward = _gru(weights, "_reverse", inputs[::-1])[::-1]
    states = [np.concatenate(pair) for pair in zip(forward, backward, strict=True)]
    ends = zip(sentence.starts, sentence.ends, strict=True)
    return np.stack([np.concatenate([states[start], states[end]]) for start, end in ends])


def _gru(weights: Weights, way: str, inputs: list[Array]) -> list[Array]:
    given = {
        name: weights[f"char_embeddings.rnn_layer.{name}_l0{way}"]
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }
    state = np.zeros(given["weight_hh"].shape[1])
    states = []
    for x in inputs:
        reset_x, update_x, new_x = np.split(given["weight_ih"] @ x + given["bias_ih"], 3)
        reset_h, update_h, new_h = np.split(given["weight_hh"] @ state + given["bias_hh"], 3)
        reset, update = _sigmoid(reset_x + reset_h), _sigmoid(update_x + update_h)
        state = (1 - update) * np.tanh(new_x + reset * new_h) + update * state
        states.append(state)
    return states


def _transformer_layer(weights: Weights, layer: str, states: Array, sizes: Sizes) -> Array:
    query, key, value = (
        _linear(weights, f"{layer}attention.self.{name}", states) for name in ("query", "key", "value")
    )
    size = sizes.hidden // sizes.heads
    heads = []
    for first in range(0, sizes.hidden, size):
        part = slice(first, first + size)
        scores = query[:, part] @ key[:, part].T / math.sqrt(size)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        heads.append(shares / shares.sum(axis=1, keepdims=True) @ value[:, part])
    attended = _linear(weights, f"{layer}attention.output.dense", np.concatenate(heads, axis=1))
    states = _norm(weights, f"{layer}attention.output.LayerNorm", attended + states, sizes.eps)
    inner = _ACTS[sizes.act](_linear(weights, f"{layer}intermediate.dense", states))
    outer = _linear(weights, f"{layer}output.dense", inner)
    return _norm(weights, f"{layer}output.LayerNorm", outer + states, sizes.eps)


def _convolution(kernel: Array, bias: Array, states: Array) -> Array:
    """Slide a kernel [out, in, 3] over rows; beyond both ends there is nothing."""
    rows = []
    for place in range(len(states)):
        row = bias.copy()
        for step in range(3):
            neighbour = place + step - 1
            if 0 <= neighbour < len(states):
                row = row + kernel[:, :, step] @ states[neighbour]
        rows.append(row)
    return np.stack(rows)


def _linear(weights: Weights, name: str, states: Array) -> Array:
    return states @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _norm(weights: Weights, name: str, states: Array, eps: float) -> Array:
    mean, variance = states.mean(axis=-1, keepdims=True), states.var(axis=-1, keepdims=True)
    return (states - mean) / np.sqrt(variance + eps) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _gelu(states: Array) -> Array:
    return states * 0.5 * (1 + np.vectorize(math.erf)(states / math.sqrt(2)))


_ACTS = {"gelu": _gelu, "relu": lambda states: np.maximum(states, 0.0)}


def _sigmoid(states: Array) -> Array:
    return 1 / (1 + np.exp(-states))


def config_fields(sizes: Sizes) -> dict[str, Any]:
    """Return the sizes under the names that a CharBertConfig has for them, and that the formulas are as released."""
    return {
        "base_type": sizes.base,
        "vocab_size": sizes.vocab,
        "hidden_size": sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "intermediate_size": sizes.inner,
        "max_position_embeddings": sizes.positions,
        "type_vocab_size": sizes.types,
        "layer_norm_eps": sizes.eps,
        "hidden_act": sizes.act,
        "char_vocab_size": sizes.chars,
        "char_embedding_size": sizes.char_size,
        "term_vocab_size": sizes.terms,
        "pad_token_id": 1 if sizes.base == "roberta" else 0,
        **RELEASED,
    }
