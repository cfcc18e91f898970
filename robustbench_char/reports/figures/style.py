"""How figures look, and how they become files: readable in grey and by colour-blind readers; pyplot is not used.

Colours are those of Okabe and Ito (2008). Each series has a hatch, a marker or a dash of its own, so colour is never
the only difference. Figures are made at print size, in inches.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

from robustbench_char.reports import formatting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS", "DASHES", "DPI", "EDGE", "HATCHES", "MARKERS", "WIDTH", "axis_title", "frame_axes",
    "styled", "to_png", "to_svg", "wrapped",
]  # fmt: skip

P = ParamSpec("P")

COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#0072B2", "#999999")
HATCHES = ("", "///", "...", "\\\\\\", "xx", "--", "++", "oo")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
EDGE = "#222222"
DPI = 300
"""Dots an inch of the PNG."""
WIDTH = 7.2
"""The widest figure in inches: two columns of a journal."""

# Names are printed as they are (a `$` starts no formula), and as text, so that the page's own font applies.
_STYLE: Any = {"svg.fonttype": "none", "text.parse_math": False, "hatch.linewidth": 0.6, "font.size": 10.0}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Give a function that draws a figure this module's style; matplotlib's own settings stay as they were."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        import matplotlib

        with matplotlib.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return drawn


def to_svg(figure: Figure, name: str) -> str:
    """Return a figure as an SVG element, the same bytes each time; `name` keeps its ids apart from other figures'."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    figure.set_layout_engine("none")  # it is laid out now, for other files too
    svg = re.sub(r"^.*?(?=<svg )", "", buffer.getvalue(), count=1, flags=re.DOTALL)
    return re.sub(r'\bid="|url\(#|href="#', lambda match: f"{match[0]}{name}-", svg)


def to_png(figure: Figure) -> bytes:
    """Return a figure as PNG on white, at print size with 300 dots an inch."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer, dpi = io.BytesIO(), figure.dpi
    with matplotlib.rc_context(_STYLE):
        figure.set_dpi(DPI)
        canvas: Any = FigureCanvasAgg(figure)
        canvas.print_png(buffer, metadata={"Software": None})  # `savefig` would draw twice
        figure.set_dpi(dpi)
    return buffer.getvalue()


def axis_title(metric: str) -> str:
    """Return the name of a score with its unit."""
    return (
        f"{formatting.score_title(metric)} (×100)" if metric == "matthews" else f"{formatting.score_title(metric)} (%)"
    )


def wrapped(name: str, length: int = 12) -> str:
    """Break a long name at its underscores, so that neighbouring names do not touch."""
    lines = [""]
    for word in re.split(r"(?<=[_ -])", name):
        lines = [*lines, word] if len(lines[-1]) + len(word) > length and lines[-1] else [*lines[:-1], lines[-1] + word]
    return "\n".join(lines)


def frame_axes(axes: Axes, *, grid: str = "y") -> None:
    """Draw a light grid behind the data, and only the left and the lower edge."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="#dddddd", linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
