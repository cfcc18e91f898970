"""The figure of a sentence's profile shows the frame's numbers, without colour too."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest

from robustbench_char.reports.figures.curves import profile_figure


def frame_of(words: int, systems: tuple[str, ...] = ("bert", "charbert")) -> pd.DataFrame:
    rows = [
        (system, number, f"word{number}", f"wrod{number}" if number % 3 == 0 else f"word{number}",
         number % 3 == 0, float("nan") if number == 1 else 0.1 * place + number / 100)
        for place, system in enumerate(systems) for number in range(words)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["system", "number", "word", "attacked", "changed", "distance"])


def test_a_line_a_system_and_a_mark_a_word() -> None:
    frame = frame_of(5)
    axes = profile_figure(frame).axes[0]
    for line in axes.get_lines():
        expected = frame.loc[frame["system"] == line.get_label(), "distance"]
        np.testing.assert_array_equal(np.asarray(line.get_ydata(), float), expected)
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["word0\nwrod0", "word1", "word2", "word3\nwrod3", "word4"]
    assert len(axes.patches) == 2  # what was attacked is shaded


def test_systems_differ_without_colour() -> None:
    figure = profile_figure(frame_of(4, ("a", "b", "c", "d", "e", "f", "g")))
    looks = [(line.get_marker(), line.get_linestyle()) for line in figure.axes[0].get_lines()]
    assert len(set(looks)) == 7
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "c", "d", "e", "f", "g"]


def test_a_long_sentence_goes_on_in_further_lines() -> None:
    figure = profile_figure(frame_of(40))
    assert [len(axes.get_xticklabels()) for axes in figure.axes] == [14, 14, 12]
    assert figure.get_figwidth() <= 7.2
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


def test_words_are_printed_as_they_are_and_long_ones_are_cut() -> None:
    frame = frame_of(1).assign(word="$a$", attacked="x" * 40)
    figure = profile_figure(frame)
    (label,) = figure.axes[0].get_xticklabels()
    assert label.get_text() == f"$a$\n{'x' * 15}…"
    assert not label.get_parse_math()
    assert matplotlib.rcParams["text.parse_math"]  # settings of others stay as they were


def test_no_words() -> None:
    with pytest.raises(ValueError, match="no words"):
        profile_figure(pd.DataFrame())
