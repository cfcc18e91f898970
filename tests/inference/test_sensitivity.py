"""Sensitivity S of real models: against word by word reading, for every kind of encoder and family of tasks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from scipy.spatial.distance import cosine
from transformers import AutoModel, AutoTokenizer, DistilBertConfig, T5Config
from typer.testing import CliRunner

from robustbench_char.cli.main import app
from robustbench_char.common import InputError
from robustbench_char.inference.sensitivity import Sensitivity, sensitivity
from robustbench_char.inference.systems import load_system
from robustbench_char.records.sensitivity import find_sensitivities, read_profiles, read_words
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import open_source
from robustbench_char.text.corrections import Correction, replaced
from robustbench_char.training.finetune import finetune

pytestmark = pytest.mark.models


def measure(model: str, attacked: tuple[str, Path, Path], **options: Any) -> Sensitivity:
    task, clean, folder = attacked
    return sensitivity(model, task=task, input=clean, attacked=folder, progress=False, **options)


@pytest.mark.parametrize("base", ["tiny_base", "roberta"])
@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_as_read_word_by_word(
    base: str, pooling: Any, attacked: tuple[str, Path, Path], request: pytest.FixtureRequest
) -> None:
    """The oracle reads one text at a time and finds the pieces of a word by its place in the text."""
    folder = request.getfixturevalue(base)
    found = measure(folder, attacked, pooling=pooling, max_length=60)
    task = get_task(attacked[0], "task")
    files = attacked[1], next(path for path in attacked[2].iterdir() if path.name == attacked[1].name)
    clean, after = (list(open_source(task, input=path).examples()) for path in files)
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    if base == "roberta" and attacked[0] == "conll2003":
        tokenizer = AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
    checked = 0
    edits = pq.read_table(attacked[2] / "edits.parquet").to_pandas().groupby("row")
    edits = {row: part.to_dict("records") for row, part in edits}
    for line in found.words.itertuples():
        old, new = (one[line.row].fields for one in (clean, after))
        if attacked[0] == "conll2003":
            vectors = [_token(model, tokenizer, one["tokens"], line.word, pooling) for one in (old, new)]
        else:
            places = _places(old[line.field], line.word, edits[line.row], line.field)
            vectors = [
                _span(model, tokenizer, one["question"], one["sentence"], line.field, place, pooling)
                for one, place in zip((old, new), places, strict=True)
            ]
        if any(vector is None for vector in vectors):
            assert np.isnan(line.distance)
            continue
        assert line.distance == pytest.approx(cosine(*vectors), abs=1e-6)
        checked += 1
    assert checked > 20
    assert found.record.group("all", "all").words == found.words["distance"].notna().sum()  # type: ignore[union-attr]


def _states(model: Any, encoding: Any) -> np.ndarray:
    with torch.inference_mode():
        return model(**encoding).last_hidden_state[0].double().numpy()


def _pool(states: np.ndarray, pieces: list[int], pooling: str) -> np.ndarray | None:
    return None if not pieces else states[pieces[0]] if pooling == "first" else states[pieces].mean(0)


def _token(model: Any, tokenizer: Any, words: Any, word: int, pooling: str) -> np.ndarray | None:
    encoding = tokenizer(list(words), is_split_into_words=True, return_tensors="pt", truncation=True, max_length=60)
    pieces = [place for place, owner in enumerate(encoding.word_ids()) if owner == word]
    return _pool(_states(model, encoding), pieces, pooling)


def _span(
    model: Any, tokenizer: Any, first: str, second: str, field: str, span: tuple[int, int], pooling: str
) -> np.ndarray | None:
    encoding = tokenizer(first, second, return_tensors="pt", truncation="longest_first", max_length=60)
    wanted = 0 if field == "question" else 1
    offsets = encoding.encodings[0].offsets
    pieces = [
        place
        for place, owner in enumerate(encoding.sequence_ids())
        if owner == wanted
        and (
            offsets[place] == (span[0], span[0])  # the space before it, where that is a piece of its own
            or (span[0] - 1 <= offsets[place][0] < span[1] and offsets[place][1] > span[0])
        )
    ]
    return _pool(_states(model, encoding), pieces, pooling)


def _places(text: str, word: int, edits: list[dict[str, Any]], field: str) -> list[tuple[int, int]]:
    """Return where a word stands before and after, by our own splitter's numbers and the ledger's places."""
    from robustbench_char.attacks.eligibility import find_words
    from robustbench_char.attacks.suites import load_suites
    from robustbench_char.text.columns import Column

    words = find_words(Column.of([text]), load_suites("mixed", task="qnli")[0].words, False)
    start, end = int(words.starts[word]), int(words.ends[word])
    own = [edit for edit in edits if edit["field"] == field]
    before = sum(len(edit["inserted"]) - len(edit["removed"]) for edit in own if edit["start_clean"] < start)
    within = sum(len(edit["inserted"]) - len(edit["removed"]) for edit in own if start <= edit["start_clean"] < end)
    return [(start, end), (start + before, end + before + within)]


@pytest.mark.parametrize("kind", ["distilbert", "t5"])
def test_encoders_of_other_types(kind: str, tiny_base: str, attacked: tuple[str, Path, Path], tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base, model_input_names=["input_ids", "attention_mask"])
    size = {"vocab_size": len(tokenizer), "hidden_size": 16}
    config: Any = (
        DistilBertConfig(**size, dim=16, n_layers=1, n_heads=2, hidden_dim=16)
        if kind == "distilbert"
        else T5Config(vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModel.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    found = measure(str(tmp_path), attacked).record.group("changed", "changed")
    assert found is not None
    assert found.s is not None
    assert 0 < found.s < 2
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="found a tokenizer without a token for padding"):
        measure(str(tmp_path), attacked)


def test_batches_and_padding_change_nothing(tiny_base: str, attacked: tuple[str, Path, Path]) -> None:
    one, other = (measure(tiny_base, attacked, batch_size=size).words["distance"] for size in (1, 32))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_defence_sees_a_whole_file_at_once(
    tiny_base: str, attacked: tuple[str, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clean and attacked examples are two files, however many are read at a time."""
    calls: list[int] = []

    class Still:
        def correct(self, sentences: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
            calls.append(len(sentences))
            return sentences

        def correct_texts(self, texts: Sequence[str]) -> list[Correction]:
            calls.append(len(texts))
            return [replaced(text, [], []) for text in texts]

    monkeypatch.setattr("robustbench_char.inference.sensitivity._CHUNK", 3)
    monkeypatch.setattr("robustbench_char.inference.sensitivity.open_defence", lambda name: Still())
    behind, plain = measure(tiny_base, attacked, defence="still"), measure(tiny_base, attacked)
    assert len(calls) == 2
    assert min(calls) > 3
    pd.testing.assert_frame_equal(behind.words, plain.words, check_exact=False, atol=1e-5)


def test_words_follow_the_ledger(tiny_base: str, attacked: tuple[str, Path, Path]) -> None:
    found = measure(tiny_base, attacked, profile=["0"]).words
    assert (found["operator"] != "").equals(found["changed"])
    assert found["changed"].any()
    assert not found["changed"].all()
    profile = measure(tiny_base, attacked, profile=["0"]).profiles[0]
    assert [one.word != one.attacked for one in profile.words] == found.loc[found["row"] == 0, "changed"].tolist()


def test_a_context_is_matched_for_every_question_on_it(tiny_base: str, tmp_path: Path) -> None:
    context = "The  house (was) black.\nAnna \U0001f600 lives in Oslo; Karl's boat went to Berlin."
    questions = [{"id": f"q{place}", "question": text, "is_impossible": False,
                  "answers": [{"text": "Oslo", "answer_start": context.index("Oslo")}]}
                 for place, text in enumerate(("Where does Anna live?", "What was black?"))]  # fmt: skip
    clean, folder = tmp_path / "dev.json", tmp_path / "attacked"
    held = [{"title": "t", "paragraphs": [{"context": context, "qas": questions}]}]
    clean.write_text(json.dumps({"version": "v2.0", "data": held}))
    command = ["attack", "squad_v2", "--input", str(clean), "--suite", "mixed", "--output", str(folder)]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    found = measure(tiny_base, ("squad_v2", clean, folder), profile=["q0", "q1"])
    ledger = pq.read_table(folder / "edits.parquet").to_pylist()
    for row, profile in enumerate(found.profiles):
        words = found.words[found.words["row"] == row]
        hit = {(edit["field"], edit["word"]): (edit["word_before"], edit["word_after"], edit["operator"])
               for edit in ledger if edit["field"] == "context" or edit["row"] == row}  # fmt: skip
        read = {
            (line.field, line.word): (one.word, one.attacked, line.operator)
            for line, one in zip(words.itertuples(), profile.words, strict=True)
        }
        assert {place: word for place, word in read.items() if word[0] != word[1]} == hit
        assert [one for one in profile.words if one.word == "Anna" or one.word == "Oslo"]
        assert {field for field, _ in read} == {"question", "context"}


def test_texts_that_the_attack_left_alone_do_not_move(tiny_base: str, ner_text: str, tmp_path: Path) -> None:
    clean = tmp_path / "test.txt"
    clean.write_text(ner_text, encoding="utf-8")
    command = ["attack", "conll2003", "--input", str(clean), "--suite", "mixed@0", "--output", str(tmp_path / "a")]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    found = measure(tiny_base, ("conll2003", clean, tmp_path / "a"))
    assert found.words["distance"].tolist() == [0.0] * len(found.words)


def test_words_beyond_the_limit_are_counted_and_left_out(tiny_base: str, attacked: tuple[str, Path, Path]) -> None:
    whole = measure(tiny_base, attacked).record.group("all", "all")
    cut = measure(tiny_base, attacked, max_length=12).record.group("all", "all")
    assert whole is not None
    assert cut is not None
    assert cut.left_out > whole.left_out
    assert cut.words + cut.left_out == whole.words + whole.left_out


def test_streams_of_charbert(pretrain_tiny: Callable[..., Path], attacked: tuple[str, Path, Path]) -> None:
    folder = str(pretrain_tiny("charbert", steps=1))
    both, words, characters = (
        measure(folder, attacked, stream=stream).words["distance"] for stream in ("both", "subword", "character")
    )
    assert not np.allclose(words, characters)
    assert ((both - words) * (both - characters) <= 1e-9).mean() > 0.5  # a mean of two, weighed by length
    assert measure(folder, attacked, stream="character").record.stream == "character"


def test_a_system_of_another_task(
    make_file: Any, train_tiny: Callable[..., Path], attacked: tuple[str, Path, Path]
) -> None:
    with pytest.raises(InputError, match=r"--task: found .*expected names, which the system was fine-tuned on"):
        measure(str(train_tiny("tagging", make_file("tagging"), epochs=0.1)), attacked)


def test_a_saved_system_is_read_without_its_head(
    tiny_base: str, attacked: tuple[str, Path, Path], tmp_path: Path
) -> None:
    task = get_task(attacked[0], "task")
    options: Any = {"epochs": 1, "max_length": 40, "precision": "fp32"}
    folder = finetune(task, train=attacked[1], output=tmp_path / "system", base=tiny_base, store=tmp_path / "store",
                      progress=False, **options).folder  # fmt: skip
    system = load_system(folder)
    system.model.base_model.save_pretrained(tmp_path / "encoder")
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(tmp_path / "encoder")
    found, plain = measure(str(folder), attacked), measure(str(tmp_path / "encoder"), attacked, max_length=40)
    np.testing.assert_allclose(found.words["distance"], plain.words["distance"], atol=1e-6)
    assert found.record.system is not None
    assert found.record.system.weights_sha256 == system.file.weights_sha256
    assert found.record.max_length == 40
    assert plain.record.model is not None
    assert (plain.record.shown, plain.record.system) == ("encoder", None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": 3}, "--layer: found 3; expected a number from -3 to 2"),
        ({"max_length": 500}, "max_length=: found 500; expected at least 8 and at most 64"),
        ({"stream": "character"}, "--stream: found the character stream of a model of the type bert"),
        ({"profile": ["no-such-id"]}, "--profile: found no-such-id"),
    ],
)
def test_what_the_model_does_not_have(
    options: Any, message: str, tiny_base: str, attacked: tuple[str, Path, Path]
) -> None:
    with pytest.raises(InputError, match=message):
        measure(tiny_base, attacked, **options)


