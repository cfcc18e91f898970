"""A line for each system that has gates: how far they are open, by stream and layer."""

from __future__ import annotations

from collections.abc import Callable

from robustbench_char.records.evaluation import Record
from robustbench_char.reports.sections.systems import _gates


def test_a_line_for_each_system_with_gates(make_record: Callable[..., Record]) -> None:
    """Sizes are meant, whatever their signs, over the models of a system; a model counts once."""
    first = {"sub_words": (0.1, -0.2), "characters": (0.0, 0.5)}
    second = {"sub_words": (-0.3, 0.2), "characters": (0.0, 0.25)}
    records = [
        make_record(suite=suite, name="charbert", weights=str(row) * 64, parts={"gates": gates})
        for row, gates in enumerate((first, second))
        for suite in (None, "mixed")
    ]
    (note,) = _gates([*records, make_record()])
    assert note.text == (
        "Gates of charbert by layer, mean size in 2 models (0 is shut): "
        "sub-words 0.200, 0.200; characters 0.000, 0.375."
    )
