"""Which implementation of attention a model trains with: the one place where it is chosen.

`benchmarks/speed/attention.py` measures both for each shape, precision and use. On a CPU in bfloat16, eager attention
trains 5% (16 x 32 sub-words) to 26% (4 x 384) faster than SDPA, which has no fused kernel with dropout there. In single
precision both train alike, and SDPA predicts up to 12% faster; on GPUs SDPA is fused. So all that predicts keeps the
choice of Transformers, SDPA. Both draw the same dropout and differ by rounding alone, and stored keys hold device and
precision, which decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import PreTrainedModel

__all__ = ["attention_for_training"]

_MEASURED = ("bert", "roberta", "charbert")
"""Types of models, whose attention is the same code. Any other keeps its own."""


@contextmanager
def attention_for_training(model: PreTrainedModel, *, bf16: bool) -> Iterator[None]:
    """Have a model compute attention in the way that trains fastest on its device; its own is put back at the end."""
    encoder: Any = model.base_model  # of any encoder under our heads, the config that counts is its own
    config, device = encoder.config, model.device.type
    if not (bf16 and device == "cpu" and config._attn_implementation == "sdpa" and config.model_type in _MEASURED):
        yield
        return
    encoder.set_attn_implementation("eager")
    try:
        yield
    finally:
        encoder.set_attn_implementation("sdpa")
