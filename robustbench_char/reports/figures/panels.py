"""Scores of many systems: a panel for clean data and one for each suite, in each a row a system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.reports import formatting
from robustbench_char.reports.figures.style import EDGE, WIDTH, frame_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_panels"]

_COLUMNS = 3
_FIRST, _OTHERS = ("#E69F00", "///"), ("#56B4E9", "")


def draw_panels(bars: pd.DataFrame, title: str, groups: list[str], systems: list[str]) -> Figure:
    """Draw the bars of `figures`; rows stand in the order of `systems`, of which the first is the reference.

    A dashed line in each panel marks the reference's score, so that gains over it can be read off.
    """
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(groups))
    lines = -(-len(groups) // columns)
    names = 0.085 * max(map(len, systems))  # inches that the names of the systems take
    size = (min(WIDTH, names + 2.9 * columns), lines * (0.75 + 0.3 * len(systems)))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    lowest = min(0.0, float(bars["low"].min()))
    for axes, group in zip(panels, groups, strict=False):
        _panel(axes, bars[bars["group"] == group], group, systems)
        axes.set_xlim(lowest - (16 if lowest < 0 else 0), 125)  # room for the value labels
        axes.set_xticks(range(-100 if lowest < 0 else 0, 101, 25))
    for axes in panels[len(groups) :]:
        axes.set_visible(False)
    panels[0].invert_yaxis()
    panels[0].set_yticks(range(len(systems)), systems)
    figure.supxlabel(title, fontsize=10)
    return figure


def _panel(axes: Axes, part: pd.DataFrame, group: str, systems: list[str]) -> None:
    axes.set_title(group, fontsize=10, loc="left")
    places = [systems.index(label) for label in part["label"]]
    looks = [_OTHERS if place else _FIRST for place in places]
    axes.barh(
        places,
        part["mean"],
        0.74,
        color=[colour for colour, _ in looks],
        hatch=[hatch for _, hatch in looks],
        edgecolor=EDGE,
        linewidth=0.7,
    )
    for place, mean, low, high, saw in zip(places, part["mean"], part["low"], part["high"], part["saw"], strict=True):
        _finish(axes, place, mean, low, high, formatting.mark(saw))
        if place == 0:
            axes.axvline(mean, color=EDGE, linewidth=0.9, linestyle=(0, (4, 3)))
    frame_axes(axes, grid="x")
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelbottom=True, labelsize=8.5)
    axes.axvline(0, color=EDGE, linewidth=0.8)


def _finish(axes: Axes, place: float, mean: float, low: float, high: float, mark: str) -> None:
    """Draw the span of several runs on a bar, and its value beyond both."""
    if high > low:
        axes.hlines(place, low, high, color=EDGE, linewidth=1.6)
    end, shift, side = (high, 3, "left") if mean >= 0 else (low, -3, "right")
    axes.annotate(
        formatting.score(mean) + mark,
        (end, place),
        (shift, 0),
        textcoords="offset points",
        ha=side,
        va="center",
        fontsize=8,
        bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
    )
