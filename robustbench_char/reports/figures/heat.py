"""A heat map of drops, systems by operators, a panel a task; every cell holds its number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from robustbench_char.reports import formatting
from robustbench_char.reports.figures.style import styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["heat_figure"]

_COLUMNS = 2
_MAP = "Blues"  # one hue that grows darker evenly, in grey too


@styled
def heat_figure(means: pd.DataFrame) -> Figure:
    """Draw drops (points) of the rows of `mean_scores` with a single operator each."""
    from matplotlib.figure import Figure

    tasks, systems, operators = (list(dict.fromkeys(means[name])) for name in ("task", "label", "operators"))
    columns = min(_COLUMNS, len(tasks))
    lines = -(-len(tasks) // columns)
    width = 0.085 * max(map(len, systems)) + columns * (0.2 + 0.7 * len(operators))
    figure = Figure(figsize=(width, lines * (0.75 + 0.32 * len(systems))), layout="constrained")
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for axes, task in zip(panels, tasks, strict=False):
        part = means[means["task"] == task].pivot(index="label", columns="operators", values="drop")
        _panel(axes, part.reindex(index=systems, columns=operators))
        axes.set_title(f"{task}: drop in points", fontsize=10, loc="left")
    for axes in panels[len(tasks) :]:
        axes.set_visible(False)
    return figure


def _panel(axes: Axes, part: pd.DataFrame) -> None:
    values = part.to_numpy(np.float64)
    top = max(1.0, float(np.nanmax(values, initial=0.0)))
    axes.pcolormesh(np.ma.masked_invalid(values), cmap=_MAP, vmin=0, vmax=1.2 * top, edgecolor="white", linewidth=1)
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if value > 0.7 * top else "black"
        axes.text(column + 0.5, row + 0.5, formatting.score(value), ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(np.arange(part.shape[1]) + 0.5, list(part.columns))
    axes.set_yticks(np.arange(part.shape[0]) + 0.5, list(part.index))
    axes.set_ylim(part.shape[0], 0)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
