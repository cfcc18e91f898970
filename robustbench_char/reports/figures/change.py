"""The paper's figure redone: what each system scores before and after an attack, a panel a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.reports import formatting
from robustbench_char.reports.figures.style import EDGE, WIDTH, axis_title, frame_axes, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["change_figure"]

_COLUMNS, _BEFORE, _AFTER = 3, "#0072B2", "#D55E00"


@styled
def change_figure(means: pd.DataFrame) -> Figure:
    """Draw the rows of `mean_scores` under one suite: an open circle before, a full one after, an arrow between."""
    from matplotlib.figure import Figure

    tasks, systems = (list(dict.fromkeys(means[name])) for name in ("task", "label"))
    columns = min(_COLUMNS, len(tasks))
    lines = -(-len(tasks) // columns)
    width = min(WIDTH, 0.085 * max(map(len, systems)) + 2.9 * columns)
    figure = Figure(figsize=(width, lines * (0.8 + 0.3 * len(systems))), layout="constrained")
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for axes, task in zip(panels, tasks, strict=False):
        _panel(axes, means[means["task"] == task], systems)
        axes.set_title(task, fontsize=10, loc="left")
    for axes in panels[len(tasks) :]:
        axes.set_visible(False)
    panels[0].set_yticks(range(len(systems)), systems)
    panels[0].set_ylim(len(systems) - 0.5, -0.5)
    return figure


def _panel(axes: Axes, part: pd.DataFrame, systems: list[str]) -> None:
    places = [systems.index(label) for label in part["label"]]
    for place, before, after, saw in zip(places, part["clean"], part["attacked"], part["saw_attack"], strict=True):
        arrow = {"arrowstyle": "-|>", "color": EDGE, "linewidth": 1.0, "shrinkA": 4, "shrinkB": 4}
        axes.annotate("", (after, place), (before, place), arrowprops=arrow)
        sides = ((before, after, ""), (after, before, formatting.mark(saw)))
        for value, other, mark in sides:
            shift, side = (7, "left") if value > other or (value == other and mark == "") else (-7, "right")
            axes.annotate(formatting.score(value) + mark, (value, place), (shift, 0), textcoords="offset points",
                          ha=side, va="center", fontsize=8)  # fmt: skip
    for name, colour in (("clean", _BEFORE), ("attacked", _AFTER)):
        axes.hlines(
            places,
            part[f"{name}_low"].astype(float),
            part[f"{name}_high"].astype(float),
            color=colour,
            linewidth=3,
            alpha=0.45,
        )
    axes.plot(part["clean"], places, "o", markersize=6, markerfacecolor="white", markeredgecolor=_BEFORE, zorder=3)
    axes.plot(part["attacked"], places, "o", markersize=6, color=_AFTER, markeredgecolor=EDGE, zorder=3)
    lowest = min(0.0, float(part[["clean", "attacked"]].min().min()) - 30)
    axes.set_xlim(lowest, 125)
    axes.set_xticks(range(-100 if lowest < -30 else 0, 101, 25))
    axes.set_xlabel(axis_title(str(part["metric"].iloc[0])), fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8.5)
    frame_axes(axes, grid="both")
