"""What commands print of results: numbers first, then where they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from robustbench_char.cli.printing import echo

if TYPE_CHECKING:
    from robustbench_char.inference.results import Evaluation
    from robustbench_char.metrics.bootstrap import Interval
    from robustbench_char.records.evaluation import Record

__all__ = ["show_evaluation", "show_numbers", "show_run"]

_COUNTED = ("failed_examples", "tokens_in", "tokens_out")


def show_evaluation(result: Evaluation) -> None:
    """Print one result: its scores, the headline with its interval, and whether a clean one says nothing."""
    from robustbench_char.reports.summary import about_learning, about_training

    _notes([result.record], opened=True)
    interval = result.interval()
    echo(_line(result.record, interval))
    for note in filter(None, (about_training([result.record]), about_learning(result.record, interval))):
        echo(note)


def show_numbers(folder: Path, *, opened: bool = False) -> None:
    """Print the table and the sentences of all records below a folder; where none is clean, a line for each.

    Of models that were `opened` by this command it was said before what is to know of them.
    """
    from robustbench_char.records.evaluation import find_records
    from robustbench_char.reports.summary import about_training, read_summary

    records = [record for _, record in find_records([folder])]
    _notes(records, opened=opened)
    if any(record.data.attack is None for record in records):
        echo(read_summary([folder]).text())
    else:
        echo("\n".join(filter(None, [*map(_line, records), about_training(records)])))


def show_run(folder: Path, errors: Mapping[str, str]) -> None:
    """Print the numbers of a run, why jobs failed, and the path of the report; a failed job exits with code 1."""
    if (folder / "records").is_dir():
        show_numbers(folder / "records")
    for error, jobs in _alike(errors):
        more = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
        echo(f"failed: {jobs[0]}{more}: {error}", err=True)
    page = folder / "report" / "index.html"
    if page.is_file():
        echo(page.absolute())
    if errors:
        echo(f"logs: {folder / 'logs'}", err=True)
        raise typer.Exit(1)


def _alike(errors: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each reason once, with its jobs: one outage may end many; numbers in it do not count."""
    groups: dict[str, list[str]] = {}
    for job, error in errors.items():
        groups.setdefault(re.sub(r"\d+", "#", error), []).append(job)
    yield from ((errors[jobs[0]], jobs) for jobs in groups.values())


def _line(record: Record, interval: Interval | None = None) -> str:
    scores = {name: f"{name} {value:.2f}" for name, value in record.scores.items()}
    if interval is not None and interval.low is not None:
        scores[record.headline] += f" [{interval.low:.2f}, {interval.high:.2f}]"
    first = [scores.pop(record.headline), *scores.values()]
    return f"{record.task}, {record.condition}, {record.data.examples:,} examples: {', '.join(first)}"


def _notes(records: list[Record], *, opened: bool = False) -> None:
    """Print what is to know of models that are not ours, each thing once; of those `opened` here it was said then."""
    models = () if opened else [record.system.model for record in records]
    for note in dict.fromkeys(note for model in models if model for note in model.notes):
        echo(note)
    for shown in dict.fromkeys(record.system.shown for record in records):
        for note in _answers([record for record in records if record.system.shown == shown], opened=opened):
            echo(f"{shown}: {note}")


def _answers(records: list[Record], *, opened: bool) -> Iterator[str]:
    """Yield how many predictions of a system could not be used, and tokens and cost of a chat model.

    A predictor that was opened here has warned of them.
    """
    counts = {name: sum(record.counts.get(name, 0) for record in records) for name in _COUNTED}
    if (failed := counts["failed_examples"]) and (records[0].system.chat or not opened):
        total = sum(record.data.examples for record in records)
        what = f"{failed:,} of {total:,} predictions could not be used and count as wrong"
        yield f"{what}; the column `error` of predictions.parquet has the reasons"
    if records[0].system.chat:
        costs = [record.cost for record in records if record.cost is not None]
        cost = f", cost {sum(costs):.4f}" if costs else ""
        yield f"{counts['tokens_in']:,} tokens in, {counts['tokens_out']:,} tokens out{cost}"
