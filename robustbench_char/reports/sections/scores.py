"""What the attacks cost: for each task a chart, all systems side by side, each run, and what seeds change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from robustbench_char.analysis.pairs import REFERENCE, seed_frame
from robustbench_char.analysis.scores import run_scores, system_labels
from robustbench_char.analysis.statistics import CLEAN
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.blocks import Block, Column, Note, Picture, Section, Table, text, texts, value
from robustbench_char.reports.evidence import Evidence
from robustbench_char.reports.figures._bars import SIDE_BY_SIDE, score_figure
from robustbench_char.reports.summary import about_training

__all__ = ["sections"]

FEW = 100
"""Fewer examples than these are warned of: at 100, the 95% interval of an accuracy of 80% is 16 points wide."""

_OPEN = 3
"""Most tasks whose sections are not folded."""
_ENDS = ("", "_low", "_high")


def sections(evidence: Evidence) -> list[Section]:
    """Return a section per task, folded where there are many."""
    frame = run_scores(evidence.frame, evidence.pairs, evidence.statistics)
    many = len(evidence.tasks) > _OPEN
    return [Section(f"task-{task}", task, _blocks(evidence, frame, task), many) for task in evidence.tasks]


def _blocks(evidence: Evidence, frame: pd.DataFrame, task: str) -> tuple[Block, ...]:
    frame = frame[(frame["task"] == task).to_numpy()].reset_index(drop=True)
    if frame.empty:
        but = " but worst cases" if any(pair.attacked.task == task for pair in evidence.searched) else ""
        missing = f"No attacked data{but} was evaluated on this task; its clean scores stand under all scores."
        return (Note(missing, "warning"), *_seen(evidence, task))
    warnings = _notes(evidence, task, int(frame["examples"].min()))
    learnt = frame[frame["learnt"]]
    footnote = [Note(text) for text in formatting.about_marks(learnt["saw_attack"])]
    if frame["clean"].isna().all():
        return (*warnings, *footnote, _table(frame, task))
    means = evidence.means[evidence.means["task"] == task]
    tables: list[Block] = [*_overview(means, task), *footnote, _table(frame, task)]
    tables += _seeds_table(evidence, frame, task)
    if not means["learnt"].any():
        return (*warnings, Note(f"No system has learnt {task}.", "warning"), *tables)
    return (*warnings, _picture(frame.dropna(subset=["clean"]), means[means["learnt"]], task), *tables)


def _notes(evidence: Evidence, task: str, fewest: int) -> list[Note]:
    """Return what a reader of the task's scores should know: notes, few or failed examples, missing clean results."""
    notes = [Note(note) for note in dict.fromkeys(record.task_note for record in evidence.tasks[task]) if note]
    if fewest < FEW:
        few = f"Only {formatting.plural(fewest, 'example')}: with fewer than {FEW}, intervals are wide and small "
        notes.append(Note(f"{few}differences mean nothing.", "warning"))
    notes += _seen(evidence, task)
    failed = [
        f"{record.system.shown} on {number} of {record.data.examples:,} ({record.condition})"
        for record in evidence.tasks[task]
        if (number := record.counts.get("failed_examples"))
    ]
    if failed:
        notes.append(Note(f"Examples without a usable prediction count as wrong: {'; '.join(failed)}.", "warning"))
    attacked = [pair.attacked for pair in evidence.pairs if pair.attacked.task == task and pair.clean is None]
    if attacked:
        alone = formatting.join([f"{record.system.shown} under {record.condition}" for record in attacked])
        text = f"No clean result of the same weights on the same data was given for {alone}."
        notes.append(Note(text, "warning"))
    return notes


def _seen(evidence: Evidence, task: str) -> list[Note]:
    return [Note(said, "warning") for said in filter(None, [about_training(evidence.tasks[task])])]


def _picture(known: pd.DataFrame, means: pd.DataFrame, task: str) -> Picture:
    metric = formatting.score_name(str(known["metric"].iloc[0]))
    systems = list(dict.fromkeys(means["label"]))
    numbers = sorted({int(number) for number in known["examples"]})
    examples = " to ".join(f"{number:,}" for number in dict.fromkeys([numbers[0], numbers[-1]]))
    caption = f"{task}: {metric} on clean and attacked data, n = {examples} examples.{_bars_and_lines(means)}"
    if len(systems) > SIDE_BY_SIDE:
        caption += f" The dashed line is the score of {systems[0]}."
    return Picture(f"scores_{task}", caption, score_figure(known, task, means))


def _bars_and_lines(means: pd.DataFrame) -> str:
    """Say what bars and lines are, where bars are means or have lines."""
    runs = int(means["runs"].max())
    mean = f" Bars are means of up to {runs} runs" if runs > 1 else ""
    if means["attacked_low"].notna().any():
        return f"{mean}{'; lines' if mean else ' Lines'} are 95% intervals over examples."
    return f"{mean}, lines reach from the lowest to the highest." if mean else ""


