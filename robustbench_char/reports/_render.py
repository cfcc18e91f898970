"""Blocks as HTML, Markdown and LaTeX (for the package booktabs): every value that is printed is escaped."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustbench_char.common.files import opening_of
from robustbench_char.reports.blocks import Cell, Column, Picture, Table

if TYPE_CHECKING:
    import jinja2
    import pandas as pd

TABLES, FIGURES = "tables", "figures"
"""The folders beside the page, which hold every table and every figure as files."""

PAGE, TEXT = "index.html", "report.md"
_MARKS = (b'<meta name="generator" content="robustbench-char">', b"<title>Robustness report</title>")
"""What stands at the head of a page, the latter in those of version 0.1."""
_LONGEST = 160
"""Bytes of a file's name, without its ending: file systems take 255."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ENDINGS = {TABLES: (".csv", ".md", ".tex"), FIGURES: (".svg", ".png")}

_LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "−": "$-$", "–": "--", "×": r"$\times$", "→": r"$\rightarrow$",
    "…": r"\ldots{}", "†": r"\textdagger{}", "‡": r"\textdaggerdbl{}", "µ": r"\textmu{}", "Δ": r"$\Delta$",
    "≤": r"$\leq$", "≥": r"$\geq$", "·": r"$\cdot$", "½": r"$\frac{1}{2}$",
})  # fmt: skip


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return a template of this package, filled; those that end with .md.j2 are escaped as Markdown."""
    return _environment(markdown=template.endswith(".md.j2")).get_template(template).render(values)


def inline_script() -> tuple[str, str]:
    """Return the page's script, and its hash as a Content-Security-Policy names it: no other script may run."""
    text = (files("robustbench_char.reports") / "templates" / "explorer.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return text, f"'sha256-{digest}'"


def is_report(folder: Path) -> bool:
    """Return whether a folder holds a report and nothing else."""
    page = folder / PAGE
    opening = opening_of(page)
    if not any(mark in opening for mark in _MARKS):
        return False
    paths = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()} - {Path(PAGE), Path(TEXT)}
    return all(path.suffix in _ENDINGS.get(path.parent.as_posix(), ()) for path in paths)


def slug(name: str) -> str:
    """Return a name that is safe as a file's and as an anchor: tasks of users may be called anything."""
    safe = re.sub(r"[^\w-]+", "-", name)
    if len(safe.encode()) <= _LONGEST:
        return safe
    start = safe.encode()[: _LONGEST - 9].decode(errors="ignore")
    return f"{start}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}"


def spreadsheet(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts a spreadsheet reads as texts: one that begins as a formula does has ' before it."""
    safe = frame.copy()
    for name, column in frame.select_dtypes(["object", "string"]).items():
        safe[name] = column.map(
            lambda cell: f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
        )
    return safe


def _environment(*, markdown: bool) -> jinja2.Environment:
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("robustbench_char.reports"),
        autoescape=not markdown,
        finalize=_escape_markdown if markdown else None,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"anchor": slug, "markup": Markup, "files": _files, "size": _size}
    return environment


def _files(block: Table | Picture) -> str:
    """Return the path of the files of a block beside the page, without their endings."""
    return f"{TABLES if isinstance(block, Table) else FIGURES}/{slug(block.name)}"


def _size(block: Picture) -> str:
    width, height = block.figure.get_size_inches()
    return f"{width:.1f} × {height:.1f} in"


def _escape_markdown(value: Any) -> str:
    """Return a value as literal text in GitHub's Markdown, also inside a table cell."""
    text = " ".join(str(value).split("\n"))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~#!])", r"\\\1", text)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)  # inside a word it emphasises nothing


def escape_latex(text: str) -> str:
    """Return a text as LaTeX prints it literally; letters of other scripts stay, and need a font that has them."""
    return text.translate(_LATEX)


def latex_table(table: Table, label: str) -> str:
    r"""Return a `table` environment with the printed columns, captioned; it needs \usepackage{booktabs}."""
    columns, cells = table.printed()
    aligned = "".join("l" if column.align == "left" else "r" for column in columns)
    head = " & ".join(escape_latex(column.title) for column in columns)
    rows = [" & ".join(map(_latex_cell, row, columns)) + r" \\" for row in cells]
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


def _latex_cell(cell: Cell, column: Column) -> str:
    """Return a cell, its lines stacked."""
    first, *rest = map(escape_latex, cell.text.split("\n"))
    lines = [rf"\textbf{{{first}}}" if cell.bold else first, *rest]
    stacked = r"\\".join(lines)
    return rf"\shortstack[{column.align[0]}]{{{stacked}}}" if rest else stacked
