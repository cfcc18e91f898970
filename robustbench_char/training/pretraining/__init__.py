"""Pre-training from plain text: `bert_mlm`, `advbert` and `charbert` from one pipeline.

The way of the text: `corpus` reads chunks of lines; `noise` attacks them, says which pieces stand for noised words and
masks whole words; `blocks` packs what remains to be learnt; `run` trains on it with `trainer`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.common.registry import lazy_names

if TYPE_CHECKING:
    from robustbench_char.training.pretraining.files import PretrainedEncoder
    from robustbench_char.training.pretraining.options import PretrainKeywords, PretrainOptions
    from robustbench_char.training.pretraining.run import pretrain

__all__ = ["PretrainKeywords", "PretrainOptions", "PretrainedEncoder", "pretrain"]

__getattr__ = lazy_names(
    __name__, files="PretrainedEncoder", options="PretrainKeywords PretrainOptions", run="pretrain"
)