def _overview(means: pd.DataFrame, task: str) -> list[Table]:
    """Return the systems side by side under each suite, with gains (points), or nothing where there is one system."""
    groups = means.groupby("label", sort=False)
    if len(groups) < 2:
        return []
    conditions = [CLEAN, *dict.fromkeys(means["suite"])]
    wide = pd.DataFrame([_overview_row(str(label), part) for label, part in groups])
    wide = wide.assign(**{f"{name}_best": wide[f"{name}_best"].eq(True) for name in conditions})
    columns = (text("System"), *(_overview_column(name) for name in conditions))
    gains = f"In round brackets the gain over {REFERENCE} on the same data, in points. "
    metric, means = formatting.score_name(str(means["metric"].iloc[0])), means[means["learnt"]]
    caption = (
        f"{task}: {metric} of all systems, clean and under each suite. {formatting.about_intervals(means)}"
        f"{gains if means['gain'].notna().any() else ''}{formatting.about_best(means)}{_strengths(means)}"
    )
    return [Table(f"overview_{task}", caption, wide, columns)]


def _overview_row(label: str, part: pd.DataFrame) -> dict[str, Any]:
    first, *_ = rows = part.to_dict("records")
    cells: dict[str, Any] = {"system": label, "learnt": first["learnt"], **_side(CLEAN, first, "clean", "gain_clean")}
    for row in rows:
        cells |= _side(row["suite"], row, "attacked", "gain")
        cells |= {f"{row['suite']}_{name}": row[name] for name in ("retention", "effective_strength", "saw_attack")}
    return cells


def _side(condition: str, row: Mapping[Any, Any], score: str, gain: str) -> dict[str, Any]:
    """Return score, gain and mark of the best of one condition, by the columns of the table."""
    names = {end: f"{score}{end}" for end in _ENDS} | {f"_gain{end}": f"{gain}{end}" for end in _ENDS}
    return {f"{condition}{end}": row[name] for end, name in {**names, "_best": f"{score}_best"}.items()}


def _overview_column(condition: str) -> Column:
    def gain(row: Mapping[str, Any]) -> str:
        points = row.get(f"{condition}_gain")
        return "" if formatting.is_missing(points) else f"\n({formatting.gain(points)})"

    score = value(condition, condition, interval=True, mark=f"{condition}_saw_attack")
    return Column(condition, lambda row: score.show(row).replace("\n", " ") + gain(row), best=f"{condition}_best")


def _strengths(means: pd.DataFrame) -> str:
    strengths = means.groupby("suite", sort=False)["effective_strength"].mean()
    shares = ", ".join(f"{suite} {formatting.percent(strength)}" for suite, strength in strengths.items())
    return f"Effective strength, of eligible words: {shares}."


def _seeds_table(evidence: Evidence, frame: pd.DataFrame, task: str) -> list[Table]:
    """Return the spread over seeds, or nothing where each system has one seed of either kind."""
    seeds = evidence.marked(seed_frame(frame))
    seeds = seeds[(seeds["training_seeds"] > 1) | (seeds["attack_seeds"] > 1)].reset_index(drop=True)
    if seeds.empty:
        return []
    seeds.insert(0, "system", system_labels(seeds))
    columns = (
        *texts("System", "Suite"),
        value("Training seeds", show=formatting.count),
        value("Attack seeds", show=formatting.count),
        value("Clean mean"),
        value("spread", "clean_spread"),
        value("Attacked mean", "mean"),
        value("spread of training", "training_spread"),
        value("spread of attack", "attack_spread"),
        value("worst run", "worst"),
    )
    caption = (
        f"{task}: what seeds change. Spread is the standard deviation (n − 1) over training seeds, and over attack "
        "seeds within a training seed; examples are the same throughout."
    )
    return [Table(f"seeds_{task}", caption, seeds, columns, folded=True)]


def _table(frame: pd.DataFrame, task: str) -> Table:
    """Return every run: the columns that have a value in some row."""
    known = set(frame.columns[frame.notna().any()])
    unused = [name for name in ("gain_clean", "gain", "saw_attack", "interval") if name not in known]
    unused += ["label"] if (frame["label"] == frame["system"]).all() else []
    columns = tuple(column for needed, column in _columns(frame) if needed is None or needed in known)
    caption = _caption(task, formatting.score_name(str(frame["metric"].iloc[0])), known, set(frame["interval"]))
    return Table(f"scores_{task}", caption, frame.drop(columns=unused), columns, folded=True)


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
    truncated = "truncated_words_clean", "truncated_words_attacked"
    return [
        (None, Column("System", lambda row: labels[f"{row.get('label', row['system'])}\0{row['base']}"], "left")),
        (None, text("Suite")),
        (None, value("Clean", interval=True)),
        (None, value("Attacked", interval=True, mark="saw_attack")),
        ("clean_gold_attacked", value("Against clean answers", "clean_gold_attacked")),
        (None, value("Drop", interval=True)),
        *((None, value(title, show=formatting.percent, interval=True)) for title in ("Relative drop", "Retention")),
        ("gain", value(f"Gain over {REFERENCE}", "gain", formatting.gain)),
        (None, Column("Seeds", _both("training_seed", "attack_seed", formatting.plain))),
        *((None, value(title, show=formatting.count)) for title in ("Examples", "Words", "Eligible words", "Edits")),
        (None, value("Effective strength", show=formatting.percent)),
        (truncated[1], Column("Truncated words", _both(*truncated, formatting.count))),
    ]


def _both(first: str, second: str, show: Callable[[Any], str]) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: f"{show(row[first])} / {show(row[second])}"
