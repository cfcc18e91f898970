"""What seeds change: the spread over attack seeds and over training seeds, kept apart from the interval over examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["seed_frame"]


def seed_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row a task, system, base and suite of a `comparison_table`: means, spreads, worst results.

    `mean` is that over all runs. `attack_spread` is the standard deviation over attack seeds (n - 1 below the fraction
    line) within a training seed, as a mean over training seeds; `training_spread` that over training seeds of their
    means. Both are missing where there is one seed. `worst` is the lowest attacked score of a run.
    """
    import pandas as pd

    rows = []
    for key, part in frame.groupby(["task", "label", "base", "suite"], sort=False):
        by_training = part.groupby("training_seed", dropna=False)["attacked"]
        rows.append(
            {
                **dict(zip(("task", "label", "base", "suite"), key, strict=True)),
                "training_seeds": part["training_seed"].nunique(dropna=False),
                "attack_seeds": part["attack_seed"].nunique(dropna=False),
                "mean": part["attacked"].mean(),
                "training_spread": by_training.mean().std(ddof=1),
                "attack_spread": by_training.std(ddof=1).mean(),
                "worst": part["attacked"].min(),
                "clean_mean": part.drop_duplicates("training_seed")["clean"].mean(),
                "clean_spread": part.drop_duplicates("training_seed")["clean"].std(ddof=1),
            }
        )
    return pd.DataFrame(rows)
