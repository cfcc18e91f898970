"""The jobs that build the defence before a system, and measure what it repairs and breaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from robustbench_char.attack_sets.manifest import is_set, read_manifest
from robustbench_char.common.extras import installed
from robustbench_char.common.files import sha256_file
from robustbench_char.experiments._jobs import PRICES, Job, job_name, text_path
from robustbench_char.experiments._resolve import Resolved, ResolvedTask
from robustbench_char.experiments.spec import RECOGNISER
from robustbench_char.text.misspellings import misspellings_file

__all__ = ["Front", "front_of"]

_READ = "symspellpy"
"""The package whose dictionary defences read that are not word recognisers."""


@dataclass(frozen=True)
class Front:
    """The defence before a system on one task: one that a job builds, which `needs` names, or a ready one.

    A ready one is decided by `params` and stands where `paths` say. `jobs` build it and measure its price.
    """

    needs: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    paths: Mapping[str, Any] = field(default_factory=dict)
    jobs: tuple[Job, ...] = ()


def front_of(resolved: Resolved, task: ResolvedTask, key: str) -> Front:
    """Return the defence before a system, with neither needs nor jobs where it has none."""
    defences = resolved.defences
    name = defences.before.get(key)
    if name is None:
        return Front()
    if key in defences.ready:
        place, identity = defences.ready[key]
        front = Front(params={"defence": identity}, paths={"defence": place})
        price = _price(task, PRICES[RECOGNISER not in identity], Path(name).name, front)
        return Front(front.needs, front.params, front.paths, (price,))
    built = _built(resolved, task, name, resolved.spec.finetune_options(task.key, resolved.spec.systems[key]))
    front = Front({built.stage: built.name})
    price = _price(task, PRICES[built.stage != RECOGNISER], name, front)
    return Front(front.needs, jobs=(built, price))


def _built(resolved: Resolved, task: ResolvedTask, name: str, finetuning: Mapping[str, Any]) -> Job:
    """Return the job that builds a defence: for all tasks alike, or one with the training data of each."""
    part, texts = resolved.defences.parts[name], resolved.defences.texts[name]
    stage = RECOGNISER if part.kind == "wordrec" else "defence"
    params: dict[str, Any] = {"options": {key: one for key, one in part.options.items() if key != "misspellings"}}
    paths: dict[str, Any] = {}
    if texts:
        params["text"], paths["text"] = [sha256_file(text_path(path)) for path in texts], texts
    if part.reads_task:
        params |= {"task": task.params["task"], "train": task.train_sha256, "examples": finetuning.get("limit")}
        paths |= task.paths
    if stage == "defence":
        paths["misspellings"] = listed = resolved.defences.misspellings[name]
        params |= {"kind": part.kind, "misspellings": [_content(place) for place in listed]}
        params["versions"] = {_READ: version(_READ) if installed(_READ) else None}
    own = (RECOGNISER,) if name == RECOGNISER else ("defence", name)
    return Job(job_name(*own, task.name if part.reads_task else "text"), stage, params, paths=paths)


def _content(misspellings: str) -> str:
    """Return the hash of a list, or that of an attacked set."""
    if is_set(Path(misspellings)):
        return read_manifest(Path(misspellings)).ledger.sha256
    return sha256_file(misspellings_file(misspellings))


def _price(task: ResolvedTask, stage: str, name: str, front: Front) -> Job:
    """Return the job of the price under the task's first attack."""
    suite, seed, attacked = task.attacks[0]
    own = () if name == RECOGNISER else (name,)
    params, needs = {**task.params, **front.params}, {**front.needs, "attacked": attacked}
    name = job_name("price", task.name, *own, suite.name, f"seed_{seed}")
    return Job(name, stage, params, needs, {**task.paths, **front.paths}, task.examples[1])
