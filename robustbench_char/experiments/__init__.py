"""Benchmarks: specs, the jobs they expand to, the store of results, runs, and executors of jobs.

How a run works: `spec` reads the file, `_resolve` looks up everything that it names and reports all mistakes, `_expand`
makes the jobs, `run` executes those whose results are not in the `store`, each by the function of its stage in
`_stages` and on the chosen executor, and `run_folder` collects the numbers in the output folder. `view` shows
progress, `estimates` predicts costs. The public functions are `run.run` and `run.plan`.

A job is represented by five types:

- `_jobs.Job`: a request: the stage, the parameters that decide the result, the jobs needed before it;
- `_jobs.Call`: one execution of it: its key, the folders it reads and writes, its threads;
- `_jobs.Outcome`: how that execution ended;
- `store.JobFile`: `job.json` next to its result: what determined it, its cost, the hash of each file;
- `run_folder.JobLine`: its line in `run.json`: key, state, error, cost.

A *stage* is a kind of job, with a version; a *key* is the hash of everything that determines a job's
result; a *plan* is all jobs of a benchmark with their keys. To add a kind of job, write its stage and register it in
`_stages`; `_expand` decides when there is one.
"""

from __future__ import annotations

from robustbench_char.experiments.spec import SPECS, Benchmark, load_spec
from robustbench_char.experiments.store import Store, default_results

__all__ = ["SPECS", "Benchmark", "Store", "default_results", "load_spec"]
