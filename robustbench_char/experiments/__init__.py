"""Benchmarks: a spec, the jobs that it expands to, the store of their results, the run, and the executors of jobs.

The way of a run: `spec` reads the file, `resolve` looks up all that it names and reports every mistake, `expand` makes
jobs of it, `run` has those done that are not in the `store`, each by the function of its stage in `stages` and on the
executor that was asked for, and `run_folder` collects the numbers in the folder that the user named. `view` shows it,
`estimates` says what to expect. The public functions are `run.run` and `run.plan`.

A job has five shapes on its way:

- `jobs.Job`: what is asked: the stage, the parameters that decide the result, the jobs needed before it;
- `jobs.Call`: one execution of it: its key, the folders it reads and writes, its threads;
- `jobs.Outcome`: how that execution ended;
- `store.JobFile`: `job.json` beside its result: what decided it, its cost, the hash of each file;
- `run_folder.JobLine`: its line in `run.json`: key, state, error, cost.

A *stage* is a kind of job, with a version; a *key* is the hash of all that decides a job's result; a *plan* is all jobs
of a benchmark with their keys. To add a kind of job, write its stage and register it in `stages`; `expand` says when
there is one.
"""

from __future__ import annotations

from robustbench_char.experiments.spec import SPECS, Benchmark, load_spec
from robustbench_char.experiments.store import Store, default_results

__all__ = ["SPECS", "Benchmark", "Store", "default_results", "load_spec"]
