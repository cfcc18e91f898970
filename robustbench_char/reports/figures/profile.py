"""The profile of a sentence as a figure: each word's distance, a line a system, attacked words shaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["profile_figure"]

_WORDS = 18
"""The most words in one line of the figure; a longer sentence goes on in the next."""
_LONGEST = 16
"""The most characters of a word that are printed."""
_WIDTH = 7.2  # inches
# Dark enough on white for thin lines (Okabe and Ito 2008); markers and dashes tell them apart without colour.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
_STYLE: Any = {"svg.fonttype": "none", "text.parse_math": False, "font.size": 10.0}


def profile_figure(frame: pd.DataFrame) -> Figure:
    """Draw how far each word of one sentence moves; `frame` is that of `analysis.profiles.side_by_side`.

    A word that was attacked is shaded, and printed before and after. One that was cut off has no mark. Raises
    ValueError for an empty frame.
    """
    import matplotlib
    from matplotlib.figure import Figure

    if frame.empty:
        raise ValueError("the frame has no words")
    count = int(frame["number"].max()) + 1
    lines = -(-count // _WORDS)
    across = -(-count // lines)
    with matplotlib.rc_context(_STYLE):
        width = min(_WIDTH, max(3.4, 1.0 + 0.42 * across))
        figure = Figure(figsize=(width, 0.4 + 2.4 * lines), layout="constrained")
        panels = figure.subplots(lines, 1, sharey=True, squeeze=False).ravel()
        for line, axes in enumerate(panels):
            _panel(axes, frame, range(line * across, min(count, (line + 1) * across)), across)
        figure.supylabel("Distance, 1 − cos (0 to 2)", fontsize=10)
        handles = panels[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    return figure


def _panel(axes: Axes, frame: pd.DataFrame, numbers: range, across: int) -> None:
    for place, (system, part) in enumerate(frame.groupby("system", sort=False)):
        distances = part.set_index("number")["distance"].reindex(numbers)
        axes.plot(
            np.arange(len(numbers)),
            distances,
            label=str(system),
            color=_COLOURS[place % len(_COLOURS)],
            marker=_MARKERS[place % len(_MARKERS)],
            linestyle=_DASHES[place % len(_DASHES)],
            linewidth=1.0,
            markersize=5.0,
        )
    words = frame.drop_duplicates("number").set_index("number").loc[list(numbers)]
    for at, changed in enumerate(words["changed"]):
        if changed:
            axes.axvspan(at - 0.5, at + 0.5, color="#e6e6e6", linewidth=0, zorder=0)
    labels = [_label(*pair) for pair in zip(words["word"], words["attacked"], strict=True)]
    axes.set_xticks(range(len(numbers)), labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=8.5)
    axes.set_xlim(-0.5, across - 0.5)
    axes.set_ylim(0, max(0.1, 1.08 * float(np.nanmax([0.0, *frame["distance"]]))))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _label(word: str, attacked: str) -> str:
    """Return a word as printed below its marks: as it was, then as it became."""
    shown = [one if len(one) <= _LONGEST else one[: _LONGEST - 1] + "…" for one in (word, attacked)]
    return shown[0] if word == attacked else f"{shown[0]}\n{shown[1]}"
