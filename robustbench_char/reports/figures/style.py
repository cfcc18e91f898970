"""How figures look, their grids of panels, and how they become files; pyplot is not used.

They are readable in grey and by colour-blind readers: colours are those of Okabe and Ito (2008), and each series has a
hatch, a marker or a dash of its own, so colour is never the only difference. Figures are made at print size, in inches.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

from robustbench_char.reports import _formatting as formatting

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

__all__ = ["to_panels", "to_svg"]  # fmt: skip

P = ParamSpec("P")

COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#0072B2", "#999999")
HATCHES = ("", "///", "...", "\\\\\\", "xx", "--", "++", "oo")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
DARK = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
"""Dark enough on white for thin lines."""
EDGE = "#222222"
DPI = 300
"""Dots per inch of the PNG."""
ACROSS, BESIDE, NARROW = 11.6, 6.9, 4.5
"""Inches of a figure over the width of a page, beside examples, and of those that stay as they are there."""
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


def to_svg(figure: Figure, name: str, box: Bbox | None = None) -> str:
    """Return a figure as an SVG element, the same bytes each time; `name` keeps its ids apart from other figures'.

    `box` is the part of it that is kept, in inches.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=metadata, bbox_inches=box)
    figure.set_layout_engine("none")  # it is laid out now, for other files too
    svg = re.sub(r"^.*?(?=<svg )", "", buffer.getvalue(), count=1, flags=re.DOTALL)
    return re.sub(r'\bid="|url\(#|href="#', lambda match: f"{match[0]}{name}-", svg)


def to_panels(figure: Figure, name: str, width: float) -> list[str]:
    """Return a figure as SVG elements for a page: its legend and each panel with its own labels, which can be stacked.

    One wider than NARROW is laid out anew over `width` inches. It stays so: files are made before.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    printed, height = figure.get_size_inches()
    figure.set_size_inches(width if printed > NARROW else printed, height)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    with matplotlib.rc_context(_STYLE):
        _label_each(figure, panels)
        figure.set_layout_engine("constrained")
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    drawn = _drawn_apart(figure, [*figure.legends, *panels], name)
    figure.set_size_inches(printed, height)
    return drawn


def _drawn_apart(figure: Figure, parts: Sequence[Artist], name: str) -> list[str]:
    """Return each part of a figure that is laid out as an SVG element of its own."""
    if len(parts) == 1:
        return [to_svg(figure, name)]
    inches = figure.dpi_scale_trans.inverted()
    boxes = [part.get_tightbbox() for part in parts]
    drawn = []
    for number, (part, box) in enumerate(zip(parts, boxes, strict=True)):
        for other in parts:
            other.set_visible(other is part)
        drawn.append(to_svg(figure, f"{name}-{number}", box and box.transformed(inches).padded(0.04)))
    return drawn


def _label_each(figure: Figure, panels: Sequence[Axes]) -> None:
    """Name axes and rows on each panel instead of once for all."""
    across, up = figure.get_supxlabel(), figure.get_supylabel()
    for axes in panels:
        axes.tick_params(labelleft=True, labelbottom=True)
        axes.set_xlabel(axes.get_xlabel() or across)
        axes.set_ylabel(axes.get_ylabel() or up)
    for name in (figure.supxlabel, figure.supylabel):
        name("")


def to_png(figure: Figure) -> bytes:
    """Return a figure as PNG on white, at print size with 300 dots per inch."""
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
    return f"{formatting.score_title(metric)} ({'×100' if metric == 'matthews' else '%'})"


def wrapped(name: str, length: int = 12) -> str:
    """Break a long name at its underscores, so that neighbouring names do not touch."""
    lines = [""]
    for word in re.split(r"(?<=[_ -])", name):
        lines = [*lines, word] if len(lines[-1]) + len(word) > length and lines[-1] else [*lines[:-1], lines[-1] + word]
    return "\n".join(lines)


def panels(
    titles: Sequence[str],
    columns: int,
    width: tuple[float, float],
    height: tuple[float, float],
    *,
    widest: float = math.inf,
    **shared: Any,
) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel for each title, at most `columns` side by side.

    `width` and `height` are inches of the figure and, added to them, of each column or line of panels; `shared` is
    passed to `Figure.subplots`.
    """
    from matplotlib.figure import Figure

    columns = min(columns, len(titles))
    lines = -(-len(titles) // columns)
    size = min(widest, width[0] + width[1] * columns), height[0] + height[1] * lines
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False, **shared).ravel()
    for axes, title in zip(grid, titles, strict=False):
        axes.set_title(title, fontsize=10, loc="left")
    for axes in grid[len(titles) :]:
        axes.set_visible(False)
    return figure, list(grid[: len(titles)])


def names_width(systems: Sequence[str]) -> float:
    """Return the inches that the names of systems take beside a panel."""
    return 0.085 * max(map(len, systems))


def frame_axes(axes: Axes, *, grid: str = "y") -> None:
    """Draw a light grid behind the data, and only the left and the lower edge."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="#dddddd", linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of a panel, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)


def legend(grid: Sequence[Axes], columns: int = 3) -> None:
    """Draw one legend of some panels above all, each label once."""
    handles: dict[str, Any] = {}
    for axes in grid:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    outside: Any = "outside upper center"
    grid[0].figure.legend(handles.values(), handles.keys(), loc=outside, ncols=columns, frameon=False, fontsize=9)


def bar_look(*numbers: int) -> dict[str, Any]:
    """Return how bars look: those with one number, of a series, alike."""
    return {
        "color": [COLOURS[number % len(COLOURS)] for number in numbers],
        "hatch": [HATCHES[number % len(HATCHES)] for number in numbers],
        "edgecolor": EDGE,
        "linewidth": 0.7,
    }


def line_look(number: int, colours: Sequence[str] = COLOURS) -> dict[str, Any]:
    """Return how the line of a series looks."""
    return {
        "color": colours[number % len(colours)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
    }
