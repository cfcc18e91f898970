"""Write a report: one self-contained HTML page, the same in Markdown, one CSV a table and one SVG a figure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustbench_char.common.files import output_folder
from robustbench_char.reports import show
from robustbench_char.reports.blocks import Evidence, Picture, Section, Table
from robustbench_char.reports.frames import read_evidence
from robustbench_char.reports.sections import SECTIONS

if TYPE_CHECKING:
    import jinja2

__all__ = ["write_report"]


def write_report(folders: list[Path], output: Path, *, examples: bool = True, overwrite: bool = False) -> Path:
    """Write the report on all records below the folders into `output` and return the path of its `index.html`.

    With `examples` off, no text of a prediction is read or written. Systems stand in the order in which they are found,
    `bert` first; the same records in the same order give the same bytes. Raises InputError for folders without records,
    predictions that are not those of their record, and an output folder that has other content or cannot be written.
    """
    evidence = read_evidence(folders, examples=examples)
    sections = [section for name in SECTIONS for section in SECTIONS.get(name)(evidence)]
    values = {"title": "Robustness report", "lead": _lead(evidence), "sections": sections}
    with output_folder(output, overwrite=overwrite, inputs=folders) as folder:
        _write(folder / "index.html", _render("report.html.j2", values))
        _write(folder / "report.md", _render("report.md.j2", values))
        _write_blocks(folder, sections)
    return output / "index.html"


def _lead(evidence: Evidence) -> str:
    records = [record for _, record in evidence.records]
    systems, tasks = {record.system.shown for record in records}, {record.task for record in records}
    suites = {record.condition for record in records if record.data.attack}
    return ", ".join(
        show.plural(len(names), noun)
        for names, noun in ((systems, "system"), (tasks, "task"), (suites, "attack suite"))
    )


def _write_blocks(folder: Path, sections: Sequence[Section]) -> None:
    for block in (block for section in sections for block in section.blocks):
        if isinstance(block, Table):
            block.frame.to_csv(folder / _file(block), index=False, lineterminator="\n")
        elif isinstance(block, Picture):
            _write(folder / _file(block), block.svg)


def _write(path: Path, text: str) -> None:
    # A text may hold half a surrogate pair (JSON can spell one), which UTF-8 cannot: it is shown as its escape.
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _file(block: Table | Picture) -> str:
    return _slug(block.name) + (".csv" if isinstance(block, Table) else ".svg")


def _slug(name: str) -> str:
    """Return a name that is safe as a file's and as an anchor: tasks of users may be called anything."""
    return re.sub(r"[^\w-]+", "-", name)


def _render(template: str, values: dict[str, Any]) -> str:
    environment = _environment(markdown=template.endswith(".md.j2"))
    return environment.get_template(template).render(values)


def _environment(*, markdown: bool) -> jinja2.Environment:
    """Return an environment that escapes every value it prints, for HTML or for Markdown."""
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
    environment.filters["file"] = _file
    environment.filters["anchor"] = _slug
    environment.filters["markup"] = Markup
    return environment


def _escape_markdown(value: Any) -> str:
    """Return a value as literal text in GitHub's Markdown, also inside a table cell."""
    text = " ".join(str(value).split("\n"))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~#!])", r"\\\1", text)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)  # inside a word it emphasises nothing
