"""Tiny models for tests: random weights from a seed, and word pieces for the few words that the tests use."""

from __future__ import annotations

import string
from pathlib import Path

import torch
from transformers import (
    AutoModel,
    BertConfig,
    BertModel,
    BertTokenizer,
    ByT5Tokenizer,
    CanineConfig,
    CanineTokenizer,
    DistilBertConfig,
    PreTrainedConfig,
    RobertaConfig,
    RobertaModel,
    RobertaTokenizer,
    T5Config,
    T5EncoderModel,
)
from transformers.models.prophetnet.tokenization_prophetnet import ProphetNetTokenizer

WORDS = [
    "a",
    "the",
    "of",
    "is",
    "was",
    "in",
    "and",
    "not",
    "very",
    "film",
    "book",
    "meal",
    "walk",
    "good",
    "bad",
    "great",
    "poor",
    "fine",
    "awful",
    "red",
    "blue",
    "green",
    "grey",
    "black",
    "white",
    "anna",
    "karl",
    "maria",
    "peter",
    "olga",
    "berlin",
    "paris",
    "london",
    "oslo",
    "madrid",
    "acme",
    "went",
    "lives",
    "sees",
    "colour",
    "house",
    "boat",
    "door",
    "coat",
    "hat",
    "what",
    "sky",
    "cat",
    "lamp",
    "desk",
    "car",
    "bike",
    "tree",
]


def bert_base(folder: Path, *, layers: int = 2, seed: int = 0, positions: int = 64) -> Path:
    """Save a BERT encoder of 32 dimensions with its tokenizer."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [mark + letter for mark in ("", "##") for letter in string.ascii_lowercase + string.digits + ".,?!'-"]
    tokens = list(dict.fromkeys([*specials, *letters, *WORDS]))
    tokenizer = BertTokenizer(vocab={token: index for index, token in enumerate(tokens)})
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=positions,
        initializer_range=0.2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def roberta_base(folder: Path, *, seed: int = 0) -> Path:
    """Save a RoBERTa encoder of 16 dimensions whose pieces are single bytes."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *bytes_to_unicode().values()]
    tokenizer = RobertaTokenizer(vocab={token: index for index, token in enumerate(tokens)}, merges=[])
    config = RobertaConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=66,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        RobertaModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def canine_base(folder: Path, *, seed: int = 0) -> Path:
    """Save a CANINE of 16 dimensions that looks at chunks of 16 characters."""
    config = CanineConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_hash_buckets=512,
        max_position_embeddings=512,
        local_transformer_stride=16,
        initializer_range=0.2,
    )
    CanineTokenizer(model_max_length=512).save_pretrained(folder)
    return _random(config, folder, seed)


def byt5_base(folder: Path, *, seed: int = 0) -> Path:
    """Save an encoder of ByT5's kind, of 16 dimensions."""
    config = T5Config(
        vocab_size=384, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, feed_forward_proj="gated-gelu"
    )
    ByT5Tokenizer().save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        T5EncoderModel(config).save_pretrained(folder)
    return folder


def distilbert_base(folder: Path, *, seed: int = 0) -> Path:
    """Save a DistilBERT of 16 dimensions with the tokenizer of `bert_base`."""
    tokenizer = BertTokenizer.from_pretrained(bert_base(folder))
    size = {"vocab_size": len(tokenizer), "max_position_embeddings": 64}
    return _random(DistilBertConfig(**size, dim=16, n_layers=1, n_heads=2, hidden_dim=32), folder, seed)


def slow_bert_base(folder: Path) -> Path:
    """Save the encoder of `bert_base` with the same pieces, but a tokenizer that does not say where they stand."""
    vocabulary = BertTokenizer.from_pretrained(bert_base(folder)).get_vocab()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    words = sorted(vocabulary, key=vocabulary.__getitem__)
    (folder / "words.txt").write_text("\n".join(words), encoding="utf-8")
    tokenizer = ProphetNetTokenizer(
        str(folder / "words.txt"), sep_token="[SEP]", cls_token="[CLS]", pad_token="[PAD]", mask_token="[MASK]"
    )
    tokenizer.save_pretrained(folder)
    return folder


def _random(config: PreTrainedConfig, folder: Path, seed: int) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        AutoModel.from_config(config).save_pretrained(folder)
    return folder
