"""What two runs must agree in: every record's result part, the report's tables but for times, the attacked bytes."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

from robustbench_char.records.evaluation import find_records, result_part
from robustbench_char.records.sensitivity import find_sensitivities

TIMES = {
    "compared": ["pretraining", "pretraining_seconds"],
    "costs": ["predict_seconds", "microseconds"],
    "defence_costs": ["microseconds"],
    "defence_prices": ["words_per_second"],
    "systems": ["wall_seconds"],
    "versions": ["version"],
}
"""What columns of the report's tables begin with that are volatile, by table; docs/benchmarks.md lists them."""


def outcome(folder: Path) -> dict[str, Any]:
    """Return all of a run's folder that is not volatile."""
    records = {path.relative_to(folder).as_posix(): result_part(record) for path, record in find_records([folder])}
    return {"records": records, "sensitivity": _sensitivity(folder), "tables": _tables(folder / "report" / "tables")}


def _sensitivity(folder: Path) -> dict[str, Any]:
    found = find_sensitivities([folder])
    return {path.relative_to(folder).as_posix(): result_part(record) for path, record in found}


def _tables(folder: Path) -> dict[str, Any]:
    return {
        path.stem: [
            {key: row[key] for key in row if not key.startswith(tuple(TIMES.get(path.stem, ())))} for row in _rows(path)
        ]
        for path in sorted(folder.glob("*.csv"))
    }


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def command(spec: str, output: Path, store: Path, *options: str) -> list[str]:
    """Return the command line of a run."""
    line = [sys.executable, "-m", "robustbench_char.cli.main", "run", spec, "--output", str(output)]
    return [*line, "--store", str(store), *options]


def run(spec: str, output: Path, store: Path, *options: str, **how: Any) -> subprocess.CompletedProcess[str]:
    """Run a benchmark as a user does, to its end."""
    line = command(spec, output, store, *options)
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=600, **how)
