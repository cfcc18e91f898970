"""What stands at the top of a page: a banner over generated data, the name of what was run, and how much of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from robustbench_char.common.files import read_json
from robustbench_char.records.published import RUN
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.evidence import Evidence

__all__ = ["heading", "run_named"]

_MINI = "mini: generated data, never for claims"
_FEW = 3


def run_named(folders: Sequence[Path]) -> tuple[str, str]:
    """Return name and description of the benchmark that the one folder among `folders` is the run of, or nothing."""
    runs = [read_json(folder / RUN) for folder in folders if (folder / RUN).is_file()]
    if len(runs) != 1 or not isinstance(runs[0], dict):
        return "", ""
    spec = runs[0].get("spec")
    return str(runs[0].get("name", "")), str(spec.get("about") or "") if isinstance(spec, dict) else ""


def heading(evidence: Evidence, name: str, about: str) -> dict[str, str]:
    """Return banner, title and lead of the page."""
    records = [record for _, record in evidence.records]
    systems = dict.fromkeys(record.system.shown for record in records)
    tasks = dict.fromkeys(record.task for record in records)
    suites = {attack.suite for record in records if (attack := record.data.attack) and not attack.search}
    counts = ((systems, "system"), (tasks, "task"), (suites, "attack suite"))
    amount = ", ".join(formatting.plural(len(names), noun) for names, noun in counts)
    models = ", ".join(systems) if len(systems) <= _FEW else formatting.plural(len(systems), "system")
    models += f" on {next(iter(tasks)) if len(tasks) == 1 else formatting.plural(len(tasks), 'task')}"
    mini = any(record.data.source == "mini" for record in records)
    if set(about.rpartition(" on ")[0].split(", ")) == set(systems):  # as `check` describes what it runs
        name = about = ""
    return {"banner": _MINI if mini else "", "title": name or models, "lead": f"{about} {amount}.".strip()}
