"""`compare`: what changed between two sets of results beyond noise."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from robustbench_char.analysis.compare_runs import Apart, Result, Row, SetComparison
    from robustbench_char.analysis.record_changes import Change

__all__ = ["compare"]

_WIDE = 240  # columns, where nobody's terminal sets a limit
_SHOWN = 40
"""Characters of a setting; hashes get 12."""
_WORDS = {"task", "system", "condition", "verdict"}
_STYLES = {"differs": "bold red", "within noise": "", "same": "dim"}


def compare(
    a: Annotated[Path, typer.Argument(metavar="DIR_A", help="A folder with results, as `evaluate` writes them.")],
    b: Annotated[Path, typer.Argument(metavar="DIR_B", help="Another one; differences are B minus A.")],
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON, unrounded.")] = False,
) -> None:
    """Show what changed from one set of results to another beyond noise, and what the two did differently.

    Results are matched by task, system, base, training seed, suite and attack seed; seeds are pooled.

    Exit code 0: each result of one set was compared with one of the other, on the same examples, and none differs (p
    below 0.05, corrected for the number of rows). 1: one differs, is in one set alone, or cannot be compared (another
    test file, other edits, no counts). 2: bad input.
    """
    from robustbench_char.analysis.compare_runs import compare_sets

    found = compare_sets(a, b)
    if json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        _print(found)
    raise typer.Exit(0 if found.equal else 1)


def _print(found: SetComparison) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDE
    if found.rows:
        console.print(_table(found.rows))
        console.print()
    for title, lines in (
        ("not comparable", _apart(found.apart)),
        ("only in A (attack seeds in brackets)", _listed(found.only_a)),
        ("only in B (attack seeds in brackets)", _listed(found.only_b)),
        ("made with", _changes(found.changes, found.matched)),
    ):
        _print_lines(console, title, lines)
    console.print(_summary(found), soft_wrap=True)


def _print_lines(console: Console, title: str, lines: Iterable[str]) -> None:
    lines = list(lines)
    for line in (f"{title}:", *(f"  {line}" for line in lines), "") if lines else ():
        console.print(line, soft_wrap=True)


def _table(rows: Sequence[Row]) -> Table:
    """One line a row; the base stands beside the system where there are several, examples times runs under n."""
    from rich.table import Table

    bases = len({row.base for row in rows}) > 1
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("task", "system", "condition", "n", "A", "B", "B - A", "95%", "p (Holm)", "verdict"):
        table.add_column(name, justify="left" if name in _WORDS else "right", overflow="fold")
    for row in rows:
        limits = row.note if row.low is None else f"{row.low:+.2f} to {row.high:+.2f}"
        table.add_row(
            row.task,
            f"{row.system} ({row.base})" if bases else row.system,
            row.condition,
            f"{row.examples:,}" + (f" x {row.runs}" if row.runs > 1 else ""),
            *(f"{row.a:.2f}", f"{row.b:.2f}", f"{row.difference:+.2f}", limits),
            "" if row.p_holm is None else f"{row.p_holm:.4f}",
            row.verdict,
            style=_STYLES[row.verdict],
        )
    return table


def _name(result: Result) -> str:
    seed = "" if result.training_seed is None else f", training seed {result.training_seed}"
    return f"{result.task}, {result.system}, {result.base}{seed}"


def _condition(result: Result) -> str:
    return result.condition if result.attack_seed is None else f"{result.condition} ({result.attack_seed})"


def _apart(apart: Iterable[Apart]) -> Iterator[str]:
    for one in apart:
        yield f"{_name(one.result)}, {_condition(one.result)}: {one.reason} (A {one.a:.2f}, B {one.b:.2f})"


def _listed(results: Iterable[Result]) -> Iterator[str]:
    """One line a system and training seed, with its conditions and the seeds of each attack."""
    found: dict[str, dict[str, list[str]]] = {}
    for result in results:
        seeds = found.setdefault(_name(result), {}).setdefault(result.condition, [])
        seeds += [] if result.attack_seed is None else [str(result.attack_seed)]
    for name, conditions in found.items():
        shown = (f"{condition} ({', '.join(seeds)})" if seeds else condition for condition, seeds in conditions.items())
        yield f"{name}: {', '.join(shown)}"


def _changes(changes: Iterable[Change], matched: int) -> Iterator[str]:
    """One line a thing that differs: its most frequent change, how many others there are, in how many results."""
    found: dict[str, list[Change]] = {}
    for change in changes:
        found.setdefault(change.name, []).append(change)
    for name, several in found.items():
        first = max(several, key=lambda change: change.results)
        others = f", and {len(several) - 1} more" if len(several) > 1 else ""
        results = sum(change.results for change in several)
        yield f"{name}: {_value(first.a)} -> {_value(first.b)}{others} ({results} of {matched} results)"


def _value(value: object) -> str:
    text = "none" if value is None else str(value)
    return text[:12] if re.fullmatch("[0-9a-f]{40,64}", text) else text[:_SHOWN]


def _summary(found: SetComparison) -> str:
    verdicts = [row.verdict for row in found.rows]
    return (
        f"{len(verdicts)} compared: {verdicts.count('differs')} differ beyond noise, {verdicts.count('within noise')} "
        f"within noise, {verdicts.count('same')} the same. Of single results {len(found.apart)} not comparable, "
        f"{len(found.only_a)} only in A, {len(found.only_b)} only in B."
    )
