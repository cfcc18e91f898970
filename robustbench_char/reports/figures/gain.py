"""Gains over bert on Word and Subword units: a row of panels a task, clean and attacked, two bars a system."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from robustbench_char.analysis.pairs import REFERENCE
from robustbench_char.reports.figures.style import COLOURS, EDGE, HATCHES, WIDTH, frame_axes, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["gain_figure"]

_CELLS = ("Word", "Subword")
_SIDES = (("gain_clean", "clean"), ("gain", "attacked"))
_HEIGHT = 0.36


@styled
def gain_figure(pieces: pd.DataFrame, published: Mapping[str, float]) -> Figure:
    """Draw the cells of `pieces` (see `breakdown_frame`, with `system`); `published` are the paper's gains by cell."""
    from matplotlib.figure import Figure

    pieces = pieces[pieces["label"] != REFERENCE]
    tasks = list(dict.fromkeys(pieces["task"]))
    heights = [max(2, pieces.loc[pieces["task"] == task, "system"].nunique()) for task in tasks]
    figure = Figure(figsize=(WIDTH, 0.6 + sum(0.6 + 0.36 * height for height in heights)), layout="constrained")
    panels = figure.subplots(len(tasks), 2, squeeze=False, gridspec_kw={"height_ratios": heights})
    for line, task in zip(panels, tasks, strict=True):
        part = pieces[pieces["task"] == task]
        systems = list(dict.fromkeys(part["system"]))
        for axes, (name, title) in zip(line, _SIDES, strict=True):
            _panel(axes, part, name, systems)
            axes.set_title(f"{task}, {title}", fontsize=10, loc="left")
        line[1].tick_params(labelleft=False)
        if published and task == "conll2003" and "charbert" in systems:
            _mark(line[0], published, systems.index("charbert"))
    figure.supxlabel(f"Gain over {REFERENCE} (points)", fontsize=10)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def _panel(axes: Axes, part: pd.DataFrame, name: str, systems: list[str]) -> None:
    for number, cell in enumerate(_CELLS):
        rows = part[(part["value"] == cell) & part[name].notna()]
        places = [systems.index(system) + (number - 0.5) * _HEIGHT for system in rows["system"]]
        axes.barh(places, rows[name].astype(float), _HEIGHT * 0.94, label=cell, color=COLOURS[number],
                  hatch=HATCHES[number], edgecolor=EDGE, linewidth=0.7)  # fmt: skip
        axes.hlines(places, rows[f"{name}_low"].astype(float), rows[f"{name}_high"].astype(float), color=EDGE,
                    linewidth=1.4)  # fmt: skip
    axes.set_yticks(range(len(systems)), systems)
    axes.set_ylim(len(systems) - 0.5, -0.5)
    axes.axvline(0, color=EDGE, linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8.5)
    frame_axes(axes, grid="x")


def _mark(axes: Axes, published: Mapping[str, float], place: int) -> None:
    places = [place + (number - 0.5) * _HEIGHT for number, _ in enumerate(_CELLS)]
    axes.plot([published[cell] for cell in _CELLS], places, "D", color="white", markeredgecolor=EDGE, markersize=5,
              label="published")  # fmt: skip
