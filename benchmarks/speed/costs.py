"""Cost of each kind of job per unit of its work: `python benchmarks/speed/costs.py STORE > benchmarks/costs.jsonl`.

One line per kind (stage, then system, then task), the median over its jobs: CPU seconds per unit of work (an
example, or a sub-word of pre-training), bytes of the result, and the peak memory over jobs.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median

from robustbench_char.experiments.estimates import kinds_of
from robustbench_char.experiments.store import JobFile, Store


def main() -> None:
    """Read the store and print."""
    groups: defaultdict[tuple[str, ...], list[JobFile]] = defaultdict(list)
    for file in Store(Path(sys.argv[1])).files():
        params, needs = (file.decides.get(part, {}) for part in ("params", "needs"))
        groups[next(kinds_of(file.stage, file.name, params, needs))].append(file)
    for kind, files in sorted(groups.items()):
        costs = [file.cost for file in files if file.cost.work > 1 or len(files) == 1] or [file.cost for file in files]
        line = {
            "kind": kind,
            "seconds_a_unit": float(f"{median(cost.cpu_seconds / max(cost.work, 1e-9) for cost in costs):.4g}"),
            "disk_bytes": int(median(cost.result_bytes for cost in costs)),
            "memory_bytes": max(cost.peak_memory_bytes for cost in costs),
            "jobs": len(costs),
        }
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
