"""Batches: what is padded with what, and an order that groups lengths without losing or repeating anything."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robustbench_char.training.batches import Collator, LengthGroupedSampler

pytestmark = pytest.mark.models


def test_padding_by_name() -> None:
    features = [
        {"input_ids": np.array([5, 6, 7]), "labels": np.array([1, 1, 1]), "start_positions": 2},
        {"input_ids": np.array([8]), "labels": np.array([0]), "start_positions": 0},
    ]
    batch = Collator({"input_ids": 9, "labels": -100})(features)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 9, 9]]
    assert batch["labels"].tolist() == [[1, 1, 1], [0, -100, -100]]
    assert batch["start_positions"].tolist() == [2, 0]
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}


def test_numbers_that_are_not_whole_stay_as_they_are() -> None:
    features = [{"weights": np.array(given, np.float32)} for given in ([0.25, 0.5], [])]
    batch = Collator({"weights": 0})(features)
    assert batch["weights"].tolist() == [[0.25, 0.5], [0.0, 0.0]]
    assert batch["weights"].dtype == torch.float32


lengths = st.lists(st.integers(1, 400), min_size=1, max_size=300)


@given(lengths=lengths, size=st.integers(1, 40), seed=st.integers(0, 2**32 - 1), epoch=st.integers(0, 50))
def test_the_order_is_a_permutation_of_seed_and_epoch(lengths: list[int], size: int, seed: int, epoch: int) -> None:
    sampler = LengthGroupedSampler(lengths, size, seed)
    sampler.set_epoch(epoch)
    order = list(sampler)
    assert sorted(order) == list(range(len(sampler)))
    torch.manual_seed(epoch)
    again = LengthGroupedSampler(lengths, size, seed)
    again.set_epoch(epoch)
    assert list(again) == order


def test_batches_have_like_lengths_and_change_each_epoch() -> None:
    lengths = np.random.default_rng(0).integers(1, 400, 1605).tolist()
    sampler = LengthGroupedSampler(lengths, 16, 3)

    def padded(order: list[int]) -> int:
        batches = [order[start : start + 16] for start in range(0, len(order), 16)]
        return sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)

    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert first != second
    assert padded(first) < 1.05 * sum(lengths) < padded(list(range(1605)))
    rising = sum(lengths[a] < lengths[b] for a, b in zip(first[::16], first[16::16], strict=False))
    assert 30 < rising < 70, "batches are not sorted among themselves"
