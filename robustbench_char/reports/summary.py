"""What was found, in short: one sentence per task and one ranked table, for pages, commands and notebooks alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from robustbench_char.analysis.learning import constant_score, is_learnt, learning
from robustbench_char.analysis.pairs import (
    Pair,
    alone,
    comparison_table,
    drawn_and_searched,
    grouped,
    pair_records,
    side_by_side,
)
from robustbench_char.analysis.scores import main_suite, mean_scores, strength_sweeps
from robustbench_char.analysis.statistics import CLEAN, interval_columns, statistics_of
from robustbench_char.metrics.bootstrap import Interval
from robustbench_char.records.evaluation import Record
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports._formatting import DASH
from robustbench_char.reports.evidence import Evidence, read_records

__all__ = ["Summary", "about_learning", "about_training", "compared", "read_summary", "summary_of"]

_MOST_ROWS = 30
"""Rows of a table that is printed."""
USUAL = 0.1
"""The share of mistyped words that a sentence speaks of, of those that were measured the nearest."""

_COLUMNS = (
    "task", "rank", "label", "suite", "mistyped", "metric", "examples", "runs", "saw_attack", "constant", "learnt",
    *(f"{name}{end}" for name in ("clean", "attacked", "drop", "retention") for end in ("", "_low", "_high")),
    "attacked_best",
)  # fmt: skip
_SHARED = ("Task", "Score", "Attack", "Words mistyped")
"""What stands above the table instead of in it where all rows share it."""


class Summary(NamedTuple):
    """A row per task and system, in order of rank; scores in percent, drop in points, retention and mistyped shares.

    What has not learnt its task stands in the frame alone: table and sentences leave it out, and a note names it.

    Columns: task, rank (by attacked score; missing for what has not learnt, or met no attack), label (the system as
    reports call it), suite, mistyped (share of all words that were edited), metric, examples, runs, saw_attack,
    constant (score of the best constant answer), learnt; clean, attacked, drop, retention, each with `_low` and `_high`
    of its 95% interval; attacked_best. `attacks` has such a row per task, attack and system. `trained_on` says which
    systems were trained on what they are scored on.
    """

    frame: pd.DataFrame
    attacks: pd.DataFrame = pd.DataFrame()
    trained_on: str = ""

    @property
    def learnt(self) -> pd.DataFrame:
        """The rows of systems that have learnt their task: what table and sentences tell of."""
        return self.frame[self.frame["learnt"].astype(bool)]

    @property
    def sentences(self) -> list[str]:
        """What was found: of one task, or of one system on each task; of several on several one overall."""
        frame = self.learnt
        tasks = {task: part.to_dict("records") for task, part in frame.groupby("task", sort=False)}
        if len(tasks) > 1 and frame["label"].nunique() > 1 and frame["rank"].notna().any():
            return [_overall(tasks)]
        found = {task: _sentence(rows) for task, rows in tasks.items()}
        return [text if len(tasks) == 1 else f"{task!s}: {text}" for task, text in found.items()]

    @property
    def notes(self) -> list[str]:
        """What the marks in table and sentences mean, those that occur, and what was left out."""
        notes = [*([self.trained_on] if self.trained_on else []), *formatting.about_marks(self.learnt["saw_attack"])]
        missing = self.frame[~self.frame["learnt"].astype(bool)].to_dict("records")
        return [*notes, f"Left out: {formatting.not_learnt(missing)}"] if missing else notes

    @property
    def heading(self) -> str:
        """What all rows share: task, score, attack and its share of mistyped words."""
        table = self._printed()
        shared = [name for name in _SHARED if len(table) and table[name].nunique() == 1]
        ends = {"Words mistyped": " of words mistyped"}
        return ", ".join(table[name].iloc[0] + ends.get(name, "") for name in shared if table[name].iloc[0] != DASH)

    def shown(self) -> pd.DataFrame:
        """Return the table as it is printed: texts, without columns that say nothing or stand in `heading`."""
        table = self._printed()
        shared = [name for name in _SHARED if table[name].nunique() < 2]
        shared += [] if (self.learnt["rank"] > 1).any() else ["Rank"]
        return table.drop(columns=[*shared, *(name for name in table if table[name].eq(DASH).all())], errors="ignore")

    def _printed(self) -> pd.DataFrame:
        columns = list(_shown(dict.fromkeys(_COLUMNS)))
        return pd.DataFrame([_shown(row) for row in self.learnt.to_dict("records")], columns=columns)

    def text(self) -> str:
        """Return sentences, table and marks as plain text; the table has a row per attack unless that is too long."""
        whole = self._whole()
        rows = whole._rows() if len(whole.learnt) else []
        return "\n".join([*whole._heading(), *rows, *whole.notes, *(["", *said] if (said := self.sentences) else [])])

    def _whole(self) -> Summary:
        """Return the same with a row per attack, unless those are too many."""
        return self._replace(frame=self.attacks) if len(self.frame) < len(self.attacks) <= _MOST_ROWS else self

    def _heading(self) -> list[str]:
        return [f"{self.heading}:"] if self.heading else []

    def _rows(self) -> list[str]:
        table = self.shown()
        widths = [max(map(len, [name, *table[name]])) for name in table]
        lines = [table.columns.tolist(), *table.to_numpy().tolist()]
        return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]

    def html(self) -> str:
        """Return the same as HTML."""
        whole = self._whole()
        table = whole.shown().to_html(index=False, border=0) if len(whole.learnt) else ""
        parts = (self.sentences, whole._heading(), whole.notes)
        above, heading, below = ("".join(f"<p>{escape(text)}</p>" for text in part) for part in parts)
        return f"{above}\n{heading}\n{table}\n{below}"


def read_summary(folders: Sequence[Path | str]) -> Summary:
    """Return the summary of all records below the folders, each result once.

    Raises InputError for a missing folder, no record, and records that do not belong in one table.
    """
    records = read_records([Path(folder) for folder in folders])
    pairs = side_by_side(pair_records(records))
    return summarise(records, pairs, mean_scores(comparison_table(pairs), pairs, statistics_of(pairs)))


def summary_of(evidence: Evidence) -> Summary:
    """Return the summary of what was read for a report."""
    return summarise(evidence.records, evidence.pairs, evidence.means)


def summarise(records: Sequence[tuple[Path, Record]], pairs: Sequence[Pair], means: pd.DataFrame) -> Summary:
    """Return the summary of records, each with its folder, that are paired and have means over seeds."""
    clean = _clean_rows(alone(records, pairs))
    seen = about_training(record for _, record in records)
    return Summary(_ranks(compared(drawn_means(means, pairs)), clean), _ranks(means, clean), seen)


def drawn_means(means: pd.DataFrame, pairs: Sequence[Pair]) -> pd.DataFrame:
    """Return the rows of `mean_scores` under attacks that strike all systems alike, where there are any, else all."""
    drawn = {pair.attacked.condition for pair in drawn_and_searched(pairs)[0]}
    return means[means["suite"].isin(drawn)] if drawn and len(means) else means


def about_learning(record: Record, interval: Interval) -> str:
    """Return what is to know of a clean result, with the interval of its headline, that is not above a constant's."""
    clean, constant = record.scores[record.headline], constant_score(record)
    if record.data.attack or is_learnt(interval, clean, constant):
        return ""
    row = {"task": record.task, "label": record.system.shown, "metric": record.headline, "constant": constant}
    return formatting.not_learnt([row | interval_columns("clean", interval) | {"clean": clean}])


