"""The tables of keys in the documents are those of the models that read the files: none missing, none too many."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from robustbench_char.attacks.operators import OPERATORS
from robustbench_char.attacks.suites import OperatorRule, SuiteFile, WordRule
from robustbench_char.experiments._worst_case import WorstCasePart
from robustbench_char.experiments.spec import (
    Benchmark,
    Budget,
    DefencePart,
    FinetunePart,
    SensitivityOptions,
    SystemSpec,
    TaskSpec,
)
from robustbench_char.inference.chat.prompts import PromptFile
from robustbench_char.tasks.base import HubSource, Task
from robustbench_char.tasks.formats.conll import ConllOptions
from robustbench_char.tasks.formats.glue_tsv import TsvOptions
from robustbench_char.tasks.formats.squad_json import SquadOptions
from robustbench_char.text.letters import ALPHABETS, LAYOUTS
from robustbench_char.text.words import SPLITTERS

ROOT = Path(__file__).resolve().parents[2]
TABLES: dict[str, dict[str, tuple[type[BaseModel], ...]]] = {
    "attacks/README.md": {"": (SuiteFile,), "words.": (WordRule,), "operators.": (OperatorRule,)},
    "prompts/README.md": {"": (PromptFile,)},
    "docs/tasks.md": {
        "": (Task,),
        "hub.": (HubSource,),
        "format_options.": (TsvOptions, ConllOptions, SquadOptions),
    },
    "docs/benchmarks.md": {
        "": (Benchmark,),
        "systems.": (SystemSpec,),
        "defences.": (DefencePart,),
        "tasks.": (TaskSpec,),
        "sensitivity.": (SensitivityOptions,),
        "budget.": (Budget,),
        "worst_case.": (WorstCasePart,),
    },
}
"""By page and by what stands before a key: the models that have these keys."""


def rows(page: str) -> Iterator[list[str]]:
    """Yield the cells of the rows of each table of keys on a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for table in re.findall(r"^\| key \|.*\n\| ---.*\n((?:\|.*\n)+)", text, re.M):
        for line in table.splitlines():
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def keys(page: str) -> dict[str, str]:
    """Return the keys that a page explains, with the default that stands in brackets, "" without one."""
    heads = [row[0] for row in rows(page)]
    heads += re.findall(r"(`(?:sensitivity|budget)\.\w+`(?: \([^)]*\))?)", " ".join(row[-1] for row in rows(page)))
    return {key: default for head in heads for key, default in re.findall(r"`([\w.]+)`(?: \(([^)]*)\))?", head)}


@pytest.mark.parametrize("page", TABLES)
def test_every_key_is_explained_and_no_other(page: str) -> None:
    known = {
        f"{before}{field.alias or name}"
        for before, models in TABLES[page].items()
        for model in models
        for name, field in model.model_fields.items()
    }
    assert set(keys(page)) == known


@pytest.mark.parametrize("page", TABLES)
def test_defaults_are_those_of_the_models(page: str) -> None:
    said = keys(page)
    for before, models in TABLES[page].items():
        for model in models:
            for name, field in model.model_fields.items():
                default, shown = field.default, said[f"{before}{field.alias or name}"].strip("`")
                if field.is_required():
                    assert shown == "", name
                elif default is True or default is False:
                    assert shown == str(default).lower(), name
                elif isinstance(default, int | float | str) and default != "" and field.alias != "schema":
                    assert shown == str(default).removesuffix(".0"), name


@pytest.mark.parametrize(
    ("key", "names"),
    [("alphabet", ALPHABETS), ("layout", LAYOUTS), ("words.split", SPLITTERS)],
)
def test_values_of_a_suite_are_those_that_are_registered(key: str, names: object) -> None:
    (values,) = (row[1] for row in rows("attacks/README.md") if re.match(rf"`{re.escape(key)}`", row[0]))
    assert re.findall(r"`(\w+)`", values) == list(names)  # type: ignore[call-overload]


def test_the_operators_of_our_own_are_in_the_table_of_suites() -> None:
    text = (ROOT / "attacks" / "README.md").read_text(encoding="utf-8")
    assert {name for name in OPERATORS if not name.startswith("nlpaug")} <= set(re.findall(r"`(\w+)`", text))


def test_the_options_of_fine_tuning_are_listed() -> None:
    (values,) = (row[1] for row in rows("docs/benchmarks.md") if row[0].startswith("`finetune`"))
    assert set(re.findall(r"`(\w+)`", values)) - {"finetune"} == set(FinetunePart.model_fields)
