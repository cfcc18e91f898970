"""A recogniser in front of a system: what the encoder reads, where answers stand, and when one is trained anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from robustbench_char.common import InputError
from robustbench_char.defences.wordrec import RecogniserSettings
from robustbench_char.inference.systems import load_system
from robustbench_char.metrics.base import QaPrediction
from robustbench_char.models.bert import BertSystem
from robustbench_char.tasks.base import Task
from robustbench_char.text.corrections import Correction, replaced
from robustbench_char.training.finetune import finetune, trained_defence

pytestmark = pytest.mark.models

ANSWERS = {"hs": "house", "grreeeen": "green", "teh": "the", "colr": "colour", "berlinnn": "berlin"}


class Fixed:
    """Corrects by a table, or every word to `always`."""

    def __init__(self, always: str | None = None) -> None:
        self.always = always

    def correct(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        return [[self.always or ANSWERS.get(word, word) for word in words] for words in sentences]

    def correct_texts(self, texts: Sequence[str]) -> list[Correction]:
        found = []
        for text in texts:
            spans, at = [], 0
            for word in text.split():
                at = text.index(word, at)
                spans.append((at, at := at + len(word)))
            found.append(replaced(text, spans, self.correct([text.split()])[0]))
        return found


FIXED: Any = Fixed()
GIVEN = "cafe\u0301 \U0001f600 \ud800 teh  hs is grreeeen in berlinnn and teh boat is in oslo"
RIGHT = "cafe\u0301 \U0001f600 \ud800 the  house is green in berlin and the boat is in oslo"


def systems(base: str, *, words: bool = False) -> tuple[BertSystem, BertSystem]:
    """Return a system behind the table, and one that reads texts as given."""
    return BertSystem.open(Path(base), words=words, defence=FIXED), BertSystem.open(Path(base), words=words)


def reads(windows: Any) -> list[dict[str, list[int]]]:
    return [{name: values.tolist() for name, values in window.inputs.items()} for window in windows]


def table() -> list[tuple[int, int]]:
    """Return, for each character of RIGHT, the span of GIVEN that it stands for."""
    spans: list[tuple[int, int]] = []
    given = 0
    for good, bad in zip(RIGHT.split(" "), GIVEN.split(" "), strict=True):
        same = good == bad
        spans += [(given + at, given + at + 1) if same else (given, given + len(bad)) for at in range(len(good))]
        given += len(bad)
        spans.append((given, given + 1))  # the space
        given += 1
    return spans[:-1]


@pytest.fixture(params=["tiny_base", "roberta"])
def base(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def test_the_encoder_reads_corrected_texts_and_words(base: str) -> None:
    behind, plain = systems(base)
    found = behind.text_windows(["teh hs"], [GIVEN], max_length=64)
    assert reads(found) == reads(plain.text_windows(["the house"], [RIGHT], max_length=64))
    assert reads(behind.text_windows([GIVEN], None, max_length=64)) == reads(
        plain.text_windows([RIGHT], None, max_length=64)
    )
    behind, plain = systems(base, words=True)
    (one,) = behind.word_windows([["teh", "", "hs", "grreeeen"]], max_length=64)
    (other,) = plain.word_windows([["the", "", "house", "green"]], max_length=64)
    assert reads([one]) == reads([other])
    assert one.words.tolist() == other.words.tolist()


def test_offsets_count_in_the_context_as_given(base: str) -> None:
    behind, plain = systems(base)
    options = {"max_length": 16, "stride": 2, "max_question": 6}
    found = list(behind.context_windows(["what colr", "hs"], [GIVEN, "karl"], **options))
    right = list(plain.context_windows(["what colour", "house"], [RIGHT, "karl"], **options))
    assert reads(found) == reads(right)
    assert len(found) > 2  # several windows over the first context
    for one, other in zip(found, right, strict=True):
        sources = table() if one.row == 0 else [(place, place + 1) for place in range(len("karl"))]
        for (start, end), (from_, to) in zip(one.offsets.tolist(), other.offsets.tolist(), strict=True):
            if from_ < 0:
                assert (start, end) == (from_, to)
            elif from_ < to:
                assert (start, end) == (sources[from_][0], sources[to - 1][1])


def test_a_defence_sees_all_texts_of_a_file_in_one_call(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[Any]] = []

    class Listening(Fixed):
        def correct(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
            calls.append(list(sentences))
            return super().correct(sentences)

        def correct_texts(self, texts: Sequence[str]) -> list[Correction]:
            calls.append(list(texts))
            return [replaced(text, [], []) for text in texts]

    monkeypatch.setattr("robustbench_char.models.system._CHUNK", 2)
    listening: Any = Listening()
    behind = BertSystem.open(Path(base), words=False, defence=listening)
    rows = [one.row for one in behind.text_windows(["a", "b", "a", "c", "d"], ["e"] * 5, max_length=16)]
    assert rows == [0, 1, 2, 3, 4]
    list(behind.context_windows(["a", "b", "c"], ["a"] * 3, max_length=16, stride=2, max_question=6))
    words = BertSystem.open(Path(base), words=True, defence=listening)
    assert [one.row for one in words.word_windows([["teh"], ["a", "b"], ["teh"]], max_length=16)] == [0, 1, 2]
    assert calls == [["a", "b", "c", "d", "e"], ["a", "b", "c"], [("teh",), ("a", "b")]]


def test_answers_are_spans_of_the_context_as_given(make_file: Any, train_tiny: Any) -> None:
    file = make_file("question_answering")
    system = load_system(train_tiny("question_answering", file, epochs=1, max_length=64))
    system.kind.defence = Fixed("extraordinarily")  # type: ignore[assignment]
    for example, said in zip(file.held, system.predict(file.held, progress=False).values, strict=True):
        assert isinstance(said, QaPrediction)
        assert said.best_text
        assert f" {said.best_text} " in f" {example.fields['context']} "  # whole words of the text as given


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = RecogniserSettings(epochs=1, hidden_size=4)
    monkeypatch.setattr("robustbench_char.training.finetune.RecogniserSettings", lambda: settings)


def test_a_recogniser_is_found_again(
    tasks: dict[str, Task], make_file: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    task, file, store = tasks["tagging"], make_file("tagging", 40), tmp_path / "store"

    def get(sha256: str, limit: int | None) -> Any:
        return trained_defence("wordrec", store, task, file, sha256, limit=limit, progress=False)

    first = get("a", None)
    (folder,) = (store / "recognisers").iterdir()
    before = (folder / "recogniser.json").stat().st_mtime_ns
    again = get("a", None)
    assert again.file == first.file
    assert (folder / "recogniser.json").stat().st_mtime_ns == before
    fewer = get("a", 25)
    assert fewer.file.training is not None
    assert first.file.training is not None
    assert fewer.file.training["train_words"] < first.file.training["train_words"]
    get("b", None)
    assert len(list((store / "recognisers").iterdir())) == 3


def test_too_few_sentences_for_a_recogniser(make_file: Any, train_tiny: Any) -> None:
    with pytest.raises(InputError, match="found 12 sentences; expected at least 20"):
        train_tiny("tagging", make_file("tagging", 12), system="bert_wordrec")


def test_examples_in_memory_need_a_recogniser(
    tasks: dict[str, Task], make_file: Any, tiny_base: str, tmp_path: Path
) -> None:
    options: Any = {"system": "bert_wordrec", "base": tiny_base, "store": tmp_path / "store", "progress": False}
    with pytest.raises(InputError, match="defence=: found none, for the system bert_wordrec and examples in mem"):
        finetune(tasks["tagging"], train=make_file("tagging").held, train_sha256="a", **options)


def test_the_earlier_name_of_the_option(
    tasks: dict[str, Task], make_file: Any, tiny_base: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options: Any = {"train": make_file("tagging"), "base": tiny_base, "store": tmp_path, "progress": False}
    with pytest.raises(InputError, match=r"--defence: found no folder spel; .*Did you mean 'spell'"):
        finetune(tasks["tagging"], recogniser="spel", **options)
    assert "`recogniser` is called `defence` now" in caplog.text
    with pytest.raises(InputError, match="recogniser=: found two defences; expected one, by `defence=`"):
        finetune(tasks["tagging"], recogniser="spell", defence="channel", **options)


def test_records_name_the_recogniser(
    tasks: dict[str, Task], make_file: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    recogniser: Any = trained_defence(
        "wordrec", tmp_path, tasks["tagging"], make_file("tagging", 40), "a", limit=None, progress=False
    )
    info = recogniser.info
    assert (info.suites, info.settings["backoff"], info.edits) == (("mixed",), "pass_through", 1)
    assert info.settings["vocabulary"] == len(recogniser.file.words)
    assert info.parameters == recogniser.parameters
    assert info.sha256 == recogniser.file.weights_sha256
    assert info.operators
    for training in (None, {"settings": {}}):
        recogniser.file = recogniser.file.model_copy(update={"training": training})
        with pytest.raises(InputError, match="defence=: found a recogniser without record of its training"):
            _ = recogniser.info
