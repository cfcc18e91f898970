"""Where jobs run: in this process, in local processes, or on the machines of a Ray cluster. Results are the same.

To add one, write a class with the methods of `local.Executor`, and register it here.
"""

from __future__ import annotations

from typing import Any

from robustbench_char.common import Registry

__all__ = ["EXECUTORS"]

EXECUTORS: Registry[Any] = Registry("executor")
EXECUTORS.register("local", "robustbench_char.experiments.executors._local:LocalExecutor")
EXECUTORS.register("processes", "robustbench_char.experiments.executors._processes:ProcessExecutor")
EXECUTORS.register("ray", "robustbench_char.experiments.executors._on_ray:RayExecutor")
