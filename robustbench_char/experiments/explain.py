"""Why a job is done, or is to be done: what decides it, against what decided the earlier results of the same name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from robustbench_char.common import InputError
from robustbench_char.common.differences import differences
from robustbench_char.common.errors import nearest
from robustbench_char.experiments.run import Planned
from robustbench_char.experiments.store import JobFile

__all__ = ["explain"]


def explain(planned: Planned, name: str) -> list[str]:
    """Return the lines that say why. Raises InputError for an unknown job."""
    if name not in planned.plan.jobs:
        raise InputError("--explain", found=f"unknown job {name!r}", expected="a job that `--plan` lists",
                         fix=f"Correct the name.{nearest(name, planned.plan.jobs)}")  # fmt: skip
    job, key, state = planned.plan.jobs[name], planned.plan.keys[name], planned.states[name]
    lines = [f"{name}: {state}", f"key {key}"]
    if state == "done":
        file = planned.store.read(job.stage, key)
        return [*lines, f"made {file.cost.created} on {file.cost.host} in {file.cost.wall_seconds:.1f} s"]
    if state == "not needed":
        return [*lines, "everything that needs its result is done"]
    damage = planned.store.damage(job.stage, key)
    if (planned.store.place(job.stage, key)).exists():
        return [*lines, f"its result is damaged: {damage}"]
    earlier = [file for file in planned.store.costs() if file.name == name and file.stage == job.stage]
    if not earlier:
        return [*lines, "no result of this name is in the store"]
    decides = json.loads(json.dumps(planned.plan.decides[name]))
    last = min(earlier, key=lambda file: (len(list(differences(file.decides, decides))), file.cost.created))
    return [
        *lines,
        f"the nearest earlier result was made {last.cost.created}; since then:",
        *_named(planned, last, decides),
    ]


def _named(planned: Planned, earlier: JobFile, decides: Mapping[str, Any]) -> Iterator[str]:
    """Yield the differences; where another result came in, the job that makes it."""
    job = planned.plan.jobs[earlier.name]
    for place, old, new in sorted(differences(earlier.decides, decides), key=lambda one: one[0]):
        role = place.removeprefix("needs.")
        if role != place:
            yield f"  {role}: another result of {job.needs.get(role, '(none is needed now)')}"
        elif place == "stage":
            yield f"  stage: {old} -> {new}, whose results differ"
        else:
            yield f"  {place}: {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
