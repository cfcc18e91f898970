"""`run`: a whole benchmark from one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import robustbench_char as rbc
from robustbench_char.cli.options import command
from robustbench_char.cli.printing import echo, visible_console
from robustbench_char.cli.results import show_run

if TYPE_CHECKING:
    from robustbench_char.experiments.run import Planned
    from robustbench_char.experiments.run_folder import RunFile

__all__ = ["run"]


def _run(*, spec: str, plan: bool, explain: str | None = None, **options: Any) -> RunFile | None:
    """Run the benchmark, or print its plan or why one of its jobs is done or not."""
    from robustbench_char.experiments.run import slots_of

    if not plan and explain is None:
        return rbc.run(spec, **options)
    planned = rbc.plan(spec, data_dir=options.get("data_dir"), store=options.get("store"))
    if plan:
        _print_plan(planned, slots_of(planned, options["executor"], options.get("workers"), options.get("address")))
    elif explain is not None:
        echo("\n".join(planned.explain(explain)))
    return None


def _print(result: RunFile | None, spec: str, output: Path | None) -> None:
    from robustbench_char.experiments.run import default_output

    if result:
        show_run(output or default_output(spec), result.errors)


@command(_run, _print)
def run(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A shipped benchmark (see `list`), or a .yaml file.")],
    output: Annotated[
        Path | None, typer.Option(help="Output directory for records, report and logs (default: runs/NAME).")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Directory that the data paths of the spec start at.")] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print jobs with estimated time, disk and memory, then exit.")
    ] = False,
    explain: Annotated[
        str | None, typer.Option(metavar="JOB", help="Explain why JOB is up to date or must be rerun, then exit.")
    ] = None,
    executor: Annotated[str, typer.Option(help="local, processes or ray; the results are the same.")] = "processes",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Parallel jobs (default: as many as CPUs or GPUs allow).")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Address of a Ray cluster (default: that of RAY_ADDRESS, else a local Ray).")
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Result cache, shared by all runs.")] = None,
    save_seconds: Annotated[float, typer.Option(min=0, help="Seconds between checkpoints.")] = 120.0,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write event files of training to OUTPUT/tensorboard.")
    ] = False,
) -> None:
    """Run a benchmark from data to report. Results that exist are reused, so the same command resumes a stopped run.

    Exit code 1: a job failed. Its log is named, all jobs that do not need it were done, and a rerun tries it again.
    """


def _print_plan(planned: Planned, slots: int) -> None:
    from rich.table import Table

    from robustbench_char.experiments.view import duration

    estimate = planned.estimate(slots)
    table = Table("job", "state", "time", "disk", "memory", "after", box=None)
    for name, state in planned.states.items():
        job = estimate.jobs.get(name)
        costs = (duration(job.seconds), _bytes(job.disk_bytes), _bytes(job.memory_bytes)) if job else ("", "", "")
        table.add_row(name, state, *costs, ", ".join(planned.plan.jobs[name].needs.values()))
    console = visible_console()
    if not console.is_terminal:
        console.width = 400  # one line per job, for other programs
    console.print(table)
    echo(
        f"{len(planned.waiting):,} of {len(planned.states):,} jobs to do: about {duration(estimate.wall_seconds)}"
        f" with {slots} at a time ({duration(estimate.job_seconds)} one after another),"
        f" {_bytes(estimate.disk_bytes)} of disk, {_bytes(estimate.memory_bytes)} of memory"
    )
    if estimate.unknown:
        echo(f"not in the estimate, as nothing like them was done before: {len(estimate.unknown):,} jobs")


def _bytes(number: float) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"
