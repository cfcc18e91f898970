"""The worst case of each system: beside random attacks, by edits and questions, and what it does to other systems."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pandas as pd

from robustbench_char.analysis.learning import is_learnt
from robustbench_char.analysis.scores import system_labels
from robustbench_char.analysis.worst_case import curve_frame, transfer_frame, worst_case_frame
from robustbench_char.metrics.bootstrap import Interval
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.blocks import Block, Column, Note, Picture, Section, Table, text, value
from robustbench_char.reports.evidence import Evidence
from robustbench_char.reports.figures._worst_case import allowance_figure

__all__ = ["sections"]

_AXES = {"edits": "number of edits per text", "questions": "number of queries to the model per example"}
_PROBLEM = ["task", "suite", "edits", "limit", "constraints"]
"""What the searches of one panel, or table of transfer, have in common."""


def sections(evidence: Evidence) -> list[Section]:
    """Return the section; none where nothing was searched, and no attack set of a search was evaluated."""
    blocks: list[Block] = []
    if evidence.searches:
        frame = _learnt(evidence, worst_case_frame(evidence.searches, evidence.records))
        frame.insert(0, "name", _names(frame))
        curves = _learnt(evidence, curve_frame(evidence.searches))
        blocks += [Note(_compared(frame)), _table(frame), *_orders(frame[frame["learnt"]])]
        blocks += _pictures(curves[curves["learnt"]])
    blocks += _transfers(evidence)
    return [Section("worst-case", "Worst case", tuple(blocks))] if blocks else []


def _learnt(evidence: Evidence, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with `learnt`; of a system without a clean record, by the clean score of its search."""
    constants = {task: constant for (task, _), (constant, _) in evidence.learning.items()}

    def learnt(task: str, label: str, base: str, clean: Interval) -> bool:
        if (task, (label, base)) in evidence.learning:
            return evidence.has_learnt(task, label, base)
        return clean.value is not None and is_learnt(clean, clean.value, constants.get(task))

    scores = {one.record.system.model_sha256 + one.record.task: one.score(edits=0) for one in evidence.searches}
    keys = zip(*(frame[name] for name in ("task", "label", "base", "model_sha256")), strict=True)
    return frame.assign(learnt=[learnt(task, label, base, scores[sha + task]) for task, label, base, sha in keys])


def _names(frame: pd.DataFrame) -> pd.Series[str]:
    """Return what each row's system is called, with its training seed where there are several."""
    labels = system_labels(frame)
    several = frame.groupby([frame["task"], labels])["model_sha256"].transform("nunique") > 1
    return labels.where(~several, labels + ", seed " + frame["training_seed"].map(formatting.plain))


def _compared(frame: pd.DataFrame) -> str:
    numbers = frame.drop_duplicates(["task", "examples", "limit"]).to_dict("records")
    examples = formatting.join([
        f"{'all' if formatting.is_missing(row['limit']) else 'the first'} {row['examples']:,} of {row['task']}"
        for row in numbers
    ])  # fmt: skip
    return (
        f"All scores of a row are of the same examples ({examples}) and of at most as many edits among the same ones; "
        "not compared are attacks of other edits or of a share of the words, and no other table of this report holds a "
        "worst case, which is made for one system."
    )


def _table(frame: pd.DataFrame) -> Table:
    """Return a row per search: random, worst of seeds, search and exact side by side, and what the search cost."""
    columns = (
        text("Task"),
        text("System", "name"),
        text("Defence", show=lambda name: formatting.DASH if formatting.is_missing(name) else name),
        text("Attack", "suite"),
        value("Edits", show=formatting.count),
        text("Method", "search"),
        text("Metric", show=formatting.score_name),
        value("Examples", show=formatting.count),
        value("Clean", interval=True),
        value("Random", interval=True),
        value("Worst of seeds", interval=True),
        value("Seeds", show=lambda number: formatting.count(number or None)),
        value("Search", "found", interval=True),
        value("Exact", interval=True),
        value("Success rate, %", "broken", interval=True),
        value("Edits to break", show=lambda mean: formatting.DASH if formatting.is_missing(mean) else f"{mean:.2f}"),
        value("Certified, %", "certified", interval=True),
        value("Queries", "total_questions", formatting.count),
        value("Distinct", "distinct_questions", formatting.count),
        value("Cached", "cached_questions", formatting.count),
        Column("Time", lambda row: formatting.seconds(row["seconds"])),
    )
    caption = (
        "The worst case of each system, through its defence. Random: mean over seeds; worst of seeds: each example "
        "under the seed that hurts it most; search: what a search found; exact: the worst of all sets of edits, by the "
        "errors of each example. Success rate: of the examples that were entirely right, those that are not so any "
        "more; edits to break: the mean number that these took; certified: of all examples, those right under any "
        "attack of one edit in each of so many words. Cached queries had been answered before. In square brackets 95% "
        "intervals over examples."
    )
    return Table("worst_case", caption, frame, columns)


