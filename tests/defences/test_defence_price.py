"""The price of a recogniser, on corrections that are known beforehand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from robustbench_char.attack_sets.attack import attack_file
from robustbench_char.attacks.suites import load_suites
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.inference.defence_price import defence_price, word_price
from robustbench_char.metrics.tagging import word_errors
from robustbench_char.records.defence_price import EARLIER_PRICE, PRICE, find_prices
from robustbench_char.records.evaluation import DefenceInfo
from robustbench_char.tasks.base import Example, Task
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import open_source
from robustbench_char.text.corrections import Correction, replaced

ANSWERS = {"qiuck": "quick", "Paris": "pairs", "fxo": "fax", "The": "the"}


class Fixed:
    """Corrects by a table."""

    info = DefenceInfo(kind="wordrec", name="wordrec", sha256="5" * 64, parameters=9)

    def correct(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        return [[ANSWERS.get(word, word) for word in words] for words in sentences]

    def correct_texts(self, texts: Sequence[str]) -> list[Correction]:
        found = []
        for text in texts:
            spans, at = [], 0
            for word in text.split():
                at = text.index(word, at)
                spans.append((at, at + len(word)))
                at += len(word)
            found.append(replaced(text, spans, self.correct([text.split()])[0]))
        return found


RECOGNISER: Any = Fixed()


def tagged(row: int, *words: str, tags: tuple[str, ...]) -> Example:
    return Example(row, str(row), str(row), {"tokens": words}, tags)


def test_price_of_a_tagging_task(tasks: dict[str, Task]) -> None:
    tags = ("O", "O", "B-LOC", "O")
    clean = [tagged(0, "The", "quick", "Paris", "fox", tags=tags), tagged(1, "Anna", tags=("B-PER",))]
    bad = [tagged(0, "The", "qiuck", "Prais", "fxo", tags=tags), tagged(1, "Anna", tags=("B-PER",))]
    price, speed = word_price(RECOGNISER, clean, bad, tasks["tagging"])
    assert speed > 0
    assert price.model_dump() == {
        "wer_before": 60.0,  # qiuck, Prais, fxo of five words
        "wer_after": 40.0,  # Prais, fax
        "wer_before_cased": 60.0,
        "wer_after_cased": 60.0,  # and The
        "clean_changed": 20.0,  # Paris
        "clean_changed_cased": 40.0,  # and The
        "entity_changed": 50.0,
        "entity_before": 50.0,  # Prais of Paris and Anna
        "entity_after": 50.0,
        "words": 5,
        "entity_words": 2,
        "examples": 2,
    }


def test_price_of_texts(tasks: dict[str, Task]) -> None:
    def example(row: int, text: str) -> Example:
        return Example(row, str(row), str(row), {"sentence": text}, "yes")

    clean = [example(0, "The quick  fox"), example(1, "The quick  fox"), example(2, "Paris")]
    bad = [example(0, "The qiuck  fox"), example(1, "The qiuck  fox"), example(2, "Paris")]
    price, _ = word_price(RECOGNISER, clean, bad, tasks["classification"])
    assert (price.words, price.entity_words, price.entity_changed) == (4, 0, None)  # equal texts count once
    assert (price.wer_before, price.wer_after, price.clean_changed) == (25.0, 25.0, 25.0)


def test_no_words_have_no_share() -> None:
    assert word_errors([], []) is None
    assert word_errors([["A"]], [["a"]]) == 0
    assert word_errors([["A"]], [["a"]], cased=True) == 100


def test_refuses_other_examples(tasks: dict[str, Task]) -> None:
    clean = [tagged(0, "a", tags=("O",))]
    with pytest.raises(InputError, match="found 0 examples, beside 1 clean ones"):
        word_price(RECOGNISER, clean, [], tasks["tagging"])
    with pytest.raises(InputError, match="found a text of 2 words whose clean version has 1"):
        word_price(RECOGNISER, clean, [tagged(0, "a", "b", tags=("O", "O"))], tasks["tagging"])


@pytest.fixture
def attack(tmp_path: Path) -> tuple[Task, Path, Path]:
    task = get_task("conll2003")
    clean = tmp_path / "test.txt"
    clean.write_text("Anna NNP O B-PER\nwatches VBZ O O\nwindows NNS O O\n\n")
    (suite,) = load_suites("mixed", task=task.name)
    attack_file(task, open_source(task, input=clean), suite=suite, seed=0, output=tmp_path / "attacked")
    return task, clean, tmp_path / "attacked"


@pytest.fixture
def trained() -> Any:
    return RECOGNISER


def test_the_price_is_kept_with_what_it_was_measured_on(
    attack: tuple[Task, Path, Path], trained: Any, tmp_path: Path
) -> None:
    task, clean, folder = attack
    output = tmp_path / "kept"
    made = defence_price(trained, task=task, input=clean, attacked=folder, output=output)
    assert (made.errors.wer_before, made.errors.words, made.errors.entity_words) == (100.0, 3, 1)
    assert (made.task, made.source, made.attack.suite) == ("conll2003", "test.txt", "mixed")
    assert made.clean_sha256 == sha256_file(clean)
    assert find_prices([tmp_path]) == [made]
    assert "Anna" not in (output / PRICE).read_text()
    defence_price(trained, task=task, input=clean, attacked=folder, output=output)
    assert find_prices([tmp_path]) == [made]  # the first stays where only the time differs
    other = json.loads((output / PRICE).read_text()) | {"source": "dev.txt"}
    (output / PRICE).write_text(json.dumps(other))
    with pytest.raises(InputError, match="an output folder with other content"):
        defence_price(trained, task=task, input=clean, attacked=folder, output=output)
    defence_price(trained, task=task, input=clean, attacked=folder, output=output, overwrite=True)
    assert [price.source for price in find_prices([tmp_path])] == ["test.txt"]


def test_prices_of_other_versions(attack: tuple[Task, Path, Path], trained: Any, tmp_path: Path) -> None:
    task, clean, folder = attack
    output = tmp_path / "kept"
    made = defence_price(trained, task=task, input=clean, attacked=folder, output=output)
    (output / PRICE).rename(output / EARLIER_PRICE)
    older = json.loads((output / EARLIER_PRICE).read_text())
    older.pop("words_per_second")
    older["recogniser"] = older.pop("defence")
    (output / EARLIER_PRICE).write_text(json.dumps(older))
    (price,) = find_prices([tmp_path])
    assert (price.defence, price.words_per_second) == (made.defence, None)
    (output / EARLIER_PRICE).unlink()
    newer = older | {"schema": 2}
    (output / PRICE).write_text(json.dumps(newer))
    with pytest.raises(InputError, match=r"defence_price\.json: schema: found 2, of a newer version"):
        find_prices([tmp_path])


def test_refuses_another_attack(attack: tuple[Task, Path, Path], trained: Any, tmp_path: Path) -> None:
    task, clean, folder = attack

    def measure(folder: Path = folder, task: Task = task, clean: Path = clean) -> None:
        defence_price(trained, task=task, input=open_source(get_task("conll2003"), input=clean), attacked=folder)

    other = tmp_path / "other.txt"
    other.write_text("Karl NNP O B-PER\n\n")
    with pytest.raises(InputError, match="found another file than the one that was attacked"):
        measure(clean=other)
    with pytest.raises(InputError, match="found an attacked set of conll2003; expected one of ptb_pos"):
        measure(task=get_task("ptb_pos"))
    with pytest.raises(InputError, match=r"no manifest\.json"):
        measure(folder=tmp_path)
    (folder / "test.txt").write_text("Anna NNP O B-PER\n\n")
    with pytest.raises(InputError, match="The file was altered after the attack"):
        measure()
