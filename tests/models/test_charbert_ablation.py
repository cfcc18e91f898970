"""CharBERT without its interaction: two streams through the same layers that never meet."""

from __future__ import annotations

import torch

from robustbench_char.models.charbert import CharBertConfig, CharBertModel


def model(interaction: str) -> CharBertModel:
    torch.manual_seed(0)
    config = CharBertConfig(
        vocab_size=30, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=16, char_vocab_size=12, char_embedding_size=6, interaction=interaction,
    )  # fmt: skip
    return CharBertModel(config).eval()


def states(one: CharBertModel, characters: list[int]) -> torch.Tensor:
    ids = torch.tensor([[2, 5, 3]])
    found = one(input_ids=ids, char_input_ids=torch.tensor([characters]), start_ids=torch.tensor([[0, 2, 5]]),
                end_ids=torch.tensor([[0, 3, 5]]))  # fmt: skip
    return found.last_hidden_state


def test_characters_reach_the_words_only_through_the_interaction() -> None:
    one, other = [0, 0, 4, 5, 0, 0, 0], [0, 0, 7, 8, 0, 0, 0]
    apart, together = model("none"), model("released")
    assert torch.equal(states(apart, one), states(apart, other))
    assert not torch.allclose(states(together, one), states(together, other))


def test_it_has_fewer_parameters() -> None:
    whole, apart = ({name for name, _ in model(kind).named_parameters()} for kind in ("residual", "none"))
    names = whole - apart
    assert names
    assert all("interaction" in name for name in names)
