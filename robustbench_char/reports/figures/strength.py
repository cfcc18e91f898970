"""Curves of scores over the effective strength of an attack, a panel a suite, a line a system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.reports.figures.style import COLOURS, DASHES, EDGE, MARKERS, axis_title, frame_axes, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["strength_figure"]

_COLUMNS = 2


@styled
def strength_figure(rows: pd.DataFrame) -> Figure:
    """Draw the rows of `sweeps` of one task."""
    from matplotlib.figure import Figure

    names, systems = list(dict.fromkeys(rows["sweep"])), list(dict.fromkeys(rows["label"]))
    columns = min(_COLUMNS, len(names))
    lines = -(-len(names) // columns)
    height = 2.7 * lines + 0.22 * -(-len(systems) // 3)
    figure = Figure(figsize=(3.4 * columns + 0.4, height), layout="constrained")
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        _panel(axes, rows[rows["sweep"] == name], systems)
        axes.set_title(name, fontsize=10, loc="left")
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    figure.supxlabel("Effective strength (% of eligible words edited)", fontsize=10)
    figure.supylabel(axis_title(str(rows["metric"].iloc[0])), fontsize=10)
    handles = {line.get_label(): line for axes in panels for line in axes.get_lines()}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def _panel(axes: Axes, part: pd.DataFrame, systems: list[str]) -> None:
    for place, system in enumerate(systems):
        line = part[part["label"] == system].sort_values("effective_strength")
        if line.empty:
            continue
        strengths = [0.0, *(100 * line["effective_strength"])]
        axes.plot(
            strengths,
            [line["clean"].mean(), *line["attacked"]],
            label=system,
            color=COLOURS[place % len(COLOURS)],
            marker=MARKERS[place % len(MARKERS)],
            linestyle=DASHES[place % len(DASHES)],
            markeredgecolor=EDGE,
            markersize=5.5,
        )
        axes.vlines(
            100 * line["effective_strength"],
            line["attacked_low"].astype(float),
            line["attacked_high"].astype(float),
            color=COLOURS[place % len(COLOURS)],
            linewidth=1.0,
        )
    frame_axes(axes, grid="both")
    axes.tick_params(labelbottom=True, labelsize=8.5)
