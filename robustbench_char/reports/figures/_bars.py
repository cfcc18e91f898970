"""Bar charts of clean and attacked scores: side by side for a few systems, in panels for many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from robustbench_char.analysis.scores import strongest, system_labels
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLEAN = "clean"
SIDE_BY_SIDE = 3
"""More systems than these are drawn in panels."""
_DASHED = (0, (4, 3))


@style.styled
def score_figure(frame: pd.DataFrame, task: str, means: pd.DataFrame | None = None) -> Figure:
    """Draw the scores of one task: of a few systems, a group of bars for clean data and one for each suite.

    Of more systems than fit side by side, each of these groups is a panel with a row per system, of which the first is
    the reference. `frame` is that of `report_frame`. Several seeds are drawn as their mean, with a line from lowest to
    highest; with the `means` of a report, lines are 95% intervals over examples where there are any. Scores are in
    percent; those under an attack that was seen in training are marked. Raises ValueError where the frame has no row of
    the task.
    """
    part = frame[frame["task"] == task]
    if part.empty:
        raise ValueError(f"the frame has no row of the task {task!r}")
    bars = _bars(part) if means is None else _with_limits(_bars(part), means[means["task"] == task])
    title = style.axis_title(str(part["metric"].iloc[0]))
    groups, systems = list(dict.fromkeys(bars["group"])), list(dict.fromkeys(bars["label"]))
    draw = _side_by_side if len(systems) <= SIDE_BY_SIDE else _in_panels
    return draw(bars, title, groups, systems)


def _bars(part: pd.DataFrame) -> pd.DataFrame:
    """Return a row per bar: label (of the system), group (`clean` or suite), mean, low, high, saw."""
    part = part.assign(label=system_labels(part), saw=part.get("saw_attack"))
    # One clean evaluation is paired with every suite: count it once per seed.
    clean = part.assign(group=CLEAN, value=part["clean"], saw=None).drop_duplicates(["label", "training_seed", "value"])
    attacked = part.assign(group=part["suite"], value=part["attacked"])
    grouped = pd.concat([clean, attacked]).groupby(["label", "group"], sort=False)
    return grouped.agg(
        mean=("value", "mean"), low=("value", "min"), high=("value", "max"), saw=("saw", strongest)
    ).reset_index()


def _with_limits(bars: pd.DataFrame, means: pd.DataFrame) -> pd.DataFrame:
    """Put intervals over examples in place of the spans of seeds, for all bars or for none."""
    limits = {}
    bars = bars[bars["label"].isin(means["label"])].reset_index(drop=True)  # others have not learnt
    for row in means.to_dict("records"):
        limits[row["label"], CLEAN] = row["clean_low"], row["clean_high"]
        limits[row["label"], row["suite"]] = row["attacked_low"], row["attacked_high"]
    if all(formatting.is_missing(low) for low, _ in limits.values()):
        return bars
    of_bars = [limits[key] for key in zip(bars["label"], bars["group"], strict=True)]
    ends = pd.DataFrame(of_bars, columns=["low", "high"], index=bars.index)
    low, high = (ends[name].where(ends[name].notna(), bars["mean"]) for name in ("low", "high"))
    return bars.assign(low=low, high=high)


def _side_by_side(bars: pd.DataFrame, title: str, groups: list[str], systems: list[str]) -> Figure:
    # An inch and a bit a group, so that value labels of neighbouring bars never touch.
    figure_width = max(3.4, 1.0 + len(groups) * max(0.95, 0.42 * len(systems) + 0.3))
    figure, (axes,) = style.panels([""], 1, (figure_width, 0.0), (3.4, 0.0))
    width = 0.8 / len(systems)
    for number, system in enumerate(systems):
        part = bars[bars["label"] == system]
        offset = (number - (len(systems) - 1) / 2) * width
        positions = [groups.index(group) + offset for group in part["group"]]
        # One system's bars are told apart by clean and attacked, those of several by system.
        looks = [number if len(systems) > 1 else int(group != CLEAN) for group in part["group"]]
        axes.bar(positions, part["mean"], width * 0.94, label=system, **style.bar_look(*looks))
        _label_bars(axes, positions, part, upright=True)
    lowest = float(bars["low"].min())
    axes.set_ylabel(title)
    axes.set_yticks(range(-100 if lowest < 0 else 0, 101, 20))
    axes.set_ylim(lowest - 8 if lowest < 0 else 0.0, 106)  # room for the value labels
    axes.set_xticks(range(len(groups)), [style.wrapped(group) for group in groups])
    axes.tick_params(axis="x", length=0)
    style.frame_axes(axes)
    axes.axvline(0.5, color="#999999", linewidth=0.8, linestyle=_DASHED)
    axes.axhline(0, color=style.EDGE, linewidth=0.8)
    if len(systems) > 1:
        style.legend([axes])
    return figure


def _in_panels(bars: pd.DataFrame, title: str, groups: list[str], systems: list[str]) -> Figure:
    """Draw a panel per group; a dashed line in each marks the reference's score, so that gains can be read off."""
    width, height = (style.names_width(systems), 2.9), (0.0, 0.75 + 0.3 * len(systems))
    figure, grid = style.panels(groups, 3, width, height, widest=style.WIDTH, sharex=True, sharey=True)
    lowest = min(0.0, float(bars["low"].min()))
    for axes, group in zip(grid, groups, strict=True):
        _panel(axes, bars[bars["group"] == group], systems)
        axes.set_xlim(lowest - (16 if lowest < 0 else 0), 125)  # room for the value labels
        axes.set_xticks(range(-100 if lowest < 0 else 0, 101, 25))
    grid[0].invert_yaxis()
    grid[0].set_yticks(range(len(systems)), systems)
    figure.supxlabel(title, fontsize=10)
    return figure


def _panel(axes: Axes, part: pd.DataFrame, systems: list[str]) -> None:
    positions = [systems.index(label) for label in part["label"]]
    axes.barh(positions, part["mean"], 0.74, **style.bar_look(*(0 if position else 1 for position in positions)))
    _label_bars(axes, positions, part, upright=False)
    style.frame_axes(axes, grid="x")
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelbottom=True, labelsize=8.5)
    axes.axvline(0, color=style.EDGE, linewidth=0.8)


def _label_bars(axes: Axes, positions: Sequence[float], part: pd.DataFrame, *, upright: bool) -> None:
    """Draw the span of several runs on each bar, and its value beyond both."""
    values = zip(positions, *(part[name] for name in ("mean", "low", "high", "saw")), strict=True)
    for position, mean, low, high, saw in values:
        if high > low:
            (axes.vlines if upright else axes.hlines)(position, low, high, color=style.EDGE, linewidth=1.6)
        end, sign = (high, 1) if mean >= 0 else (low, -1)
        text = formatting.score(mean) + formatting.mark(saw)
        if upright:
            axes.annotate(text, (position, end), (0, 2 * sign), textcoords="offset points", ha="center",
                          va="bottom" if sign > 0 else "top", fontsize=8.5)  # fmt: skip
            continue
        box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
        axes.annotate(text, (end, position), (3 * sign, 0), textcoords="offset points", va="center",
                      ha="left" if sign > 0 else "right", fontsize=8, bbox=box)  # fmt: skip
        if position == 0:
            axes.axvline(mean, color=style.EDGE, linewidth=0.9, linestyle=_DASHED)
