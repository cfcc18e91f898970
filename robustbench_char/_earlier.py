"""Names of an earlier version, which go with the next one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustbench_char.defences.train import train_defence
from robustbench_char.inference.defence_price import defence_price

if TYPE_CHECKING:
    from robustbench_char.records.defence_price import PriceRecord

__all__ = ["recogniser_price", "train_recogniser"]

_LOG = logging.getLogger(__name__)


def train_recogniser(**options: Any) -> Path:
    """Train a word recogniser: earlier name of `train_defence("wordrec", ...)`, which see."""
    _LOG.warning('train_recogniser is called train_defence("wordrec", ...) now; this name goes with the next version')
    return train_defence("wordrec", **options)


def recogniser_price(folder: Any, **options: Any) -> PriceRecord:
    """Measure a defence: earlier name of `defence_price`, which see."""
    _LOG.warning("recogniser_price is called defence_price now; this name goes with the next version")
    return defence_price(folder, **options)
