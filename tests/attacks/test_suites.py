"""Suites: what is shipped, how names and strengths resolve, and the one error that names all mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from robustbench_char.attacks.suites import Strength, Suite, SuiteFile, load_suite_file, load_suites, suite_names
from robustbench_char.common import InputError

TASKS = ("squad_v1", "squad_v2", "cola", "mrpc", "qqp", "qnli", "conll2003", "ptb_pos")


def write(folder: Path, body: str, *, name: str = "mine.yaml", operators: str = "operators: {drop: {}}") -> str:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"schema: 1\ndescription: a test\n{operators}\n{body}\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", suite_names())
def test_every_shipped_suite_resolves_for_every_task(name: str) -> None:
    assert load_suite_file(name).description
    for task in TASKS:
        suites = load_suites(name, task=task)
        assert len({suite.name for suite in suites}) == len({suite.sha256 for suite in suites}) == len(suites) > 0


def test_what_is_shipped() -> None:
    assert {"drop", "add", "swap", "keyboard", "mixed", "charbert_2020", "pruthi_2019_random"} <= set(suite_names())
    for name in ("drop", "add", "swap", "keyboard", "mixed"):
        (suite,) = load_suites(name, task="qnli")
        assert (suite.no_op, suite.case, suite.strength) == ("never", "keep", Strength(rate=1.0))
    for task in ("squad_v1", "squad_v2"):
        assert load_suites("charbert_2020", task=task)[0].fields == ("question",)
    assert load_suites("charbert_2020", task="mrpc")[0].fields is None
    assert [suite.strength.words for suite in load_suites("pruthi_2019_random", task="cola")] == [1, 2]


def test_task_settings_change_single_keys_only() -> None:
    (conll,), (qnli,) = load_suites("charbert_2020", task="conll2003"), load_suites("charbert_2020", task="qnli")
    assert conll.words == qnli.words.model_copy(update={"digits": "no_number"})
    assert conll.alphabet == "english_both_cases"
    assert conll.operators == qnli.operators


def test_operators_of_a_task_replace_all_others(tmp_path: Path) -> None:
    path = write(tmp_path, "words: {min_length: 3, digits: no_digit}\n"
                 "tasks: {cola: {operators: {add: {weight: 2}}, words: {min_length: 5}, fields: null}}\n"
                 "fields: [a]")  # fmt: skip
    (cola,), (other,) = load_suites(path, task="cola"), load_suites(path, task="mrpc")
    assert list(cola.operators) == ["add"]
    assert (cola.words.min_length, cola.words.digits, cola.fields) == (5, "no_digit", None)
    assert (list(other.operators), other.words.min_length, other.fields) == (["drop"], 3, ("a",))


def test_names_of_strengths() -> None:
    names = [suite.name for suite in load_suites("mixed_sweep", task="qnli")]
    assert names == [
        "mixed_sweep@0.1",
        "mixed_sweep@0.2",
        "mixed_sweep@0.4",
        "mixed_sweep@0.6",
        "mixed_sweep@0.8",
        "mixed_sweep@1.0",
    ]
    for asked, name in {
        "drop@.3": "drop@0.3",
        "drop@1": "drop@1.0",
        "drop@0": "drop@0.0",
        "pruthi_2019_random@5": "pruthi_2019_random@5",
    }.items():
        (suite,) = load_suites(asked, task="qnli")
        assert suite.name == name


def test_strengths_and_sweeps_share_their_draws() -> None:
    """One family, and so the same draws: `mixed_sweep@0.4` is `mixed` at 0.4."""
    families = {
        suite.family
        for name in ("mixed", "mixed@0.4", "mixed_sweep", "mixed_sweep@0.4")
        for suite in load_suites(name, task="x")
    }
    assert families == {"mixed"}


def test_a_file_by_path(tmp_path: Path) -> None:
    path = write(tmp_path / "user@host", "")
    assert [(suite.name, suite.family) for suite in load_suites(path, task="x")] == [("mine", "mine")]
    assert [(suite.name, suite.family) for suite in load_suites(f"{path}@0.5", task="x")] == [("mine@0.5", "mine")]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "dorp",
            r"--suite: found unknown name 'dorp'; expected one of add, .*\.yaml file\. .*Did you mean 'drop'",
        ),
        ("", r"found unknown name ''"),
        ("missing.yaml", r"found no file missing.yaml; expected a YAML file"),
        ("drop@1.5", r"--suite: found strength '1.5'; expected a rate in \[0, 1\]. Write the suite as NAME@STRENGTH"),
        ("drop@-0.1", r"found strength '-0.1'"),
        ("drop@nan", r"found strength 'nan'"),
        ("drop@", r"found strength ''"),
        ("drop@half", r"found strength 'half'"),
        ("pruthi_2019_random@1.5", r"found strength '1.5'; expected a number of words from 0"),
        ("pruthi_2019_random@-1", r"found strength '-1'; expected a number of words"),
    ],
)
def test_wrong_names(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_suites(name, task="qnli")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("layuot: qwerty", r"mine.yaml: layuot: found unknown key 'layuot'; expected one of .*Did you mean 'layout'"),
        ("layout: qwert", r"layout: found 'qwert'; expected one of the keyboard layouts qwerty, .*Did you mean 'qwert"),
        (
            "alphabet: englsh",
            r"alphabet: found 'englsh'; expected one of the alphabets english, .*Did you mean 'english'",
        ),
        (
            "words: {split: unicod}",
            r"words.split: found 'unicod'; expected one of the word splitters .*Did you mean 'unicode'",
        ),
        ("words: {min_lenght: 3}", r"words.min_lenght: .*expected one of split, min_length.*Did you mean 'min_length'"),
        ("words: {min_length: 0}", r"words.min_length: found 0; expected greater than or equal to 1"),
        ("words: {match: '('}", r"words.match: found '\('; expected a regular expression \(missing \)"),
        ("words: {digits: no_digits}", r"words.digits: found 'no_digits'; expected .*Did you mean 'no_digit'"),
        ("words: {protect: [answer]}", r"words.protect.0: found 'answer'; expected .*Did you mean 'answers'"),
        ("strength: {rate: 1.01}", r"strength.rate: found 1.01; expected less than or equal to 1"),
        ("strength: {rate: -0.5}", r"strength.rate: found -0.5; expected greater than or equal to 0"),
        ("strength: {rate: .nan}", r"strength.rate: .*expected .*finite"),
        ("strength: {rate: 0.5, words: 2}", r"strength: .*expected exactly one of rate, words"),
        ("strength: {}", r"strength: .*expected exactly one of rate, words"),
        ("strength: {words: 1.5}", r"strength.words: found 1.5; expected integer"),
        ("sweep: {rate: [0.1], words: [1]}", r"sweep: .*expected a list of strengths under one of rate, words"),
        ("sweep: {rate: [0.5, 1.5]}", r"sweep: .*expected rates in \[0, 1\] or numbers of words from 0"),
        ("sweep: {rate: [0.5, 0.5]}", r"sweep: .*expected strengths that differ"),
        ("sweep: {rate: [0.5]}\nstrength: {rate: 1}", r"expected one of strength, sweep"),
        ("positions: inner", r"positions: found 'inner'; expected 'interior', 'all' or 'ends'"),
        ("case: kep", r"case: found 'kep'; expected 'keep' or 'lower'.*Did you mean 'keep'"),
        ("no_op: sometimes", r"no_op: found 'sometimes'; expected 'never' or 'as_drawn'"),
        ("tasks: {cola: {words: {min_lenght: 3}}}", r"tasks.cola.words.min_lenght: .*Did you mean 'min_length'"),
        ("tasks: {cola: {layout: qwert}}", r"tasks.cola.layout: found 'qwert'; expected one of the keyboard layouts"),
        ("tasks: {cola: {strength: {rate: 1}}}", r"tasks.cola.strength: found unknown key 'strength'"),
        ("tasks: {cola: {operators: {}}}", r"tasks.cola.operators: found {}; expected at least one operator"),
        ("tasks: {cola: {operators: {dropp: {}}}}", r"tasks.cola.operators.dropp.*Did you mean 'drop'"),
    ],
)
def test_wrong_keys_and_values(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_suites(write(tmp_path, body), task="x")


@pytest.mark.parametrize(
    ("operators", "message"),
    [
        ("operators: {}", r"operators: found {}; expected at least one operator"),
        (
            "operators: {dorp: {}}",
            r"operators.dorp.*: found 'dorp'; expected one of the operators drop, .*Did you mean 'drop'",
        ),
        ("operators: {drop: {wieght: 2}}", r"operators.drop.wieght: .*Did you mean 'weight'"),
        ("operators: {drop: {weight: 0}}", r"operators.drop.weight: found 0; expected greater than 0"),
        ("operators: {drop: {tries: 0}}", r"operators.drop.tries: found 0"),
        ("", r"operators: found no such key"),
    ],
)
def test_wrong_operators(tmp_path: Path, operators: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_suites(write(tmp_path, "", operators=operators), task="x")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("strength: {words: 1000001}", r"strength.words: found 1000001; expected less than or equal to 1000000"),
        ("sweep: {words: [1, 1000001]}", r"sweep: .*expected rates in \[0, 1\] or numbers of words from 0 to 1000000"),
        ("words: {match: 'a{99999999999999999999}'}", r"words.match: .*expected a regular expression"),
        (f"words: {{match: '{'(' * 5000 + ')' * 5000}'}}", r"words.match: .*expected a regular expression"),
    ],
)
def test_numbers_and_expressions_out_of_bounds(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_suites(write(tmp_path, body), task="x")


def test_strength_asked_for_is_bounded() -> None:
    with pytest.raises(InputError, match="found strength '1000001'; expected a number of words from 0 to 1000000"):
        load_suites("pruthi_2019_random@1000001", task="cola")


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    body = "layout: qwert\nstrength: {rate: 2}\nwords: {match: '['}\ntasks: {cola: {case: kep}}"
    with pytest.raises(InputError, match="found 5 mistakes") as caught:
        load_suites(write(tmp_path, body, operators="operators: {dorp: {}}"), task="x")
    for part in ("layout:", "strength.rate:", "words.match:", "tasks.cola.case:", "'dorp'"):
        assert part in str(caught.value)


def test_a_suite_cannot_be_changed() -> None:
    (suite,) = load_suites("drop", task="qnli")
    with pytest.raises(ValidationError, match="frozen"):
        suite.alphabet = "german"  # type: ignore[misc]


def test_the_hash_follows_the_settings() -> None:
    (suite,) = load_suites("drop", task="qnli")
    assert suite.sha256 == load_suites("drop", task="cola")[0].sha256
    assert suite.sha256 != suite.model_copy(update={"alphabet": "german"}).sha256


def test_defaults_are_those_of_the_docstrings() -> None:
    file = SuiteFile.model_validate({"schema": 1, "description": "", "operators": {"drop": {}}})
    assert (file.positions, file.alphabet, file.layout, file.case, file.no_op) == (
        "interior",
        "english",
        "qwerty",
        "keep",
        "never",
    )
    assert (file.words.min_length, file.strength) == (1, Strength(rate=1.0))


HASHES = Path(__file__).resolve().parent / "cases" / "suite_hashes.json"


def test_hashes_of_published_suites_stay() -> None:
    """Records name suites by hash: a key that is new is left out of it where it has its default."""
    published = json.loads(HASHES.read_text(encoding="utf-8"))
    names = sorted({key.partition("/")[2].partition("@")[0] for key in published})
    now = {
        f"{task}/{suite.name}": suite.sha256
        for task in TASKS
        for name in names
        for suite in load_suites(name, task=task)
    }
    assert now == published


def test_new_keys_count_where_they_are_set(tmp_path: Path) -> None:
    (suite,) = load_suites("drop", task="qnli")
    assert "draw_among" not in suite.model_dump_json()
    assert "max_length" not in suite.operators["drop"].model_dump()
    rules = "{drop: {max_length: 3}}", "{drop: {positions: before}}", "{drop: {}}"
    hashes = set()
    for rule in rules:
        for more in ("", "draw_among: applicable"):
            path = write(tmp_path, more, operators=f"operators: {rule}")
            hashes.add(load_suites(path, task="x")[0].sha256)
    assert len(hashes) == 6


def test_dumped_suites_come_back() -> None:
    for name in ("charbert_nlm_2020", "drop", "pruthi_2019_random"):
        for suite in load_suites(name, task="qnli"):
            assert Suite.model_validate_json(suite.model_dump_json()) == suite


@pytest.mark.parametrize(
    ("operators", "message"),
    [
        ("operators: {drop: {max_length: 0}}", r"operators.drop.max_length: found 0; expected greater than or equal"),
        ("operators: {drop: {positions: befor}}", r"operators.drop.positions: found 'befor'; .*Did you mean 'before'"),
        ("operators: {drop: {}}\ndraw_among: some", r"draw_among: found 'some'; expected 'all' or 'applicable'"),
    ],
)
def test_wrong_limits_of_operators(tmp_path: Path, operators: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_suites(write(tmp_path, "", operators=operators), task="x")
