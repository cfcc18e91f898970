"""Sensitivity S against the drop, a panel a task, a marker a system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.reports.figures.style import COLOURS, EDGE, MARKERS, WIDTH, frame_axes, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["scatter_figure"]

_COLUMNS = 2


@styled
def scatter_figure(joined: pd.DataFrame) -> Figure:
    """Draw rows with task, system, suite, all (S of all words) and drop; suites share a panel."""
    from matplotlib.figure import Figure

    tasks, systems = list(dict.fromkeys(joined["task"])), list(dict.fromkeys(joined["system"]))
    columns = min(_COLUMNS, len(tasks))
    lines = -(-len(tasks) // columns)
    legend = 0.22 * -(-len(systems) // 3)
    figure = Figure(figsize=(WIDTH * (0.55 if columns == 1 else 1), 2.8 * lines + legend), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, task in zip(panels, tasks, strict=False):
        for place, system in enumerate(systems):
            part = joined[(joined["task"] == task) & (joined["system"] == system)]
            axes.plot(part["all"], part["drop"], MARKERS[place % len(MARKERS)], color=COLOURS[place % len(COLOURS)],
                      markeredgecolor=EDGE, markersize=7.5, fillstyle="full" if place < len(MARKERS) else "left",
                      label=system)  # fmt: skip
        axes.set_title(task, fontsize=10, loc="left")
        axes.margins(0.12)
        axes.tick_params(labelsize=8.5)
        frame_axes(axes, grid="both")
    for axes in panels[len(tasks) :]:
        axes.set_visible(False)
    figure.supxlabel("S of all words (cosine distance)", fontsize=10)
    figure.supylabel("Drop (points)", fontsize=10)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure
