"""What the parts of a user's own task have to be to fit together, so that `validate` says it and not an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from robustbench_char.common.errors import InputError, nearest
from robustbench_char.metrics.base import METRICS
from robustbench_char.tasks.base import Task
from robustbench_char.tasks.formats._rows import column_of
from robustbench_char.tasks.formats._tags import is_marked, is_tag

__all__ = ["check_parts", "check_scores"]

Wrong = Callable[..., InputError]
"""Makes the error of a key from what was found and expected, and perhaps a hint."""

_FORMATS_OF = {
    "classification": ("glue_tsv", "csv"),
    "tagging": ("conll", "ptb"),
    "question_answering": ("squad_json",),
}
_METRICS_OF = {
    "classification": ("accuracy", "accuracy_f1", "matthews"),
    "tagging": ("entity_f1", "tag_accuracy"),
    "question_answering": ("squad_v1", "squad_v2"),
}


def check_parts(task: Task, wrong: Wrong) -> None:
    """Raise InputError where fields, labels, format and columns of a task do not fit its family or each other."""
    known = _FORMATS_OF[task.family]
    if task.format not in known:
        expected = f"{' or '.join(known)} (family {task.family})"
        raise wrong("format", repr(task.format), expected, nearest(task.format, known))
    if (task.family == "classification") != bool(task.labels):
        found = "labels" if task.labels else "no labels"
        raise wrong("labels", found, "class names in a classification, and only there")
    fits, needed = {
        "classification": (bool(task.fields), "at least one field"),
        "tagging": (len(task.fields) == 1, "one field of tokens"),
        "question_answering": (set(task.fields) == {"question", "context"}, "question and context"),
    }[task.family]
    if not fits:
        raise wrong("fields", ", ".join(task.fields) or "none", needed)
    if task.format == "ptb" and (extra := next((key for key in task.format_options if key != "tag_names"), None)):
        raise wrong("format_options", repr(extra), "tag_names alone (format ptb)")
    _check_columns(task, wrong)


def _check_columns(task: Task, wrong: Wrong) -> None:
    """Refuse fields that share a name, or a column of tables."""
    parts, taken = (*task.fields, "label", "id"), dict[str, str]()
    for key, columns in (("columns", task.columns), ("hub.columns", task.hub.columns if task.hub else {})):
        if other := next((part for part in columns if part not in parts), None):
            raise wrong(key, repr(other), f"one of {', '.join(parts)}", nearest(other, parts))
    for part in parts:
        if parts.count(part) > 1 or not part.strip():
            raise wrong("fields", repr(part), "fields of different names, none of them label or id")
        if taken.setdefault(column := column_of(task, part), part) != part:
            raise wrong(f"columns.{part}", f"{column!r}, which is that of {taken[column]!r}", "a column of its own")
    splits = ("train", "dev", "test")
    for name in task.hub.splits if task.hub else ():
        if name not in splits:
            raise wrong("hub.splits", repr(name), f"some of {', '.join(splits)}, each with its name on the hub")


def check_scores(task: Task, wrong: Wrong) -> None:
    """Raise InputError where labels, metric, headline and options of a task do not fit its family or each other."""
    _check_names("labels", task.labels or (), wrong)
    _check_names("format_options.tag_names", task.format_options.get("tag_names", ()), wrong, alike=False)
    if task.labels and len(task.labels) < 2:
        raise wrong("labels", f"one label ({task.labels[0]})", "at least two")
    known = _METRICS_OF[task.family]
    own = task.metric in METRICS and not any(task.metric in names for names in _METRICS_OF.values())
    if task.metric not in known and not own:
        expected = f"{' or '.join(known)} (family {task.family})"
        raise wrong("metric", repr(task.metric), expected, nearest(task.metric, known))
    scores = tuple(METRICS.get(task.metric).scores)
    if task.headline not in scores:
        expected = f"a score of the metric {task.metric}: {' or '.join(scores)}"
        raise wrong("headline", repr(task.headline), expected, nearest(task.headline, scores))
    _check_metric(task, wrong)


def _check_names(key: str, names: Sequence[str], wrong: Wrong, *, alike: bool = True) -> None:
    """Refuse names that are empty, doubled, or (`alike`) differ in case or white space alone."""
    seen = dict[str, str]()
    for name in names:
        plain = " ".join(name.split()).casefold() if alike else name
        if not name or name != name.strip():
            raise wrong(key, repr(name), "names without white space around them")
        if (other := seen.setdefault(plain, name)) != name:
            raise wrong(key, f"{other!r} and {name!r}", "names that differ in more than case and white space")
        if names.count(name) > 1:
            raise wrong(key, f"{name!r} twice", "each name once")


def _check_metric(task: Task, wrong: Wrong) -> None:
    """Refuse a metric that cannot score what the format reads."""
    options = task.format_options
    if task.metric == "accuracy_f1" and (number := len(task.labels or ())) != 2:
        raise wrong("metric", f"accuracy_f1 with {number} labels", "accuracy or matthews, or two labels")
    if task.metric == "entity_f1" and (task.format == "ptb" or options.get("tags") == "any"):
        reads = "the format ptb" if task.format == "ptb" else "tags: any"
        fix = "" if task.format == "ptb" else ", or tags: bio for entities"
        raise wrong("metric", f"entity_f1 with {reads}, whose tags mark no entities", f"tag_accuracy{fix}")
    names = options.get("tag_names", ()) if options.get("tags", "bio") == "bio" and task.format == "conll" else ()
    known = is_marked if options.get("convert_tags") else is_tag
    if odd := next((name for name in names if not known(name)), None):
        raise wrong("format_options.tag_names", repr(odd), "O, B-x or I-x, or tags: any")
    if task.family == "question_answering" and (task.metric == "squad_v2") != bool(options.get("unanswerable")):
        found = f"{task.metric} with unanswerable: {'true' if options.get('unanswerable') else 'false'}"
        raise wrong("metric", found, "squad_v2 with unanswerable: true, or squad_v1 with unanswerable: false")
