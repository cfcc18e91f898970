"""`report` and `compare`: a page on results, and what changed between two sets of them beyond noise."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustbench_char.cli.options import Output, Overwrite, command
from robustbench_char.cli.printing import echo, visible_console

if TYPE_CHECKING:
    from rich.table import Table

    from robustbench_char.analysis.compare_runs import Apart, Change, Result, Row, SetComparison

__all__ = ["compare", "report"]

_WIDE = 240  # columns, where the output is not a terminal
_SHOWN = 40
"""Characters of a setting; hashes get 12."""
_WORDS = {"task", "system", "condition", "verdict"}
_STYLES = {"differs": "bold red", "within noise": "", "same": "dim"}


@command("report", lambda page: echo(page.absolute()))
def report(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR", help="Folders that `check`, `run` or `evaluate` wrote, or folders of such folders."
        ),
    ],
    output: Output = Path("report"),
    examples: Annotated[
        bool, typer.Option(help="Show twenty examples; --no-examples for data whose text must not be published.")
    ] = True,
    overwrite: Overwrite = False,
) -> None:
    """Write one self-contained HTML page, the same as Markdown, and every table and figure as files."""


def _print(result: SetComparison, json: bool) -> None:
    if json:
        echo(result.model_dump_json(indent=2))
    else:
        _print_text(result)
    raise typer.Exit(0 if result.equal else 1)


@command("compare", _print)
def compare(
    a: Annotated[Path, typer.Argument(metavar="DIR_A", help="A folder with results of `check`, `run` or `evaluate`.")],
    b: Annotated[Path, typer.Argument(metavar="DIR_B", help="Another such folder; differences are B minus A.")],
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON, unrounded.")] = False,
) -> None:
    """Show what changed from one set of results to another beyond noise, and what the two did differently.

    Results are matched by task, system, base, training seed, suite and attack seed; seeds are pooled.

    Exit code 0: each result of one set was compared with one of the other, on the same examples, and none differs (p
    below 0.05, corrected for the number of rows). 1: one differs, is in one set alone, or cannot be compared (another
    test file, other edits, no counts). 2: bad input.
    """


def _print_text(result: SetComparison) -> None:
    console = visible_console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    if rows := [row for row in result.rows if row.learnt]:
        console.print(_table(rows))
        console.print()
    for title, lines in (
        ("left out, not learnt in A or in B (clean scores not above the best constant answer)", _unlearnt(result.rows)),
        ("not comparable", _apart(result.apart)),
        ("only in A (attack seeds in brackets)", _listed(result.only_a)),
        ("only in B (attack seeds in brackets)", _listed(result.only_b)),
        ("made with", _changes(result.changes, result.matched)),
    ):
        if shown := [f"  {line}" for line in lines]:
            console.print("\n".join([f"{title}:", *shown, ""]), soft_wrap=True)
    console.print(_summary(result), soft_wrap=True)


def _table(rows: Sequence[Row]) -> Table:
    """Return one line per row; the base stands beside the system where there are several, examples x runs under n."""
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


def _unlearnt(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        if not row.learnt:
            yield f"{row.task}, {row.system}, {row.base}, {row.condition}: A {row.a:.2f}, B {row.b:.2f}, {row.verdict}"


def _apart(apart: Iterable[Apart]) -> Iterator[str]:
    for pair in apart:
        yield f"{_name(pair.result)}, {_condition(pair.result)}: {pair.reason} (A {pair.a:.2f}, B {pair.b:.2f})"


def _listed(results: Iterable[Result]) -> Iterator[str]:
    """Yield one line per system and training seed, with its conditions and the seeds of each attack."""
    systems: dict[str, dict[str, list[str]]] = {}
    for result in results:
        seeds = systems.setdefault(_name(result), {}).setdefault(result.condition, [])
        seeds += [] if result.attack_seed is None else [str(result.attack_seed)]
    for name, conditions in systems.items():
        shown = (f"{condition} ({', '.join(seeds)})" if seeds else condition for condition, seeds in conditions.items())
        yield f"{name}: {', '.join(shown)}"


def _changes(changes: Iterable[Change], matched: int) -> Iterator[str]:
    """Yield one line per setting that differs: its most frequent change, the number of others, and of results."""
    by_name: dict[str, list[Change]] = {}
    for change in changes:
        by_name.setdefault(change.name, []).append(change)
    for name, several in by_name.items():
        first = max(several, key=lambda change: change.results)
        others = f", and {len(several) - 1} more" if len(several) > 1 else ""
        results = sum(change.results for change in several)
        yield f"{name}: {_value(first.a)} -> {_value(first.b)}{others} ({results} of {matched} results)"


def _value(value: object) -> str:
    text = "none" if value is None else str(value)
    return text[:12] if re.fullmatch("[0-9a-f]{40,64}", text) else text[:_SHOWN]


def _summary(result: SetComparison) -> str:
    verdicts = [row.verdict for row in result.rows]
    return (
        f"{len(verdicts)} compared: {verdicts.count('differs')} differ beyond noise, {verdicts.count('within noise')} "
        f"within noise, {verdicts.count('same')} the same. Of single results {len(result.apart)} not comparable, "
        f"{len(result.only_a)} only in A, {len(result.only_b)} only in B."
    )
