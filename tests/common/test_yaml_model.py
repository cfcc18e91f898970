"""YAML into strict models: every mistake of a file is named, with key, expectation and nearest match."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from robustbench_char.common import InputError
from robustbench_char.common.yaml_model import load_yaml_model


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class Inner(_Strict):
    rate: float = Field(1.0, ge=0, le=1)
    mode: Literal["keep", "lower"] = "keep"


class Outer(_Strict):
    schema_version: Literal[1] = Field(1, alias="schema")
    name: str
    fields: tuple[str, ...] = ()
    strength: Inner | None = None
    per_task: dict[str, Inner] = {}
    many: tuple[Inner, ...] = ()


def _load(tmp_path: Path, text: str) -> Outer:
    path = tmp_path / "suite.yaml"
    path.write_text(text, encoding="utf-8")
    return load_yaml_model(path, Outer)


def test_lists_become_tuples_and_integers_floats(tmp_path: Path) -> None:
    outer = _load(tmp_path, "schema: 1\nname: a\nfields: [x, y]\nstrength: {rate: 1}\n")
    assert outer.fields == ("x", "y")
    assert outer.strength == Inner(rate=1.0)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("abcdefghijkl")
)
MERGES = "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n" for before, name in pairwise("abcdefghijkl")
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\n", r"suite.yaml: schema: found no such key; expected `schema: 1`"),
        ("schema: 2\nname: a\n", r"suite.yaml: schema: found 2; expected 1"),
        ("schema: 1\nnam: a\nname: b\n", r"nam: found unknown key 'nam'; expected one of schema,.*Did you mean 'name'"),
        ("schema: 1\nname: a\nstrength: {rat: 1}\n", r"strength.rat: .*one of rate, mode.*Did you mean 'rate'"),
        ("schema: 1\nname: a\nper_task: {cola: {moed: 1}}\n", r"per_task.cola.moed: .*Did you mean 'mode'"),
        ("schema: 1\nname: a\nmany: [{moed: 1}]\n", r"many.0.moed: .*Did you mean 'mode'"),
        ("schema: 1\nname: a\nstrength: {rate: 1.5}\n", r"strength.rate: found 1.5; expected less than or equal to 1"),
        ("schema: 1\nname: a\nstrength: {mode: lowr}\n", r"found 'lowr'; expected 'keep' or 'lower'.*mean 'lower'"),
        ("schema: 1\nname: 3\n", r"name: found 3; expected string"),
        ("schema: 1\nname: a\nname: b\n", r"suite.yaml:3: found the key 'name' twice"),
        ("schema: 1\nname: [a\n", r"suite.yaml:3: .*expected valid YAML"),
        ("- a\n", r"found a list at the top"),
        ("schema: 1\nname: !!python/object:os.system a\n", r"suite.yaml:2: .*could not determine a constructor"),
        (
            "schema: 1\nname: a\nper_task: &a {drop: *a}\n",
            r"suite.yaml:1: found aliases that stand for more than 100,000 values, or for themselves",
        ),
        ("schema: 1\nname: a\nper_task: {? [a, b] : {}}\n", r"suite.yaml:3: found unhashable key"),
        ("schema: 1\nname: yes\n", r"name: found True; expected string. Put it in quotes, as in \"yes\""),
        ("schema: 1\nname: null\n", r"name: found None; expected string. Put it in quotes, as in \"null\""),
        ("schema: 1\nname: a\nfields: [x, 1.0]\n", r"fields.1: found 1.0; expected string. Put it in quotes"),
        ("schema: 1\nname: 2001-99-99\n", r"suite.yaml: found a value that cannot be read \(month must be"),
        ("schema: 1\nname: " + "[" * 5000 + "]" * 5000, r"suite.yaml: found a value that cannot be read"),
        ("schema: 1\nname: a\nstrength: {rate: 1.0e+23}\n", r"strength.rate: found 1e\+?23; expected less than"),
        ("schema: 1\nname: " + "9" * 5000, r"suite.yaml: found a value that cannot be read \(Exceeds the limit"),
        ("schema: 1\nname: !!timestamp x\n", r"suite.yaml: found a value that cannot be read"),
        (BOMB, r"suite.yaml:1: found aliases that stand for more than 100,000 values"),
        ("a: &a {k: 1}\n" + MERGES, r"suite.yaml:1: found aliases that stand for more than 100,000 values"),
        ("", r"an empty file"),
    ],
)
def test_messages(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _load(tmp_path, text)


def test_keys_are_what_is_written(tmp_path: Path) -> None:
    keys = ["yes", "Off", "null", "~", "1.0", "007", "2001-01-01", "12:30"]
    outer = _load(tmp_path, "schema: 1\nname: a\nper_task: {" + ", ".join(f"{key}: {{}}" for key in keys) + "}\n")
    assert list(outer.per_task) == keys
    merged = _load(tmp_path, "schema: 1\nname: a\nper_task:\n  x: &x {rate: 0.5}\n  y: {<<: *x, mode: keep}\n")
    assert merged.per_task["y"] == merged.per_task["x"].model_copy(update={"mode": "keep"})


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        _load(tmp_path, "nam: a\nstrength: {rate: -1, mode: x}\n")
    message = str(caught.value)
    assert "found 5 mistakes; expected none. Correct each of them:" in message
    for part in ("schema: 1", "'nam'", "name: found no such key", "strength.rate", "strength.mode"):
        assert part in message


def test_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(InputError, match="byte 9 that is not UTF-8"):
        load_yaml_model(tmp_path / "a.yaml", Outer)
