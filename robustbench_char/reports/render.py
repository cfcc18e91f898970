"""Blocks as HTML and as Markdown: one environment for each, which escapes every value that it prints."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from robustbench_char.reports.blocks import Picture, Table

if TYPE_CHECKING:
    import jinja2

__all__ = ["FIGURES", "TABLES", "inline_script", "render", "slug"]

TABLES, FIGURES = "tables", "figures"
"""The folders beside the page, which hold every table and every figure as files."""


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return a template of this package, filled; those that end with .md.j2 are escaped as Markdown."""
    return _environment(markdown=template.endswith(".md.j2")).get_template(template).render(values)


def inline_script() -> tuple[str, str]:
    """Return the page's script, and its hash as a Content-Security-Policy names it: no other script may run."""
    text = (files("robustbench_char.reports") / "templates" / "explorer.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return text, f"'sha256-{digest}'"


def slug(name: str) -> str:
    """Return a name that is safe as a file's and as an anchor: tasks of users may be called anything."""
    return re.sub(r"[^\w-]+", "-", name)


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
    environment.filters |= {"anchor": slug, "markup": Markup, "place": _place, "size": _size}
    return environment


def _place(block: Table | Picture) -> str:
    """Return where the files of a block lie beside the page, without their endings."""
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
