"""Lines and points, a look per system: scores by strength, sensitivity against the drop, profiles of sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from robustbench_char.reports.figures import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["profile_figure"]

_ENDS = ("", "_low", "_high")
_WORDS = 18
"""The most words in one line of a profile; a longer sentence goes on in the next."""
_LONGEST = 16
"""The most characters of a word that are printed."""


@style.styled
def strength_figure(rows: pd.DataFrame) -> Figure:
    """Draw curves of scores over the share of words that were edited, a panel per suite, from `strength_sweeps`."""
    parts = {str(sweep): part for sweep, part in rows.groupby("sweep", sort=False)}
    return _curves(parts, ("clean", "attacked"), style.axis_title(str(rows["metric"].iloc[0])))


@style.styled
def gain_curves(rows: pd.DataFrame) -> Figure:
    """Draw gains over the reference likewise, a panel per task and suite."""
    several = rows["sweep"].nunique() > 1
    parts = {
        f"{task}, {sweep}" if several else str(task): part
        for (task, sweep), part in rows.groupby(["task", "sweep"], sort=False)
    }
    return _curves(parts, ("gain_clean", "gain"), "Gain (points)")


def _curves(parts: dict[str, pd.DataFrame], columns: tuple[str, str], title: str) -> Figure:
    """Draw a panel per part, named where there are several; `columns` are those of values on clean data and under."""
    systems = list(dict.fromkeys(label for part in parts.values() for label in part["label"]))
    several = len(parts) > 1
    width = (0.4, 3.4) if several else (style.WIDTH, 0.0)
    titles = list(parts) if several else [""]
    figure, grid = style.panels(titles, 2, width, (_legend_height(systems), 2.7), sharex=True, sharey=True)
    for axes, part in zip(grid, parts.values(), strict=True):
        _strength_panel(axes, part, systems, columns)
    figure.supxlabel("Words mistyped (% of all words)", fontsize=10)
    figure.supylabel(title, fontsize=10)
    if len(systems) > 1:
        style.legend(grid)
    return figure


def _legend_height(systems: list[str]) -> float:
    return 0.22 * -(-len(systems) // 3)


def _strength_panel(axes: Axes, part: pd.DataFrame, systems: list[str], columns: tuple[str, str]) -> None:
    """Draw a line per system: its value on clean data at 0, then those by strength."""
    clean, attacked = columns
    for number, system in enumerate(systems):
        line = part[part["label"] == system].sort_values("mistyped")
        if line.empty:
            continue
        look, shares = style.line_look(number, style.DARK), [0.0, *(100 * line["mistyped"])]
        values, low, high = (
            [float(line[f"{clean}{end}"].mean()), *line[f"{attacked}{end}"].astype(float)] for end in _ENDS
        )
        axes.plot(shares, values, label=system, markeredgecolor=style.EDGE, markersize=5.5, **look)
        axes.fill_between(shares, low, high, color=look["color"], alpha=0.15, linewidth=0)
    style.frame_axes(axes, grid="both")
    axes.tick_params(labelbottom=True, labelsize=8.5)


@style.styled
def scatter_figure(joined: pd.DataFrame) -> Figure:
    """Draw rows with task, system, suite, all (S of all words) and drop, a panel per task; suites share it."""
    tasks, systems = list(dict.fromkeys(joined["task"])), list(dict.fromkeys(joined["system"]))
    width = style.WIDTH * (0.55 if len(tasks) == 1 else 1)
    figure, grid = style.panels(tasks, 2, (width, 0.0), (_legend_height(systems), 2.8))
    for axes, task in zip(grid, tasks, strict=True):
        for number, system in enumerate(systems):
            part = joined[(joined["task"] == task) & (joined["system"] == system)]
            look = style.line_look(number) | {"linestyle": "none", "fillstyle": "full" if number < 8 else "left"}
            axes.plot(part["all"], part["drop"], markeredgecolor=style.EDGE, markersize=7.5, label=system, **look)
        axes.margins(0.12)
        axes.tick_params(labelsize=8.5)
        style.frame_axes(axes, grid="both")
    figure.supxlabel("S of all words (cosine distance)", fontsize=10)
    figure.supylabel("Drop (points)", fontsize=10)
    style.legend(grid)
    return figure


@style.styled
def profile_figure(frame: pd.DataFrame) -> Figure:
    """Draw how far each word of one sentence moves; `frame` is that of `analysis.profiles.profile_frame`.

    A word that was attacked is shaded, and printed before and after. One that was cut off has no mark. Raises
    ValueError for an empty frame.
    """
    if frame.empty:
        raise ValueError("the frame has no words")
    count = int(frame["number"].max()) + 1
    lines = -(-count // _WORDS)
    across = -(-count // lines)
    width = max(3.4, 1.0 + 0.42 * across)
    figure, grid = style.panels([""] * lines, 1, (width, 0.0), (0.4, 2.4), widest=style.WIDTH, sharey=True)
    for line, axes in enumerate(grid):
        _profile_panel(axes, frame, range(line * across, min(count, (line + 1) * across)), across)
    figure.supylabel("Distance, 1 − cos (0 to 2)", fontsize=10)
    style.legend(grid, columns=4)
    return figure


def _profile_panel(axes: Axes, frame: pd.DataFrame, numbers: range, across: int) -> None:
    for number, (system, part) in enumerate(frame.groupby("system", sort=False)):
        distances = part.set_index("number")["distance"].reindex(numbers)
        look = style.line_look(number, style.DARK)
        axes.plot(np.arange(len(numbers)), distances, label=str(system), linewidth=1.0, markersize=5.0, **look)
    words = frame.drop_duplicates("number").set_index("number").loc[list(numbers)]
    for position, changed in enumerate(words["changed"]):
        if changed:
            axes.axvspan(position - 0.5, position + 0.5, color="#e6e6e6", linewidth=0, zorder=0)
    labels = [_label(*pair) for pair in zip(words["word"], words["attacked"], strict=True)]
    axes.set_xticks(range(len(numbers)), labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=8.5)
    axes.set_xlim(-0.5, across - 0.5)
    axes.set_ylim(0, max(0.1, 1.08 * float(np.nanmax([0.0, *frame["distance"]]))))
    style.frame_axes(axes)


def _label(word: str, attacked: str) -> str:
    """Return a word as printed below its marks: as it was, then as it became."""
    before, after = (text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…" for text in (word, attacked))
    return before if word == attacked else f"{before}\n{after}"
