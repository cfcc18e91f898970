"""Charts show the scores of the frame, without colour too, and leave no trace in matplotlib's global state."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from robustbench_char.reports import report_frame, score_figure
from robustbench_char.reports.figures.style import to_svg


def frame_of(*rows: tuple[str, int, str, float, float], metric: str = "accuracy") -> pd.DataFrame:
    columns = ["system", "training_seed", "suite", "clean", "attacked"]
    return pd.DataFrame(rows, columns=columns).assign(task="qnli", base="minilm", metric=metric)


def heights(figure: Figure) -> list[float]:
    return [patch.get_height() for patch in figure.axes[0].patches]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_one_bar_for_clean_and_one_a_suite(make_runs: Callable[..., Path]) -> None:
    frame = report_frame([make_runs(suites=("drop", "swap", "keyboard"))])
    figure = score_figure(frame, "qnli")
    assert heights(figure) == pytest.approx([frame["clean"].iloc[0], *frame["attacked"]])
    assert texts(figure) == [f"{value:.1f}" for value in heights(figure)]
    assert figure.axes[0].get_ylabel() == "Accuracy (%)"
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["clean", "drop", "keyboard", "swap"]


def test_clean_and_attacked_differ_in_hatch_and_in_grey() -> None:
    patches = score_figure(frame_of(("bert", 0, "drop", 90.0, 60.0)), "qnli").axes[0].patches
    assert patches[0].get_hatch() != patches[1].get_hatch()
    grey = [sum(part * weight for part, weight in zip(to_rgb(patch.get_facecolor()), (0.3, 0.59, 0.11), strict=True))
            for patch in patches]  # fmt: skip
    assert min(grey) > 0.5, "dark bars would hide their hatch"


def test_systems_stand_side_by_side_with_a_legend() -> None:
    frame = frame_of(("bert", 0, "drop", 90.0, 60.0), ("charbert", 0, "drop", 91.0, 70.0))
    figure = score_figure(frame, "qnli")
    assert heights(figure) == [90.0, 60.0, 91.0, 70.0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["bert", "charbert"]
    assert len({patch.get_hatch() for patch in figure.axes[0].patches}) == 2


def test_seeds_are_drawn_as_mean_and_span() -> None:
    rows = [("bert", 0, "drop", 90.0, 60.0), ("bert", 1, "drop", 92.0, 70.0), ("bert", 0, "swap", 90.0, 50.0)]
    figure = score_figure(frame_of(*rows, ("bert", 1, "swap", 92.0, 50.0)), "qnli")
    assert heights(figure) == [91.0, 65.0, 50.0]
    spans = [line.get_segments()[0][:, 1].tolist() for line in figure.axes[0].collections]
    assert spans == [[90.0, 92.0], [60.0, 70.0]]


def test_negative_scores_have_room_and_their_label_below() -> None:
    figure = score_figure(frame_of(("bert", 0, "drop", 5.0, -12.0), metric="matthews"), "qnli")
    axes = figure.axes[0]
    assert axes.get_ylim()[0] < -12
    assert axes.get_ylabel() == "Matthews correlation (×100)"
    assert texts(figure) == ["5.0", "−12.0"]
    assert axes.texts[1].get_verticalalignment() == "top"


def test_one_name_with_two_bases_is_told_apart() -> None:
    frame = frame_of(("bert", 0, "drop", 90.0, 60.0), ("bert", 0, "drop", 80.0, 55.0)).assign(base=["minilm", "other"])
    legend = score_figure(frame, "qnli").legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["bert (minilm)", "bert (other)"]


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(ValueError, match="no row of the task 'cola'"):
        score_figure(frame_of(("bert", 0, "drop", 90.0, 60.0)), "cola")


def test_svg_is_valid_the_same_each_time_and_keeps_its_ids_apart() -> None:
    frame = frame_of(("bert", 0, "a $ < & b $", 90.0, 60.0))
    one, again = (to_svg(score_figure(frame, "qnli"), "first") for _ in range(2))
    assert one == again
    ids = {node.get("id") for node in ET.fromstring(one).iter() if node.get("id")}
    assert ids
    assert all(str(name).startswith("first-") for name in ids)
    references = [part.split(")")[0] for part in one.split("url(#")[1:]]
    assert references
    assert set(references) <= ids
    assert "".join(ET.fromstring(one).itertext()).count("$") == 2, "a `$` must not start a formula"
    assert not ids & {node.get("id") for node in ET.fromstring(to_svg(score_figure(frame, "qnli"), "other")).iter()} - {
        None
    }


def test_matplotlib_is_left_as_it_was() -> None:
    before = dict(matplotlib.rcParams)
    to_svg(score_figure(frame_of(("bert", 0, "drop", 90.0, 60.0)), "qnli"), "x")
    assert dict(matplotlib.rcParams) == before


def test_neither_pyplot_nor_torch_is_imported(make_runs: Callable[..., Path], tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from robustbench_char.reports import write_report\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"write_report([pathlib.Path({str(make_runs())!r})], pathlib.Path({str(tmp_path / 'out')!r}))\n"
        "print([name for name in ('matplotlib.pyplot', 'torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
