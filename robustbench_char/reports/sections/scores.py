"""What the attacks cost: for each task a chart, and the table of scores with the counts behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from robustbench_char.analysis.pairs import REFERENCE, Pair, retention
from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Block, Column, Evidence, Note, Picture, Section, Table
from robustbench_char.reports.figures.bars import SIDE_BY_SIDE, score_figure, strongest, system_labels
from robustbench_char.reports.figures.style import axis_title
from robustbench_char.reports.overview import footnote, overview
from robustbench_char.reports.run_intervals import with_intervals
from robustbench_char.reports.spread import seed_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FEW", "sections"]

FEW = 100
"""Fewer examples than these are warned of: at 100, the 95% interval of an accuracy of 80% is 16 points wide."""


def sections(evidence: Evidence) -> list[Section]:
    """Return one section a task."""
    tasks = dict.fromkeys(record.task for _, record in evidence.records)
    frame = with_intervals(evidence.frame, evidence.pairs, evidence.statistics)
    return [Section(f"task-{task}", task, _blocks(evidence, frame, task)) for task in tasks]


def _blocks(evidence: Evidence, frame: pd.DataFrame, task: str) -> tuple[Block, ...]:
    frame = frame[(frame["task"] == task).to_numpy()].reset_index(drop=True)
    pairs = [pair for pair in evidence.pairs if pair.attacked.task == task]
    if frame.empty:
        return (
            Note("No attacked data was evaluated on this task; its clean scores stand under all scores.", "warning"),
        )
    warnings = [*_task_notes(evidence, task), *_few(frame), *_unpaired(pairs)]
    table = _table(frame, task)
    if frame["clean"].isna().all():
        return (*warnings, *footnote(frame), table)
    means = evidence.means[evidence.means["task"] == task]
    tables: tuple[Block, ...] = (*overview(means, task), *footnote(frame), table, *seed_table(frame, task))
    return (_summary(frame), *warnings, _picture(frame, means, task), *tables)


def _task_notes(evidence: Evidence, task: str) -> list[Note]:
    """Return what the records say that a reader of the task's scores should know."""
    notes = (record.task_note for _, record in evidence.records if record.task == task)
    return [Note(note) for note in dict.fromkeys(notes) if note]


def _summary(frame: pd.DataFrame) -> Note:
    """Say for each of a few systems what is left, over all its seeds, under the suite that leaves least."""
    known = frame.dropna(subset=["clean"])
    known = known.assign(label=system_labels(known))
    title, number = axis_title(str(frame["metric"].iloc[0])), known["label"].nunique()
    if number > SIDE_BY_SIDE:
        return Note(f"{title} of {number} systems.")
    lines = [_lowest(str(label), part) for label, part in known.groupby("label", sort=False)]
    return Note(f"{title}. {' '.join(lines)}")


def _lowest(label: str, part: pd.DataFrame) -> str:
    means = part.groupby("suite", sort=False).agg(
        clean=("clean", "mean"), attacked=("attacked", "mean"), saw=("saw_attack", strongest)
    )
    rows = zip(means.index, means["clean"], means["attacked"], means["saw"], strict=True)
    suite, clean, attacked, saw = min(rows, key=lambda row: row[2])
    kept = retention(clean, attacked)
    share = "" if kept is None else f", which is {formatting.percent(kept)} of it"
    lowest = formatting.score(attacked) + formatting.mark(saw)
    return f"{label}: {formatting.score(clean)} clean; lowest {lowest} under {suite}{share}."


def _few(frame: pd.DataFrame) -> list[Note]:
    fewest = int(frame["examples"].min())
    if fewest >= FEW:
        return []
    return [
        Note(
            f"Only {formatting.plural(fewest, 'example')}: with fewer than {FEW}, intervals are wide and small "
            "differences mean nothing.",
            "warning",
        )
    ]


def _unpaired(pairs: list[Pair]) -> list[Note]:
    alone = [f"{pair.attacked.system.shown} under {pair.attacked.condition}" for pair in pairs if pair.clean is None]
    if not alone:
        return []
    return [
        Note(f"No clean result of the same weights on the same data was given for {formatting.join(alone)}.", "warning")
    ]


def _picture(frame: pd.DataFrame, means: pd.DataFrame, task: str) -> Picture:
    known = frame.dropna(subset=["clean"])
    metric = formatting.score_name(str(known["metric"].iloc[0]))
    systems = list(dict.fromkeys(system_labels(known)))
    numbers = sorted({int(number) for number in known["examples"]})
    examples = " to ".join(f"{number:,}" for number in dict.fromkeys([numbers[0], numbers[-1]]))
    caption = f"{task}: {metric} on clean and attacked data, n = {examples} examples.{_lines(means)}"
    if len(systems) > SIDE_BY_SIDE:
        caption += f" The dashed line is the score of {systems[0]}."
    alt = caption + " The numbers stand in the table below."
    return Picture(f"scores_{task}", caption, alt, score_figure(known, task, means))


