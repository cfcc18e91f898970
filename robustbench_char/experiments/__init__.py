"""Benchmarks: a spec, the jobs that it expands to, the store of their results, the runner, and where jobs run.

The way of a run: `spec` reads the file, `checks` finds all that is wrong with it, `expand` makes jobs of it, `plan`
says which of them are done, `runner` has the others done by an executor, each by the function of its stage in `stages`,
and `publish` brings the results together in the folder that the user named.

To add a kind of job, write its stage and register it in `stages`; `expand` says when there is one.
"""

from __future__ import annotations
