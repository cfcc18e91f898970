"""Write a report: one self-contained HTML page, the same in Markdown, and every table and every figure as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from robustbench_char.common.files import output_folder
from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Evidence, Explorer, Picture, Table
from robustbench_char.reports.evidence import read_evidence
from robustbench_char.reports.figures.style import to_png, to_svg
from robustbench_char.reports.latex import latex_table
from robustbench_char.reports.render import FIGURES, TABLES, inline_script, render, slug
from robustbench_char.reports.sections import SECTIONS

__all__ = ["write_report"]


def write_report(folders: list[Path], output: Path, *, examples: bool = True, overwrite: bool = False) -> Path:
    """Write the report on all records below the folders into `output` and return the path of its `index.html`.

    Tables are written to `tables/` as CSV (full precision), Markdown and LaTeX, figures to `figures/` as SVG and PNG.
    With `examples` off, no text of a prediction is read or written. Systems stand in the order in which they are found,
    `bert` first; the same records in the same order give the same bytes. Raises InputError for folders without records,
    records that do not belong in one table, predictions that are not those of their record, and an output folder that
    has other content or cannot be written.
    """
    evidence = read_evidence(folders, examples=examples)
    sections = [section for name in SECTIONS for section in SECTIONS.get(name)(evidence)]
    blocks = [block for section in sections for block in section.blocks]
    pictures = {block.name: to_svg(block.figure, slug(block.name)) for block in blocks if isinstance(block, Picture)}
    script, allowed = inline_script() if any(isinstance(block, Explorer) for block in blocks) else ("", "'none'")
    values = {
        "title": "Robustness report",
        "lead": _lead(evidence),
        "sections": sections,
        "pictures": pictures,
        "explorer_script": script,
        "allowed_script": allowed,
    }
    with output_folder(output, overwrite=overwrite, inputs=folders) as folder:
        for template in ("report.html.j2", "report.md.j2"):
            name = "index.html" if template == "report.html.j2" else "report.md"
            _write(folder / name, render(template, values))
        _write_tables(folder / TABLES, [block for block in blocks if isinstance(block, Table)])
        _write_figures(folder / FIGURES, [block for block in blocks if isinstance(block, Picture)], pictures)
    return output / "index.html"


def _lead(evidence: Evidence) -> str:
    records = [record for _, record in evidence.records]
    systems, tasks = {record.system.shown for record in records}, {record.task for record in records}
    suites = {record.condition for record in records if record.data.attack}
    return ", ".join(
        formatting.plural(len(names), noun)
        for names, noun in ((systems, "system"), (tasks, "task"), (suites, "attack suite"))
    )


def _write_tables(folder: Path, tables: Sequence[Table]) -> None:
    folder.mkdir()
    for table in tables:
        name = slug(table.name)
        table.frame.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
        _write(folder / f"{name}.md", render("table.md.j2", {"block": table}))
        _write(folder / f"{name}.tex", latex_table(table, name))


def _write_figures(folder: Path, pictures: Sequence[Picture], drawn: dict[str, str]) -> None:
    if pictures:
        folder.mkdir()
    for picture in pictures:
        name = slug(picture.name)
        _write(folder / f"{name}.svg", drawn[picture.name])
        (folder / f"{name}.png").write_bytes(to_png(picture.figure))


def _write(path: Path, text: str) -> None:
    # A text may hold half a surrogate pair (JSON can spell one), which UTF-8 cannot: it is shown as its escape.
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
