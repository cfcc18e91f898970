"""A report: one self-contained HTML page, the same in Markdown, every table and figure as files or for a notebook.

`load_results` gives a notebook the records as a data frame, with the tables, figures and report made from them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from robustbench_char.common import InputError, nearest
from robustbench_char.common.files import output_folder
from robustbench_char.records.evaluation import Record, find_records
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports._render import FIGURES, TABLES, inline_script, latex_table, render, slug
from robustbench_char.reports.blocks import Block, Explorer, Picture, Section, Table
from robustbench_char.reports.evidence import Evidence, read_evidence
from robustbench_char.reports.figures.style import to_png, to_svg
from robustbench_char.reports.sections import SECTIONS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Results", "load_results", "write_report"]

T = TypeVar("T")


class Results(pd.DataFrame):
    """A data frame of one row per record; what is selected from it is a plain data frame.

    Columns: `task`, `system` (as reports call it), `base`, `training_seed`, `condition` (`clean` or a suite),
    `attack_seed`, `effective_strength` (share of eligible words), `saw_attack`, `metric`, `score` (the headline, in
    percent), `examples`, `created`, `folder`. Missing values stand where something does not apply.
    """

    _metadata = ["folders"]  # noqa: RUF012  (the name and kind that pandas asks for)
    folders: list[Path]

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    def table(self, name: str) -> pd.DataFrame:
        """Return a table of the report, unrounded, by the name of its file. Raises InputError for an unknown name."""
        return _named(report_tables(self.folders), name, "table")

    def figure(self, name: str) -> Figure:
        """Return a figure of the report by the name of its file. Raises InputError for an unknown name."""
        return _named(report_figures(self.folders), name, "figure")

    def report(self, output: Path | str = "report", *, examples: bool = True, overwrite: bool = False) -> Path:
        """Write the report into `output` and return the path of its `index.html` (see `write_report`)."""
        return write_report(self.folders, Path(output), examples=examples, overwrite=overwrite)


def load_results(*folders: Path | str) -> Results:
    """Return all records below some folders: evaluations, runs of a benchmark, and published sets of results.

    Raises InputError for a missing folder, no record, and records that are damaged or of a newer version.
    """
    paths = [Path(folder) for folder in folders]
    frame = pd.DataFrame([_row(folder, record) for folder, record in find_records(paths)])
    results = Results(frame.astype({"training_seed": "Int64", "attack_seed": "Int64"}))
    results.folders = paths
    return results


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
    folders: Sequence[Path | str], output: Path | str, *, examples: bool = True, overwrite: bool = False
) -> Path:
    """Write the report on all records below the folders into `output` and return the path of its `index.html`.

    Tables are written to `tables/` as CSV (full precision), Markdown and LaTeX, figures to `figures/` as SVG and PNG.
    With `examples` off, no text of a prediction is read or written. Systems stand in the order in which they are found,
    `bert` first; the same records in the same order give the same bytes. Raises InputError for folders without records,
    records that do not belong in one table, predictions that are not those of their record, and an output folder that
    has other content or cannot be written.
    """
    evidence = read_evidence(folders, examples=examples)
    sections = _sections(evidence)
    blocks = [block for section in sections for block in section.blocks]
    tables = [block for block in blocks if isinstance(block, Table)]
    pictures = [block for block in blocks if isinstance(block, Picture)]
    drawn = {picture.name: to_svg(picture.figure, slug(picture.name)) for picture in pictures}
    script, allowed = inline_script() if any(isinstance(block, Explorer) for block in blocks) else ("", "'none'")
    values: dict[str, Any] = {"title": "Robustness report", "lead": _lead(evidence), "sections": sections}
    values |= {"pictures": drawn, "explorer_script": script, "allowed_script": allowed}
    with output_folder(Path(output), overwrite=overwrite, inputs=[Path(folder) for folder in folders]) as folder:
        _write(folder / "index.html", render("report.html.j2", values))
        _write(folder / "report.md", render("report.md.j2", values))
        _write_tables(folder / TABLES, tables)
        _write_figures(folder / FIGURES, pictures, drawn)
    return Path(output) / "index.html"


def _sections(evidence: Evidence) -> list[Section]:
    return [section for name in SECTIONS for section in SECTIONS.get(name)(evidence)]


def _text_free(folders: Sequence[Path | str]) -> list[Block]:
    """Return the blocks of a report that shows no text of a prediction."""
    return [block for section in _sections(read_evidence(folders, examples=False)) for block in section.blocks]


def _lead(evidence: Evidence) -> str:
    records = [record for _, record in evidence.records]
    systems, tasks = {record.system.shown for record in records}, {record.task for record in records}
    suites = {record.condition for record in records if record.data.attack}
    counts = ((systems, "system"), (tasks, "task"), (suites, "attack suite"))
    return ", ".join(formatting.plural(len(names), noun) for names, noun in counts)


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


def _row(folder: Path, record: Record) -> dict[str, Any]:
    attack, system = record.data.attack, record.system
    return {
        "task": record.task,
        "system": system.shown,
        "base": system.base,
        "training_seed": system.training_seed,
        "condition": record.condition,
        "attack_seed": attack and attack.seed,
        "effective_strength": attack and attack.effective_strength,
        "saw_attack": record.saw_attack,
        "metric": record.headline,
        "score": record.scores[record.headline],
        "examples": record.data.examples,
        "created": record.created,
        "folder": str(folder),
    }


def _named(blocks: dict[str, T], name: str, kind: str) -> T:
    if name not in blocks:
        raise InputError(
            f"{kind} name",
            found=repr(name),
            expected=f"one of {', '.join(blocks)}",
            fix=f"Correct the name.{nearest(name, blocks)}",
        )
    return blocks[name]
