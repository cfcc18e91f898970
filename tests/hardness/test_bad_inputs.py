"""Mutated inputs end with one error or a right result (short; the whole: `python -m tools.hardness.bad_inputs`)."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from robustbench_char.common import InputError
from robustbench_char.tasks.formats import open_native
from robustbench_char.tasks.registry import get_task
from tools.hardness import bad_inputs
from tools.hardness._calls import Call
from tools.hardness._damage import _BOMB, mutated
from tools.hardness._targets import Target

GOOD = Call(0, "", None, ("work/out/x",), 0)
TARGET = Target("x", {}, [], [])


@pytest.mark.slow
@pytest.mark.models
def test_bad_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = bad_inputs.main(["--count", "30", "--seed", "3", "--outside", "1000", "--keep", str(tmp_path / "kept")])
    assert failed == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        (GOOD._replace(error="ValueError: x", code=None), "ValueError: x"),
        (GOOD._replace(code=1), "ended with code 1"),
        (GOOD._replace(wrote=("work/other",)), "wrote work/other"),
        (GOOD._replace(code=2, output="error: x"), "left work/out/x of what it refused"),
        (GOOD._replace(code=2, wrote=()), "no message"),
        (GOOD._replace(output="\x1b[1m"), "a raw escape"),
        (GOOD._replace(megabytes=9000), "took 9000 MB more"),
    ],
)
def test_what_is_wrong_is_seen(found: Call, wrong: str) -> None:
    assert bad_inputs.wrong_with(GOOD, TARGET) is None
    assert bad_inputs.wrong_with(GOOD._replace(code=2, output="error: x", wrote=()), TARGET) is None
    assert wrong in (bad_inputs.wrong_with(found, TARGET) or "")


@pytest.mark.parametrize("name", ["x.txt", "x.json", "x.yaml", "x.jsonl", "x.parquet", "x.safetensors"])
def test_a_mutation_depends_on_the_seed_alone(name: str) -> None:
    data = b'{"a": [1, "two"], "b": {"c": null}}\n'
    twice = [[mutated(data, name, Random(seed)) for seed in range(40)] for _ in range(2)]
    assert twice[0] == twice[1]
    assert len(set(twice[0])) > 20


def test_a_bomb_is_changed_as_text() -> None:
    for seed in range(40):
        assert len(mutated(_BOMB.encode(), "x.yaml", Random(seed))) < 1_000_000


@pytest.mark.parametrize(("task", "name"), [("squad_v1", "data.json"), ("cola", "data.jsonl")])
def test_a_number_of_thousands_of_digits(task: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text('{"sentence": "x", "label": ' + "9" * 5000 + "}\n")
    with pytest.raises(InputError, match=r"found a number that cannot be read \(Exceeds"):
        list(open_native(get_task(task), tmp_path / name).examples())