def about_training(records: Iterable[Record]) -> str:
    """Name the systems that were trained on examples which they are scored on, each once, with the most of them."""
    found: dict[str, Record] = {}
    for record in sorted(records, key=lambda record: -(record.data.trained_on or 0)):
        if record.data.trained_on:
            found.setdefault(f"{record.system.shown} on {record.task}", record)
    said = [f"{name}, {one.data.trained_on:,} of {one.data.examples:,} examples" for name, one in found.items()]
    what = "Scored on its own training data, which does not tell of texts that are new to a system: "
    return f"{what}{'; '.join(said)}." if said else ""


def _ranks(means: pd.DataFrame, clean: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return rows ranked within each task and attack, and those of clean results that stand alone."""
    parts = [_ranked(part) for _, part in means.groupby(["task", "suite"], sort=False)] if len(means) else []
    rows = [row for part in parts for row in part.to_dict("records")] + list(clean)
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype({"rank": "Int64"})


def compared(means: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `mean_scores` of each task under the one suite that its systems are compared under.

    It is, of those that most systems met, the suite of a strength sweep that comes nearest to USUAL, or the main suite.
    """
    if means.empty:
        return means
    suites = {task: _compared(part) for task, part in means.groupby("task", sort=False)}
    return means[means["suite"] == means["task"].map(suites)]


def _compared(part: pd.DataFrame) -> str:
    systems = part.groupby("suite")["label"].transform("nunique")
    part = part[systems == systems.max()]
    shares = strength_sweeps(part).groupby("suite", sort=False)["mistyped"].mean()
    return main_suite(part) if shares.empty else str((shares - USUAL).abs().idxmin())


def _ranked(part: pd.DataFrame) -> pd.DataFrame:
    part = part.sort_values(["learnt", "attacked"], ascending=False, kind="stable")
    return part.assign(rank=part["learnt"].cumsum().where(part["learnt"]))


def _clean_rows(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """Return a row for each clean result, of those that no attacked one stands beside."""
    statistics = statistics_of(pairs)
    known, rows = learning(pairs, statistics), []
    for record in (pair.attacked for pair in pairs):
        key = record.task, (record.system.shown, record.system.base)
        row = {"task": record.task, "label": record.system.shown, "metric": record.headline, "runs": 1}
        row |= interval_columns("clean", statistics.score(*key, CLEAN)) | {"clean": record.scores[record.headline]}
        row |= dict(zip(("constant", "learnt"), known[key], strict=True))
        rows.append(row | {"examples": record.data.examples})
    return rows


def _shown(row: Mapping[Any, Any]) -> dict[str, str]:
    number = partial(formatting.with_limits, row)
    return {
        "Task": row["task"],
        "Rank": formatting.plain(row["rank"]),
        "System": row["label"],
        "Attack": DASH if formatting.is_missing(row["suite"]) else row["suite"],
        "Words mistyped": formatting.percent(row["mistyped"]),
        "Score": formatting.score_name(row["metric"] or ""),
        "Clean": number("clean"),
        "Attacked": number("attacked", mark=formatting.mark(row["saw_attack"])),
        "Drop": number("drop"),
        "Retention": number("retention", formatting.percent),
    }


def _overall(tasks: Mapping[Any, Sequence[Mapping[Any, Any]]]) -> str:
    """Say which system keeps the highest score on which tasks."""
    shares = [row["mistyped"] for rows in tasks.values() for row in rows if not formatting.is_missing(row["mistyped"])]
    ends = dict.fromkeys(formatting.share(share) for share in (min(shares), max(shares)))
    firsts = {task: rows[0]["label"] for task, rows in tasks.items() if rows[0]["rank"] == 1}
    groups = grouped(firsts, lambda task: firsts[task])
    highest = _listed([f"{label} on {_listed(on)}" for label, on in groups.items()])
    return f"At {' to '.join(ends)} of words mistyped, the highest scores are those of {highest}."


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _sentence(rows: Sequence[Mapping[Any, Any]]) -> str:
    """Say what the best system keeps, and of several the last one."""
    metric = formatting.score_name(rows[0]["metric"])
    attacked = [row for row in rows if not formatting.is_missing(row["attacked"])]
    if not attacked:
        what = f"{metric[:1].upper()}{metric[1:]}"
        said = (f"{what} of {row['label']} on clean data is {formatting.with_limits(row, 'clean')}." for row in rows)
        return " ".join(said)
    if not attacked[0]["mistyped"]:
        return f"{attacked[0]['suite']} changed no word: attack with a higher strength, or more text."
    return f"At {formatting.share(attacked[0]['mistyped'])} of words mistyped, {_change(metric, attacked, len(rows))}"


def _change(metric: str, rows: Sequence[Mapping[Any, Any]], systems: int) -> str:
    first, last = rows[0], rows[-1]
    if systems == 1:
        return f"{metric} {_falls(first)}."
    others = [row["label"] for row in rows[1:] if row["attacked_best"] and first["attacked_best"]]
    highest = f"{metric} of {first['label']} {_falls(first)}"
    if first is last:
        return f"{highest}."
    if len(others) == len(rows) - 1:
        return f"{highest}, the highest; no other differs significantly."
    tied = f" (not significantly different from {_listed(others)})" if others else ""
    return f"{highest}, the highest{tied}; of {last['label']} it {_falls(last)}, the lowest."


def _falls(row: Mapping[Any, Any]) -> str:
    clean, attacked = formatting.score(row["clean"]), formatting.score(row["attacked"])
    verb = "falls" if row["attacked"] < row["clean"] else "rises"
    change = f"stays at {clean}" if clean == attacked else f"{verb} from {clean} to {attacked}"
    return change + formatting.mark(row["saw_attack"]) + formatting.limits(row, "attacked").replace("\n", " ")
