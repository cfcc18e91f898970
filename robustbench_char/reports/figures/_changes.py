"""What attacks change: scores before and after, gains over bert, and drops by operator; a panel per task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from robustbench_char.analysis.pairs import REFERENCE
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.figures import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BEFORE, _AFTER = style.DARK[:2]
_CELLS = ("Word", "Subword")
_SIDES = (("gain_clean", "clean"), ("gain", "attacked"))
_HEIGHT = 0.36
_MAP = "Blues"  # one hue that grows darker evenly, in grey too


@style.styled
def change_figure(means: pd.DataFrame) -> Figure:
    """Draw the paper's figure of `mean_scores` under one suite: an open circle before, an arrow, a full one after."""
    tasks, systems = (list(dict.fromkeys(means[name])) for name in ("task", "label"))
    width, height = (style.names_width(systems), 2.9), (0.0, 0.8 + 0.3 * len(systems))
    figure, grid = style.panels(tasks, 3, width, height, widest=style.WIDTH, sharey=True)
    for axes, task in zip(grid, tasks, strict=True):
        _change_panel(axes, means[means["task"] == task], systems)
    style.name_rows(grid[0], systems)
    return figure


def _change_panel(axes: Axes, part: pd.DataFrame, systems: list[str]) -> None:
    positions = [systems.index(label) for label in part["label"]]
    rows = zip(positions, *(part[name] for name in ("clean", "attacked", "saw_attack")), strict=True)
    for position, before, after, saw in rows:
        arrow = {"arrowstyle": "-|>", "color": style.EDGE, "linewidth": 1.0, "shrinkA": 4, "shrinkB": 4}
        axes.annotate("", (after, position), (before, position), arrowprops=arrow)
        sides = (before, after, ""), (after, before, formatting.mark(saw))
        for value, other, mark in sides if before != after or sides[1][2] else sides[:1]:
            right = value > other or (value == other and mark == "")
            shift, side = (7, "left") if right else (-7, "right")
            axes.annotate(formatting.score(value) + mark, (value, position), (shift, 0), textcoords="offset points",
                          ha=side, va="center", fontsize=8)  # fmt: skip
    for name, colour in (("clean", _BEFORE), ("attacked", _AFTER)):
        low, high = (part[f"{name}_{end}"].astype(float) for end in ("low", "high"))
        axes.hlines(positions, low, high, color=colour, linewidth=3, alpha=0.45)
    axes.plot(part["clean"], positions, "o", markersize=6, markerfacecolor="white", markeredgecolor=_BEFORE, zorder=3)
    axes.plot(part["attacked"], positions, "o", markersize=6, color=_AFTER, markeredgecolor=style.EDGE, zorder=3)
    lowest = min(0.0, float(part[["clean", "attacked"]].min().min()) - 30)
    axes.set_xlim(lowest, 125)
    axes.set_xticks(range(-100 if lowest < -30 else 0, 101, 25))
    axes.set_xlabel(style.axis_title(str(part["metric"].iloc[0])), fontsize=9)
    _finish(axes, "both")


def _finish(axes: Axes, grid: str) -> None:
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8.5)
    style.frame_axes(axes, grid=grid)


@style.styled
def gain_figure(pieces: pd.DataFrame, published: Mapping[str, float]) -> Figure:
    """Draw gains over bert on Word and Subword units, clean and attacked, two bars per system.

    `pieces` are cells of `breakdown_frame`, with `system`; `published` are the paper's gains by cell.
    """
    known = pieces[["gain", "gain_clean"]].notna().any(axis=1)
    pieces = pieces[pieces["system"].isin(pieces.loc[known, "system"])]
    tasks = list(dict.fromkeys(pieces["task"]))
    heights = [max(2, pieces.loc[pieces["task"] == task, "system"].nunique()) for task in tasks]
    titles = [f"{task}, {title}" for task in tasks for _, title in _SIDES]
    height = 0.6 + sum(0.6 + 0.36 * height for height in heights)
    figure, grid = style.panels(titles, 2, (style.WIDTH, 0.0), (height, 0.0), gridspec_kw={"height_ratios": heights})
    for task, left, right in zip(tasks, grid[::2], grid[1::2], strict=True):
        part = pieces[pieces["task"] == task]
        systems = list(dict.fromkeys(part["system"]))
        for axes, (name, _) in zip((left, right), _SIDES, strict=True):
            _gain_panel(axes, part, name, systems)
        right.tick_params(labelleft=False)
        if published and task == "conll2003" and "charbert" in systems:
            positions = [systems.index("charbert") + _offset(number) for number in range(len(_CELLS))]
            left.plot([published[cell] for cell in _CELLS], positions, "D", color="white", markeredgecolor=style.EDGE,
                      markersize=5, label="published")  # fmt: skip
    figure.supxlabel(f"Gain over {REFERENCE} (points)", fontsize=10)
    style.legend(grid[:1])
    return figure


def _gain_panel(axes: Axes, part: pd.DataFrame, name: str, systems: list[str]) -> None:
    for number, cell in enumerate(_CELLS):
        rows = part[(part["value"] == cell) & part[name].notna()]
        positions = [systems.index(system) + _offset(number) for system in rows["system"]]
        gains, low, high = (rows[f"{name}{end}"].astype(float) for end in ("", "_low", "_high"))
        axes.barh(positions, gains, _HEIGHT * 0.94, label=cell, **style.bar_look(number))
        axes.hlines(positions, low, high, color=style.EDGE, linewidth=1.4)
    style.name_rows(axes, systems)
    axes.axvline(0, color=style.EDGE, linewidth=0.8)
    _finish(axes, "x")


def _offset(number: int) -> float:
    return (number - 0.5) * _HEIGHT


@style.styled
def heat_figure(means: pd.DataFrame) -> Figure:
    """Draw a heat map of drops (points), systems by operators: rows of `mean_scores` with a single operator each."""
    tasks, systems, operators = (list(dict.fromkeys(means[name])) for name in ("task", "label", "operators"))
    width, height = (style.names_width(systems), 0.2 + 0.7 * len(operators)), (0.0, 0.75 + 0.32 * len(systems))
    figure, grid = style.panels([f"{task}: drop in points" for task in tasks], 2, width, height, sharey=True)
    for axes, task in zip(grid, tasks, strict=True):
        part = means[means["task"] == task].pivot(index="label", columns="operators", values="drop")
        _heat_panel(axes, part.reindex(index=systems, columns=operators))
    return figure


def _heat_panel(axes: Axes, part: pd.DataFrame) -> None:
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