def _lines(means: pd.DataFrame) -> str:
    """Say what bars and lines are, where bars are means or have lines."""
    runs = int(means["runs"].max())
    mean = f" Bars are means of up to {runs} runs" if runs > 1 else ""
    if means["attacked_low"].notna().any():
        return f"{mean}{'; lines' if mean else ' Lines'} are 95% intervals over examples."
    return f"{mean}, lines reach from the lowest to the highest." if mean else ""


def _table(frame: pd.DataFrame, task: str) -> Table:
    known = set(frame.columns[frame.notna().any()])
    unused = [name for name in ("gain_clean", "gain", "saw_attack", "interval") if name not in known]
    unused += ["label"] if (frame["label"] == frame["system"]).all() else []
    columns = tuple(column for needed, column in _columns(frame) if needed is None or needed in known)
    several = frame["label"].nunique() > 1
    caption = _caption(task, formatting.score_name(str(frame["metric"].iloc[0])), known, set(frame["interval"]))
    return Table(f"scores_{task}", caption, frame.drop(columns=unused), columns, folded=several)


def _caption(task: str, metric: str, known: set[str], methods: set[Any]) -> str:
    caption = f"{task}: {metric}, run by run. Drop is in points; relative drop and retention are shares of the clean "
    caption += "score. Seeds: of training / of the attack."
    if "gain" in known:
        caption += f" The gain over {REFERENCE} is that of the attacked score, on the same data, in points."
    if "truncated_words_attacked" in known:
        caption += " Truncated words: clean / attacked; they count as errors."
    if "bootstrap" in methods:
        caption += " In brackets 95% intervals over examples (paired bootstrap)."
    if "wilson" in methods:
        caption += " In brackets 95% Wilson intervals over examples."
    if "clean_gold_attacked" in known:
        caption += " Attacked answers are scored against the attacked gold answer, and beside it against the clean one."
    return caption


def _columns(frame: pd.DataFrame) -> list[tuple[str | None, Column]]:
    """Return every column the table may have, with the column of the frame it needs (None: always printed)."""
    labels = dict(zip(frame["label"] + "\0" + frame["base"], system_labels(frame), strict=True))
    return [
        (None, Column("System", lambda row: labels[f"{row.get('label', row['system'])}\0{row['base']}"], "left")),
        (None, Column("Suite", lambda row: str(row["suite"]), "left")),
        (None, Column("Clean", _scored("clean"))),
        (None, Column("Attacked", _scored("attacked"))),
        (
            "clean_gold_attacked",
            Column("Against clean answers", lambda row: formatting.score(row["clean_gold_attacked"])),
        ),
        (None, Column("Drop", _scored("drop"))),
        (None, Column("Relative drop", _share("relative_drop"))),
        (None, Column("Retention", _share("retention"))),
        ("gain", Column(f"Gain over {REFERENCE}", lambda row: formatting.gain(row["gain"]))),
        (None, Column("Seeds", _seeds)),
        (None, Column("Examples", lambda row: formatting.count(row["examples"]))),
        (None, Column("Words", lambda row: formatting.count(row["words"]))),
        (None, Column("Eligible words", lambda row: formatting.count(row["eligible_words"]))),
        (None, Column("Edits", lambda row: formatting.count(row["edits"]))),
        (None, Column("Effective strength", lambda row: formatting.percent(row["effective_strength"]))),
        ("truncated_words_attacked", Column("Truncated words", _truncated)),
    ]


def _seeds(row: Mapping[str, Any]) -> str:
    return f"{formatting.plain(row['training_seed'])} / {formatting.plain(row['attack_seed'])}"


def _truncated(row: Mapping[str, Any]) -> str:
    return f"{formatting.count(row['truncated_words_clean'])} / {formatting.count(row['truncated_words_attacked'])}"


def _scored(name: str) -> Callable[[Mapping[str, Any]], str]:
    def cell(row: Mapping[str, Any]) -> str:
        seen = formatting.mark(row.get("saw_attack")) if name == "attacked" else ""
        return formatting.score(row[name]) + seen + formatting.limits(row, name)

    return cell


def _share(name: str) -> Callable[[Mapping[str, Any]], str]:
    def cell(row: Mapping[str, Any]) -> str:
        missing = formatting.DASH if formatting.is_missing(row["clean"]) else "not defined"
        return formatting.percent(row[name], missing=missing) + formatting.limits(row, name, formatting.percent)

    return cell