def _orders(frame: pd.DataFrame) -> list[Note]:
    """Return a sentence per search on whether systems stand in the same order under random attacks and at the worst."""
    frame = frame.assign(worst=frame["exact"].where(frame["found"].isna(), frame["found"])).dropna(subset=["random"])
    notes = []
    for _, part in frame.groupby([*_PROBLEM, "search"], sort=False, dropna=False):
        if len(part) < 2:
            continue
        first = part.iloc[0]
        drawn, worst = (", ".join(part.sort_values(by, ascending=False)["name"]) for by in ("random", "worst"))
        pairs = list(combinations(part[["random", "worst"]].astype(float).to_numpy(), 2))
        turned = sum(bool((one[0] - other[0]) * (one[1] - other[1]) < 0) for one, other in pairs)
        named = f"{first['task']}, {first['suite']}, {formatting.plural(first['edits'], 'edit')}"
        ends = f"{formatting.plural(len(pairs), 'pair')} of systems {'stands' if turned == 1 else 'stand'}"
        notes.append(Note(
            f"{named}: from the highest score to the lowest, under random attacks {drawn}; at the worst {worst}: "
            f"{turned} of {ends} the other way round."
        ))  # fmt: skip
    return notes


def _pictures(curves: pd.DataFrame) -> list[Picture]:
    """Return the curves over edits, where a text may have several, and over questions."""
    if curves.empty:
        return []
    curves = curves.assign(panel=_panels(curves), name=_names(curves))
    several = curves.groupby(["panel", "name"])["search"].transform("nunique") > 1
    curves = curves.assign(name=curves["name"].where(~several, curves["name"] + ", " + curves["search"]))
    pictures = []
    for by, title in _AXES.items():
        rows = curves[(curves["by"] == by) & ((curves["edits"] > 1) | (by == "questions"))]
        if len(rows):
            caption = (
                f"Worst score that was found, against the {title}, at most. Bands are 95% intervals over examples."
            )
            note = "The numbers of the whole searches stand in the table above."
            figure = allowance_figure(rows, title.capitalize(), log=by == "questions")
            pictures.append(Picture(f"worst_case_{by}", caption, figure, note))
    return pictures


def _panels(curves: pd.DataFrame) -> list[str]:
    """Return the title of each row's panel, numbered where searches differ in more than it says."""
    titles: dict[str, list[int]] = {}
    panels = []
    for problem, row in zip(curves.groupby(_PROBLEM, dropna=False).ngroup(), curves.to_dict("records"), strict=True):
        first = "" if formatting.is_missing(row["limit"]) else f", first {row['limit']:,}"
        title = f"{row['task']}, {row['suite']}, {formatting.plural(row['edits'], 'edit')}{first}"
        same = titles.setdefault(title, [])
        same += [] if problem in same else [int(problem)]
        panels.append(title + (f" ({same.index(problem) + 1})" if same.index(problem) else ""))
    return panels


def _transfers(evidence: Evidence) -> list[Table]:
    """Return a table per kind of search: the systems that were searched by those that were evaluated on their sets."""
    frame = transfer_frame(evidence.searches, evidence.records)
    if frame.empty:
        return []
    frame = evidence.marked(frame.assign(name=_names(frame)))
    groups = [
        (key, part)
        for key, part in frame.groupby([*_PROBLEM, "search"], sort=False, dropna=False)
        if (part["attacked_sha256"] != part["model_sha256"]).any()
    ]
    tasks = [str(key[0]) for key, _ in groups]
    several = {task for task in tasks if tasks.count(task) > 1}
    return [
        _matrix(evidence, part, f"transfer_{task}{f'_{number}' if task in several else ''}")
        for number, (task, (_, part)) in enumerate(zip(tasks, groups, strict=True), start=1)
    ]


def _matrix(evidence: Evidence, part: pd.DataFrame, name: str) -> Table:
    names = dict(zip(part["model_sha256"], part["name"], strict=True))
    first = part.iloc[0]
    rows = []
    for (_, sha256, attacked), cells in part.groupby(["set_sha256", "attacked_sha256", "attacked"], sort=False):
        learnt = evidence.has_learnt(first["task"], str(attacked))
        row: dict[str, Any] = {"attacked": names.get(sha256, attacked), "learnt": learnt}
        for cell in cells.to_dict("records"):
            row |= {f"{cell['name']}{end}": cell[f"score{end}"] for end in ("", "_low", "_high")}
            row[f"{cell['name']}_own"] = cell["model_sha256"] == sha256
        rows.append(row)
    wide, shown = pd.DataFrame(rows), dict.fromkeys(part.loc[part["learnt"], "name"])
    wide = wide.assign(**{f"{one}_own": wide[f"{one}_own"].eq(True) for one in names.values()})
    columns = (text("Worst case of", "attacked"), *(value(one, one, interval=True, best=f"{one}_own") for one in shown))
    caption = (
        f"{first['task']}: {formatting.score_name(first['metric'])} of each system (columns) on the worst case of each "
        f"(rows): {first['suite']}, at most {formatting.plural(int(first['edits']), 'edit')}, {first['search']}. Bold: "
        "the system that was searched. In square brackets 95% intervals over examples."
    )
    return Table(name, caption, wide, columns)
