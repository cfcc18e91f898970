"""A report: one self-contained HTML page, the same in Markdown, every table and figure as files or for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from robustbench_char.common.files import output_folder, sha256_bytes
from robustbench_char.reports._heading import heading, run_named
from robustbench_char.reports._render import (
    FIGURES,
    PAGE,
    TABLES,
    TEXT,
    inline_script,
    is_report,
    latex_table,
    render,
    slug,
    spreadsheet,
)
from robustbench_char.reports.blocks import Block, Explorer, Picture, Section, Table
from robustbench_char.reports.evidence import Evidence, read_evidence
from robustbench_char.reports.figures.style import ACROSS, BESIDE, to_panels, to_png, to_svg
from robustbench_char.reports.sections import SECTIONS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["report_figures", "report_tables", "write_report"]


def report_tables(folders: Sequence[Path | str]) -> dict[str, pd.DataFrame]:
    """Return every table that a report on these folders has, unrounded, by the name of its file.

    Raises InputError as `write_report` does.
    """
    return {block.name: block.frame for block in _text_free(folders) if isinstance(block, Table)}


def report_figures(folders: Sequence[Path | str]) -> dict[str, Figure]:
    """Return every figure that a report on these folders has, by the name of its file.

    Raises InputError as `write_report` does.
    """
    return {block.name: block.figure for block in _text_free(folders) if isinstance(block, Picture)}


def write_report(
    folders: Sequence[Path | str],
    output: Path | str,
    *,
    examples: bool = True,
    overwrite: bool = False,
    run: tuple[str, str] | None = None,
) -> Path:
    """Write the report on all records below the folders into `output` and return the path of its `index.html`.

    Tables are written to `tables/` as CSV (full precision), Markdown and LaTeX, figures to `figures/` as SVG and PNG.
    With `examples` off, no text of a prediction is read or written. `run` is name and description of the benchmark, by
    default those of the run that one of the folders is, which title the page. Systems stand in the order in which they
    are found, `bert` first; the same records in the same order give the same bytes. Raises InputError for folders
    without records, records that do not belong in one table, predictions that are not those of their record, and an
    output folder that cannot be written or has other content than an earlier report, which is replaced.
    """
    evidence = read_evidence(folders, examples=examples)
    sections = _sections(evidence)
    blocks = [block for section in sections for block in section.blocks]
    tables = [block for block in blocks if isinstance(block, Table)]
    pictures = [block for block in blocks if isinstance(block, Picture)]
    script, allowed = inline_script() if any(isinstance(block, Explorer) for block in blocks) else ("", "'none'")
    values = heading(evidence, *(run or run_named([Path(folder) for folder in folders]))) | {
        "sections": [section for each in sections if (section := _printed(each)).blocks],
        "explorer_script": script,
    }
    values |= {"allowed_script": allowed}
    inputs = [Path(folder) for folder in folders]
    with output_folder(Path(output), overwrite=overwrite, inputs=inputs, earlier=is_report) as folder:
        _write(folder / TEXT, render("report.md.j2", values))
        _write_tables(folder / TABLES, tables)
        _write_figures(folder / FIGURES, pictures)
        panels = {picture.name: _on_page(picture) for picture in pictures}
        _write(folder / PAGE, render("report.html.j2", values | {"pictures": panels}))
    return Path(output) / PAGE


def _sections(evidence: Evidence) -> list[Section]:
    return _told_apart([section for name in SECTIONS for section in SECTIONS.get(name)(evidence)])


def _told_apart(sections: Sequence[Section]) -> list[Section]:
    """Return sections whose tables, and whose figures, are files of different names, also where case does not count."""
    taken: dict[tuple[str, str], str] = {}

    def apart(block: Block) -> Block:
        if not isinstance(block, Table | Picture):
            return block
        first = taken.setdefault((block.kind, slug(block.name).casefold()), block.name)
        mark = sha256_bytes(block.name.encode(errors="surrogatepass"))[:8]
        return block if block.name == first else block._replace(name=f"{block.name}-{mark}")

    return [section._replace(blocks=tuple(map(apart, section.blocks))) for section in sections]


def _printed(section: Section) -> Section:
    """Return a section without tables that have no row to print."""
    kept = (block for block in section.blocks if not isinstance(block, Table) or len(block.rows))
    return section._replace(blocks=tuple(kept))


def _text_free(folders: Sequence[Path | str]) -> list[Block]:
    """Return the blocks of a report that shows no text of a prediction."""
    return [block for section in _sections(read_evidence(folders, examples=False)) for block in section.blocks]


def _write_tables(folder: Path, tables: Sequence[Table]) -> None:
    folder.mkdir()
    for table in tables:
        name = slug(table.name)
        spreadsheet(table.frame).to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
        _write(folder / f"{name}.md", render("table.md.j2", {"block": table}))
        _write(folder / f"{name}.tex", latex_table(table, name))


def _write_figures(folder: Path, pictures: Sequence[Picture]) -> None:
    if pictures:
        folder.mkdir()
    for picture in pictures:
        name = slug(picture.name)
        _write(folder / f"{name}.svg", to_svg(picture.figure, name))
        (folder / f"{name}.png").write_bytes(to_png(picture.figure))


def _on_page(picture: Picture) -> list[str]:
    return to_panels(picture.figure, slug(picture.name), BESIDE if picture.beside else ACROSS)


def _write(path: Path, text: str) -> None:
    # A text may hold half a surrogate pair (JSON can spell one), which UTF-8 cannot: it is shown as its escape.
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
