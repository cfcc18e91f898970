"""What the attacks cost: for each task a chart, and the table of scores with the counts behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from robustbench_char.evaluation.comparison import REFERENCE, Pair, retention
from robustbench_char.evaluation.records import Record
from robustbench_char.reports import show
from robustbench_char.reports.blocks import Block, Column, Evidence, Note, Picture, Section, Table
from robustbench_char.reports.drawing import axis_title
from robustbench_char.reports.figures import SIDE_BY_SIDE, score_figure, strongest, system_labels
from robustbench_char.reports.overview import footnote, overview

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FEW", "sections"]

FEW = 100
"""Fewer examples than these are warned of: at 100, the 95% interval of an accuracy of 80% is 16 points wide."""


def sections(evidence: Evidence) -> list[Section]:
    """Return one section a task."""
    tasks = dict.fromkeys(record.task for _, record in evidence.records)
    return [Section(f"task-{task}", task, _blocks(evidence, task)) for task in tasks]


def _blocks(evidence: Evidence, task: str) -> tuple[Block, ...]:
    chosen = (evidence.frame["task"] == task).to_numpy()
    frame = evidence.frame[chosen].reset_index(drop=True)
    pairs = [pair for pair in evidence.pairs if pair.attacked.task == task]
    if frame.empty:
        return (
            Note("No attacked data was evaluated on this task; its clean scores stand under all scores.", "warning"),
        )
    warnings = [*_few(frame), *_unpaired(pairs)]
    tables: tuple[Block, ...] = (*overview(frame, task), *footnote(frame), _table(frame, pairs, task))
    if frame["clean"].isna().all():
        return (*warnings, *tables)
    return (_summary(frame), *warnings, _picture(frame, task), *tables)


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
    share = "" if kept is None else f", which is {show.percent(kept)} of it"
    lowest = show.score(attacked) + show.mark(saw)
    return f"{label}: {show.score(clean)} clean; lowest {lowest} under {suite}{share}."


def _few(frame: pd.DataFrame) -> list[Note]:
    fewest = int(frame["examples"].min())
    if fewest >= FEW:
        return []
    return [
        Note(
            f"Only {show.plural(fewest, 'example')}: with fewer than {FEW}, intervals are wide and small differences "
            "mean nothing.",
            "warning",
        )
    ]


def _unpaired(pairs: list[Pair]) -> list[Note]:
    alone = [f"{pair.attacked.system.shown} under {pair.attacked.condition}" for pair in pairs if pair.clean is None]
    if not alone:
        return []
    return [Note(f"No clean result of the same weights on the same data was given for {show.join(alone)}.", "warning")]


def _picture(frame: pd.DataFrame, task: str) -> Picture:
    known = frame.dropna(subset=["clean"])
    metric = show.score_name(str(known["metric"].iloc[0]))
    systems = list(dict.fromkeys(system_labels(known)))
    numbers = sorted({int(number) for number in known["examples"]})
    seeds = known.groupby([system_labels(known), "suite"]).size().max()
    several = f" Bars are means of up to {seeds} runs, lines reach from the lowest to the highest." if seeds > 1 else ""
    examples = " to ".join(f"{number:,}" for number in dict.fromkeys([numbers[0], numbers[-1]]))
    caption = f"{task}: {metric} on clean and attacked data, n = {examples} examples.{several}"
    if len(systems) > SIDE_BY_SIDE:
        caption += f" The dashed line is the score of {systems[0]}."
    alt = caption + " The numbers stand in the table below."
    return Picture(f"scores_{task}", caption, alt, score_figure(known, task))


def _table(frame: pd.DataFrame, pairs: list[Pair], task: str) -> Table:
    frame = frame.assign(**_intervals(pairs))
    known = set(frame.columns[frame.notna().any()])
    unused = [name for name in ("gain_clean", "gain", "saw_attack") if name not in known]
    unused += ["label"] if (frame["label"] == frame["system"]).all() else []
    columns = tuple(column for needed, column in _columns(frame) if needed is None or needed in known)
    caption = _caption(task, show.score_name(str(frame["metric"].iloc[0])), known)
    return Table(f"scores_{task}", caption, frame.drop(columns=unused), columns)


def _caption(task: str, metric: str, known: set[str]) -> str:
    caption = f"{task}: {metric}. Drop is in points; relative drop and retention are shares of the clean score. "
    caption += "Seeds: of training / of the attack."
    if "gain" in known:
        caption += f" The gain over {REFERENCE} is that of the attacked score, on the same data, in points."
    if "truncated_words_attacked" in known:
        caption += " Truncated words: clean / attacked; they count as errors."
    if "attacked_low" in known:
        caption += " In brackets 95% Wilson intervals over examples."
    if "clean_gold_attacked" in known:
        caption += " Attacked answers are scored against the attacked gold answer, and beside it against the clean one."
    return caption


def _intervals(pairs: list[Pair]) -> dict[str, Any]:
    sides = {"clean": [interval(pair.clean) for pair in pairs], "attacked": [interval(pair.attacked) for pair in pairs]}
    return {
        f"{side}_{end}": [limits and limits[index] for limits in values]
        for side, values in sides.items()
        for index, end in enumerate(("low", "high"))
    }


def interval(record: Record | None) -> tuple[float, float] | None:
    """Return the 95% Wilson interval in percent where the headline is a share of independent examples, else None."""
    if record is None or record.headline != "accuracy" or "correct" not in record.counts:
        return None
    low, high = show.wilson(record.counts["correct"] / record.counts["examples"], record.counts["examples"])
    return 100 * low, 100 * high


def _columns(frame: pd.DataFrame) -> list[tuple[str | None, Column]]:
    """Return every column the table may have, with the column of the frame it needs (None: always printed)."""
    labels = dict(zip(frame["label"] + "\0" + frame["base"], system_labels(frame), strict=True))
    return [
        (None, Column("System", lambda row: labels[f"{row.get('label', row['system'])}\0{row['base']}"], "left")),
        (None, Column("Suite", lambda row: str(row["suite"]), "left")),
        (None, Column("Clean", _scored("clean"))),
        (None, Column("Attacked", _scored("attacked"))),
        ("clean_gold_attacked", Column("Against clean answers", lambda row: show.score(row["clean_gold_attacked"]))),
        (None, Column("Drop", lambda row: show.score(row["drop"]))),
        (None, Column("Relative drop", _share("relative_drop"))),
        (None, Column("Retention", _share("retention"))),
        ("gain", Column(f"Gain over {REFERENCE}", lambda row: show.gain(row["gain"]))),
        (None, Column("Seeds", _seeds)),
        (None, Column("Examples", lambda row: show.count(row["examples"]))),
        (None, Column("Words", lambda row: show.count(row["words"]))),
        (None, Column("Eligible words", lambda row: show.count(row["eligible_words"]))),
        (None, Column("Edits", lambda row: show.count(row["edits"]))),
        (None, Column("Effective strength", lambda row: show.percent(row["effective_strength"]))),
        ("truncated_words_attacked", Column("Truncated words", _truncated)),
    ]


def _seeds(row: Mapping[str, Any]) -> str:
    return f"{show.plain(row['training_seed'])} / {show.plain(row['attack_seed'])}"


def _truncated(row: Mapping[str, Any]) -> str:
    return f"{show.count(row['truncated_words_clean'])} / {show.count(row['truncated_words_attacked'])}"


def _scored(name: str) -> Callable[[Mapping[str, Any]], str]:
    def cell(row: Mapping[str, Any]) -> str:
        low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
        limits = "" if show.is_missing(low) else f"\n[{show.score(low)}, {show.score(high)}]"
        seen = show.mark(row.get("saw_attack")) if name == "attacked" else ""
        return show.score(row[name]) + seen + limits

    return cell


def _share(name: str) -> Callable[[Mapping[str, Any]], str]:
    def cell(row: Mapping[str, Any]) -> str:
        missing = show.DASH if show.is_missing(row["clean"]) else "not defined"
        return show.percent(row[name], missing=missing)

    return cell
