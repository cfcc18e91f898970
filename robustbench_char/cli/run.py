"""`run`: a whole benchmark from one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from robustbench_char.experiments.run import Where

__all__ = ["run"]


def run(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A shipped benchmark (see `list`), or a .yaml file.")],
    output: Annotated[Path | None, typer.Option(help="The folder for records, report and logs.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="The folder of data files that the spec's paths start at.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print the jobs and what they will take; do nothing.")] = False,
    explain: Annotated[
        str | None, typer.Option(metavar="JOB", help="Say why a job is done, or not; do nothing.")
    ] = None,
    executor: Annotated[str, typer.Option(help="local, processes or ray; the results are the same.")] = "processes",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Jobs at once; default: as many as cores, or GPUs, give room for.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="The address of a Ray cluster; default: the one that RAY_ADDRESS names.")
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Where results are kept and found again, of all runs.")] = None,
    save_seconds: Annotated[
        float, typer.Option(min=0, help="Training saves itself about as often; a stop loses no more.")
    ] = 120.0,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write event files of training to OUTPUT/tensorboard.")
    ] = False,
) -> None:
    """Run a benchmark from data to report. What is done already is found again, after a stop too.

    Exit code 1 says that a job failed: its log is named, all others were done, and the same command tries it again.
    """
    from robustbench_char.common import InputError
    from robustbench_char.experiments.run import Where, run_benchmark

    where = Where(data_dir, store, executor, workers, address, save_seconds, tensorboard)
    if plan:
        _print_plan(spec, where)
    elif explain is not None:
        _print_explanation(spec, where, explain)
    elif output is None:
        raise InputError("--output", found="no folder", expected="the folder for the results", fix="Add --output DIR.")
    else:
        well = run_benchmark(spec, output, where)
        page = output / "report" / "index.html"
        if page.is_file():
            typer.echo(page.absolute())
        if not well:
            raise typer.Exit(1)


def _print_plan(spec: str, where: Where) -> None:
    from rich.console import Console
    from rich.table import Table

    from robustbench_char.experiments.run import plan_benchmark, slots_of
    from robustbench_char.experiments.view import duration

    planned = plan_benchmark(spec, where)
    slots = slots_of(where, planned.resolved.spec)
    estimate = planned.estimate(slots)
    table = Table("job", "state", "time", "disk", "memory", "after", box=None)
    for name, state in planned.states.items():
        one = estimate.jobs.get(name)
        costs = (duration(one.seconds), _bytes(one.disk_bytes), _bytes(one.memory_bytes)) if one else ("", "", "")
        table.add_row(name, state, *costs, ", ".join(planned.plan.jobs[name].needs.values()))
    console = Console()
    if not console.is_terminal:
        console.width = 400  # a job a line, for other programs
    console.print(table)
    typer.echo(
        f"{len(planned.waiting):,} of {len(planned.states):,} jobs to do: about {duration(estimate.wall_seconds)}"
        f" with {slots} at a time ({duration(estimate.job_seconds)} one after another),"
        f" {_bytes(estimate.disk_bytes)} of disk, {_bytes(estimate.memory_bytes)} of memory"
    )
    if estimate.unknown:
        typer.echo(f"not in the estimate, as nothing like them was done before: {len(estimate.unknown):,} jobs")


def _bytes(number: float) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"


def _print_explanation(spec: str, where: Where, job: str) -> None:
    from robustbench_char.experiments.explain import explain
    from robustbench_char.experiments.run import plan_benchmark

    typer.echo("\n".join(explain(plan_benchmark(spec, where), job)))
