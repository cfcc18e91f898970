"""Bar charts of clean and attacked scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.reports import formatting
from robustbench_char.reports.figures.panels import draw_panels
from robustbench_char.reports.figures.style import COLOURS, EDGE, HATCHES, axis_title, frame_axes, styled, wrapped

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["SIDE_BY_SIDE", "score_figure", "strongest", "system_labels"]

CLEAN = "clean"
SIDE_BY_SIDE = 3
"""More systems than these are drawn in panels."""


def system_labels(frame: pd.DataFrame) -> pd.Series[str]:
    """Return what each row's system is called, with its base where one label stands for several bases."""
    labels = frame["label"] if "label" in frame else frame["system"]
    bases = frame.groupby(labels)["base"].transform("nunique")
    return labels.where(bases == 1, labels + " (" + frame["base"] + ")")


def strongest(saw: pd.Series[str]) -> str | None:
    """Return what was seen of the attack in any of several runs: the suite before operators."""
    return max(saw.dropna(), default=None)  # "suite" sorts after "operators"


@styled
def score_figure(frame: pd.DataFrame, task: str, means: pd.DataFrame | None = None) -> Figure:
    """Draw the scores of one task: of a few systems, a group of bars for clean data and one for each suite.

    Of more systems than fit side by side, each of these groups is a panel with a row a system. `frame` is that of
    `report_frame`. Several seeds are drawn as their mean, with a line from lowest to highest; with the `means` of a
    report, lines are 95% intervals over examples where there are any. Scores are in percent; those under an attack that
    was seen in training are marked. Raises ValueError where the frame has no row of the task.
    """
    from matplotlib.figure import Figure

    part = frame[frame["task"] == task]
    if part.empty:
        raise ValueError(f"the frame has no row of the task {task!r}")
    bars, metric = _bars(part), str(part["metric"].iloc[0])
    bars = bars if means is None else _with_limits(bars, means[means["task"] == task])
    groups, systems = list(dict.fromkeys(bars["group"])), list(dict.fromkeys(bars["label"]))
    if len(systems) > SIDE_BY_SIDE:
        return draw_panels(bars, axis_title(metric), groups, systems)
    # An inch and a bit a group, so that value labels of neighbouring bars never touch.
    width = max(3.4, 1.0 + len(groups) * max(0.95, 0.42 * len(systems) + 0.3))
    figure = Figure(figsize=(width, 3.4), layout="constrained")
    axes = figure.add_subplot()
    _draw(axes, bars, groups, systems)
    _label(axes, metric, groups, systems, bars)
    return figure


def _bars(part: pd.DataFrame) -> pd.DataFrame:
    """Return one row a bar: label (of the system), group (`clean` or suite), mean, low, high, saw."""
    import pandas as pd

    part = part.assign(label=system_labels(part), saw=part.get("saw_attack"))
    # One clean evaluation is paired with every suite: count it once a seed.
    clean = part.assign(group=CLEAN, value=part["clean"], saw=None).drop_duplicates(["label", "training_seed", "value"])
    attacked = part.assign(group=part["suite"], value=part["attacked"])
    grouped = pd.concat([clean, attacked]).groupby(["label", "group"], sort=False)
    return grouped.agg(
        mean=("value", "mean"), low=("value", "min"), high=("value", "max"), saw=("saw", strongest)
    ).reset_index()


def _with_limits(bars: pd.DataFrame, means: pd.DataFrame) -> pd.DataFrame:
    """Put intervals over examples in place of the spans of seeds, for all bars or for none."""
    found = {}
    for row in means.to_dict("records"):
        found[row["label"], CLEAN] = row["clean_low"], row["clean_high"]
        found[row["label"], row["suite"]] = row["attacked_low"], row["attacked_high"]
    if all(formatting.is_missing(low) for low, _ in found.values()):
        return bars
    limits = [found[key] for key in zip(bars["label"], bars["group"], strict=True)]
    low = [mean if formatting.is_missing(one) else one for mean, (one, _) in zip(bars["mean"], limits, strict=True)]
    high = [mean if formatting.is_missing(one) else one for mean, (_, one) in zip(bars["mean"], limits, strict=True)]
    return bars.assign(low=low, high=high)


def _draw(axes: Axes, bars: pd.DataFrame, groups: list[str], systems: list[str]) -> None:
    width = 0.8 / len(systems)
    for index, system in enumerate(systems):
        part = bars[bars["label"] == system]
        offset = (index - (len(systems) - 1) / 2) * width
        places = [groups.index(group) + offset for group in part["group"]]
        looks = [_look(group, index, alone=len(systems) == 1) for group in part["group"]]
        colours, hatches = [colour for colour, _ in looks], [hatch for _, hatch in looks]
        axes.bar(
            places,
            part["mean"],
            width * 0.94,
            label=system,
            color=colours,
            hatch=hatches,
            edgecolor=EDGE,
            linewidth=0.7,
        )
        values = zip(part["mean"], part["low"], part["high"], part["saw"], strict=True)
        for place, (mean, low, high, saw) in zip(places, values, strict=True):
            _finish(axes, place, mean, low, high, formatting.mark(saw))


def _finish(axes: Axes, place: float, mean: float, low: float, high: float, mark: str) -> None:
    """Draw the span of several runs on a bar, and its value beyond both."""
    if high > low:
        axes.vlines(place, low, high, color=EDGE, linewidth=1.6)
    end, shift, side = (high, 2, "bottom") if mean >= 0 else (low, -2, "top")
    text = formatting.score(mean) + mark
    axes.annotate(text, (place, end), (0, shift), textcoords="offset points", ha="center", va=side, fontsize=8.5)


def _look(group: str, index: int, *, alone: bool) -> tuple[str, str]:
    """Return colour and hatch: by system, or by clean and attacked where there is one system."""
    index = (0 if group == CLEAN else 1) if alone else index
    return COLOURS[index % len(COLOURS)], HATCHES[index % len(HATCHES)]


def _label(axes: Axes, metric: str, groups: list[str], systems: list[str], bars: pd.DataFrame) -> None:
    axes.set_ylabel(axis_title(metric))
    lowest = float(bars["low"].min())
    axes.set_yticks(range(-100 if lowest < 0 else 0, 101, 20))
    axes.set_ylim(lowest - 8 if lowest < 0 else 0.0, 106)  # room for the value labels
    axes.set_xticks(range(len(groups)), [wrapped(group) for group in groups])
    axes.tick_params(axis="x", length=0)
    frame_axes(axes)
    axes.axvline(0.5, color="#999999", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.axhline(0, color=EDGE, linewidth=0.8)
    if len(systems) > 1:
        axes.figure.legend(loc="outside upper center", ncols=min(3, len(systems)), frameon=False, fontsize=9)
