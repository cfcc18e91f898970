"""Scores by how much a search for the worst case was allowed: edits of a text, questions to the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.reports.figures import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@style.styled
def allowance_figure(rows: pd.DataFrame, title: str, *, log: bool = False) -> Figure:
    """Draw a line per name, a panel per `panel`, from rows of `analysis.worst_case.curve_frame`; `title` names `at`.

    Bands are 95% intervals; with `log` the axis across is logarithmic.
    """
    panels, names = list(dict.fromkeys(rows["panel"])), list(dict.fromkeys(rows["name"]))
    width = (0.4, 3.4) if len(panels) > 1 else (style.WIDTH, 0.0)
    figure, grid = style.panels(panels, 2, width, (0.22 * -(-len(names) // 3), 2.7), sharey=True)
    for axes, panel in zip(grid, panels, strict=True):
        for number, name in enumerate(names):
            line = rows[(rows["panel"] == panel) & (rows["name"] == name)].sort_values("at")
            if line.empty:
                continue
            look, (low, high) = style.line_look(number, style.DARK), (line[f"score_{end}"] for end in ("low", "high"))
            axes.plot(line["at"], line["score"], label=name, markeredgecolor=style.EDGE, markersize=5.5, **look)
            axes.fill_between(
                line["at"], low.astype(float), high.astype(float), color=look["color"], alpha=0.15, linewidth=0
            )
        if log:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda number, _: f"{number:,.0f}")
        else:
            axes.set_xticks(range(int(rows.loc[rows["panel"] == panel, "at"].max()) + 1))
        metric = style.axis_title(str(rows.loc[rows["panel"] == panel, "metric"].iloc[0]))
        axes.set_ylabel(metric)
        style.frame_axes(axes, grid="both")
        axes.tick_params(labelbottom=True, labelsize=8.5)
    figure.supxlabel(title, fontsize=10)
    if len(names) > 1:
        style.legend(grid)
    return figure
