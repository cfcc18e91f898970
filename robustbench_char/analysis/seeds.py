"""What seeds change: the spread over attack seeds and over training seeds, apart from the interval over examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SEED_COLUMNS", "seed_frame"]

SEED_COLUMNS = (
    "task", "label", "base", "suite", "training_seeds", "attack_seeds", "mean", "training_spread", "training_worst",
    "attack_spread", "worst", "clean_mean", "clean_spread",
)  # fmt: skip


def seed_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row (SEED_COLUMNS) a task, system, base and suite of a `comparison_table`, scores in percent.

    `mean` is that over training seeds of their means over attack seeds. `training_spread` is the standard deviation of
    those means (n - 1 below the fraction line), `training_worst` the lowest of them. `attack_spread` is the standard
    deviation over attack seeds within a training seed, as a mean over training seeds. Both spreads are missing where
    there is one seed. `worst` is the lowest attacked score of a run; `clean_*` are of the clean scores.
    """
    import pandas as pd

    groups = frame.groupby(list(SEED_COLUMNS[:4]), sort=False)
    return pd.DataFrame([(*key, *_spreads(part)) for key, part in groups], columns=list(SEED_COLUMNS))


def _spreads(part: pd.DataFrame) -> tuple[float, ...]:
    by_training = part.groupby("training_seed", dropna=False)
    means, clean = by_training["attacked"].mean(), by_training["clean"].first()
    return (
        len(means),
        part["attack_seed"].nunique(dropna=False),
        means.mean(),
        means.std(ddof=1),
        means.min(),
        by_training["attacked"].std(ddof=1).mean(),
        part["attacked"].min(),
        clean.mean(),
        clean.std(ddof=1),
    )