def test_files_that_do_not_belong_together(tiny_base: str, attacked: tuple[str, Path, Path], tmp_path: Path) -> None:
    task, clean, folder = attacked
    other = tmp_path / clean.name
    other.write_text(clean.read_text() + ("\nx O\n" if task == "conll2003" else "9\ta ?\tb\tentailment\n"))
    with pytest.raises(InputError, match=r"--input: found another file than the one that was attacked"):
        measure(tiny_base, (task, other, folder))
    with pytest.raises(InputError, match=r"found no manifest\.json"):
        measure(tiny_base, (task, clean, tmp_path))
    with pytest.raises(InputError, match=r"--attacked: found an attacked set of"):
        measure(tiny_base, ("mrpc", clean, folder))


@pytest.mark.parametrize("name", ["edits.parquet", "the attacked file"])
def test_files_that_were_altered(name: str, tiny_base: str, attacked: tuple[str, Path, Path], tmp_path: Path) -> None:
    task, clean, folder = attacked
    other = Path(shutil.copytree(folder, tmp_path / "attacked"))
    path = other / (clean.name if name == "the attacked file" else name)
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(InputError, match=rf"{path.name}: found SHA-256 .*altered after the attack"):
        measure(tiny_base, (task, clean, other))
    path.unlink()
    with pytest.raises(InputError, match=rf"{path.name}: found no such file"):
        measure(tiny_base, (task, clean, other))


def test_the_command(tiny_base: str, attacked: tuple[str, Path, Path], tmp_path: Path) -> None:
    task, clean, folder = attacked
    command = ["sensitivity", tiny_base, "--task", task, "--input", str(clean), "--attacked", str(folder)]
    told = CliRunner().invoke(app, [*command, "--output", str(tmp_path / "out"), "--profile", "1"])
    assert "S of tiny-bert" in told.output
    ((where, record),) = find_sensitivities([tmp_path])
    table = read_words(where, record)
    assert table is not None
    assert [one.id for one in read_profiles(where)] == ["1"]
    said = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert said["summary"] == json.loads(record.model_dump_json())["summary"]
