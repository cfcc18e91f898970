"""Tables as LaTeX, for the package booktabs."""

from __future__ import annotations

from robustbench_char.reports.blocks import Cell, Column, Table

__all__ = ["escape_latex", "latex_table"]

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "−": "$-$", "–": "--", "×": r"$\times$", "→": r"$\rightarrow$",
    "…": r"\ldots{}", "†": r"\textdagger{}", "‡": r"\textdaggerdbl{}", "µ": r"\textmu{}", "Δ": r"$\Delta$",
    "≤": r"$\leq$", "≥": r"$\geq$", "·": r"$\cdot$", "½": r"$\frac{1}{2}$",
}  # fmt: skip
_TABLE = str.maketrans(_SPECIAL)


def escape_latex(text: str) -> str:
    """Return a text as LaTeX prints it literally; letters of other scripts stay, and need a font that has them."""
    return text.translate(_TABLE)


def latex_table(table: Table, label: str) -> str:
    r"""Return a `table` environment with the printed columns, captioned; it needs \usepackage{booktabs}."""
    aligned = "".join("l" if column.align == "left" else "r" for column in table.columns)
    head = " & ".join(escape_latex(column.title) for column in table.columns)
    rows = [" & ".join(map(_cell, cells, table.columns)) + r" \\" for cells in table.rows()]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(table.caption)}}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{aligned}}}",
        r"\toprule",
        rf"{head} \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _cell(cell: Cell, column: Column) -> str:
    """Return a cell, its lines stacked."""
    first, *rest = map(escape_latex, cell.text.split("\n"))
    lines = [rf"\textbf{{{first}}}" if cell.bold else first, *rest]
    stacked = r"\\".join(lines)
    return rf"\shortstack[{column.align[0]}]{{{stacked}}}" if rest else stacked
