"""Training: fine-tuning (`finetune.finetune`) and pre-training (`pretraining.pretrain`) on the Hugging Face Trainer.

Needs the extra `models`. Names are imported on first use: commands and specs only read the options.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.common.registry import lazy_names

if TYPE_CHECKING:
    from robustbench_char.training.augmentation import AUGMENT_SEED
    from robustbench_char.training.options import AugmentOptions, FinetuneKeywords, FinetuneOptions
    from robustbench_char.training.saved import SavedSystem, SystemFile, read_system, system_info

__all__ = [
    "AUGMENT_SEED",
    "AugmentOptions",
    "FinetuneKeywords",
    "FinetuneOptions",
    "SavedSystem",
    "SystemFile",
    "read_system",
    "system_info",
]

__getattr__ = lazy_names(
    __name__,
    augmentation="AUGMENT_SEED",
    options="AugmentOptions FinetuneKeywords FinetuneOptions",
    saved="SavedSystem SystemFile read_system system_info",
)
