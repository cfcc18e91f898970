"""Tiny models for tests: random weights from a seed, and word pieces for the few words that the tests use."""

from __future__ import annotations

import string
from pathlib import Path

import torch
from transformers import BertConfig, BertModel, BertTokenizer, RobertaConfig, RobertaModel, RobertaTokenizer

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
