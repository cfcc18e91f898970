"""Evaluation: record and predictions, on clean and attacked files; what cannot be scored is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from robustbench_char.attack_sets.attack import ANSWER_COLUMNS
from robustbench_char.attack_sets.manifest import Counts, FileInfo, Manifest, StrengthInfo, write_manifest
from robustbench_char.attacks.ledger import LEDGER_COLUMNS, ledger_schema
from robustbench_char.attacks.suites import load_suites
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.common.provenance import provenance
from robustbench_char.inference.evaluate import evaluate
from robustbench_char.inference.systems import StoredPredictions, load_system, predict_file
from robustbench_char.metrics.base import METRICS, QaGold, QaPrediction, score
from robustbench_char.records.counts import cell_counts
from robustbench_char.records.evaluation import read_counts, read_predictions, read_record
from robustbench_char.records.readable import READABLE_COLUMNS
from robustbench_char.tasks.base import Answer, Example, Task

pytestmark = pytest.mark.models


def test_record_and_predictions(make_file: Any, train_tiny: Any, tmp_path: Path) -> None:
    file = make_file("tagging")
    folder = train_tiny("tagging", file)
    record = evaluate(load_system(folder), file, output=tmp_path / "out", progress=False).record
    assert read_record(tmp_path / "out" / "record.json") == record
    assert (record.task, record.family, record.condition, record.headline) == ("names", "tagging", "clean", "f1")
    assert (record.data.source, record.data.sha256) == ("data.txt", sha256_file(file.path))
    assert record.system.base == "tiny-bert"
    assert record.system.parameters == sum(weight.numel() for weight in load_system(folder).model.parameters())
    assert (record.system.training_seed, record.system.settings["learning_rate"]) == (0, 3e-3)
    assert (record.clean_gold_scores, record.task_note) == (None, None)
    expected = score(
        "entity_f1", [one.label for one in file.held], load_system(folder).predict(file.held, progress=False).values
    )
    assert record.scores == expected.scores
    table = read_predictions(tmp_path / "out", record)
    assert table is not None
    assert table["id"].tolist() == [one.id for one in file.held]
    assert json.loads(table["fields"][3]) == {"tokens": list(file.held[3].fields["tokens"])}
    assert json.loads(table["gold"][3]) == list(file.held[3].label)
    assert len(json.loads(table["prediction"][3])) == len(file.held[3].label)
    assert table["score"].tolist() == expected.per_example
    assert set(table["edits"]) == {"[]"}
    counts = read_counts(tmp_path / "out", record)
    assert counts is not None
    sums = cell_counts(counts, table["row"].tolist()).sum(0)
    assert METRICS.get("entity_f1").score(sums) == pytest.approx(record.scores["f1"])
    assert set(counts["dimension"]) == {"all", "pieces", "entity_type", "word_length", "text_length"}


def test_the_result_holds_scores_interval_and_predictions(make_file: Any, train_tiny: Any, tmp_path: Path) -> None:
    file = make_file("tagging")
    result = evaluate(load_system(train_tiny("tagging", file, epochs=1)), file, progress=False)
    assert result.scores == result.record.scores
    found = result.interval("f1")
    assert found == result.interval()
    assert found.value == pytest.approx(result.scores["f1"])
    assert found.note or found.low <= found.value <= found.high
    assert result.interval("recall").value == pytest.approx(result.scores["recall"])
    with pytest.raises(InputError, match=r"score: found 'f2'; expected one of .*f1"):
        result.interval("f2")
    assert result.save(str(tmp_path / "o")) == tmp_path / "o"
    table = read_predictions(tmp_path / "o", read_record(tmp_path / "o" / "record.json"))
    pd.testing.assert_frame_equal(table, result.predictions)
    with pytest.raises(InputError, match="in the output folder"):
        result.save(file.path.parent, overwrite=True)


def test_the_result_as_tables_and_in_a_few_lines(make_file: Any, train_tiny: Any) -> None:
    file = make_file("tagging")
    result = evaluate(load_system(train_tiny("tagging", file, epochs=1)), file, progress=False)
    frame = result.frame()
    assert tuple(frame.columns) == READABLE_COLUMNS
    assert frame["text"][3] == " ".join(file.held[3].fields["tokens"])
    assert frame["gold"][3] == list(file.held[3].label)
    wrong = result.examples("wrong", most=None)
    assert len(wrong) + len(result.examples("right", most=None)) == len(frame)
    assert wrong["score"].is_monotonic_increasing
    assert result.examples("failed").empty
    with pytest.raises(InputError, match=r"outcome: found 'wrog'; .*Did you mean 'wrong'"):
        result.examples("wrog")
    assert repr(result).startswith("Evaluation of bert on names, clean\n")
    assert "<td>f1</td>" in result._repr_html_()


def test_predicting_and_scoring_in_two_steps(make_file: Any, train_tiny: Any, tmp_path: Path) -> None:
    file = make_file("question_answering")
    folder, predicted = train_tiny("question_answering", file, epochs=1), tmp_path / "predicted"
    predict_file(folder, file, predicted, limit=5, progress=False)
    stored = StoredPredictions(folder, predicted, label="later")
    record = evaluate(stored, file, limit=stored.limit).record
    once = evaluate(load_system(folder), file, limit=5, progress=False).record
    assert record.system == once.system.model_copy(update={"label": "later"})
    for name in ("scores", "counts", "data", "predictions_sha256", "counts_sha256", "device"):
        assert getattr(record, name) == getattr(once, name)
    with pytest.raises(InputError, match=r"predicted\.json: found predictions of another system, or on another file"):
        evaluate(stored, make_file("question_answering", 4, name="other.txt"))
    other = train_tiny("question_answering", file, name="other", seed=1, epochs=1)
    with pytest.raises(InputError, match="expected the predictions of this system on this file"):
        StoredPredictions(other, predicted)
    (predicted / "predicted.parquet").write_bytes(b"")
    with pytest.raises(InputError, match=r"predicted\.parquet: found a missing or altered file"):
        StoredPredictions(folder, predicted)


def test_without_output_nothing_is_written(make_file: Any, train_tiny: Any, tmp_path: Path) -> None:
    file = make_file("classification")
    folder = train_tiny("classification", file)
    before = sorted(tmp_path.rglob("*"))
    record = evaluate(load_system(folder), file, progress=False).record
    assert sorted(tmp_path.rglob("*")) == before
    kept = evaluate(load_system(folder), file, output=tmp_path / "o", progress=False).record
    assert kept.predictions_sha256 == record.predictions_sha256


def test_truncated_words_count_as_errors(make_file: Any, train_tiny: Any) -> None:
    long = Example(0, "x", "k", {"tokens": ("anna",) * 40}, ("B-PER",) * 40)
    folder = train_tiny("tagging", make_file("tagging", held=(long,) * 8), epochs=8)
    record = evaluate(load_system(folder), make_file("tagging", held=(long,), name="test.txt"), progress=False).record
    assert record.counts["truncated_words"] == 10  # of 32 pieces two are special
    assert record.counts["truncated_examples"] == 1
    assert record.scores["recall"] == 75.0


def test_questions_keep_text_and_odds(make_file: Any, train_tiny: Any, tmp_path: Path) -> None:
    file = make_file("question_answering")
    system = load_system(train_tiny("question_answering", file))
    record = evaluate(system, file, output=tmp_path / "o", progress=False).record
    table = read_predictions(tmp_path / "o", record)
    assert table is not None
    assert json.loads(table["gold"][0]) == []
    assert json.loads(table["gold"][1]) == [file.held[1].answers[0].text]
    assert set(json.loads(table["prediction"][1])) == {"text", "best_text", "null_odds"}
    assert record.counts["unanswerable"] == 6


def test_same_evaluation_is_kept_and_another_needs_overwrite(make_file: Any, train_tiny: Any, tmp_path: Path) -> None:
    file, out = make_file("classification"), tmp_path / "o"
    folder = train_tiny("classification", file)
    evaluate(load_system(folder), file, output=out, progress=False)
    stamp = (out / "record.json").stat().st_mtime_ns
    evaluate(load_system(folder), file, output=out, progress=False)
    assert (out / "record.json").stat().st_mtime_ns == stamp
    other = train_tiny("classification", file, name="other", seed=1)
    with pytest.raises(InputError, match=r"or the record of this very evaluation.*--overwrite"):
        evaluate(load_system(other), file, output=out, progress=False)
    record = evaluate(load_system(other), file, output=out, overwrite=True, progress=False).record
    assert read_record(out / "record.json").system == record.system


def test_unlabelled_and_unknown_labels(make_file: Any, train_tiny: Any) -> None:
    file = make_file("classification")
    folder = train_tiny("classification", file, epochs=1)
    bare = make_file("classification", held=(*file.held[:2], file.held[2]._replace(label=None)), name="test.txt")
    with pytest.raises(InputError, match=r"test\.txt: row 2 \(id liking-2\): found an example without label"):
        evaluate(load_system(folder), bare)
    odd = make_file("classification", held=(file.held[0]._replace(label="maybe"),), name="odd.txt")
    with pytest.raises(InputError, match=r"odd\.txt: row 0 .*the label 'maybe'; expected a label .*: no, yes"):
        evaluate(load_system(folder), odd)
    with pytest.raises(InputError, match="found no examples"):
        evaluate(load_system(folder), make_file("classification", held=(), name="none.txt"))


def test_rare_unseen_tags_are_errors_and_many_are_refused(make_file: Any, train_tiny: Any) -> None:
    file = make_file("tagging", 48)
    folder = train_tiny("tagging", file, epochs=1)
    odd = file.held[0]._replace(label=("B-MISC", *file.held[0].label[1:]))
    rare = make_file("tagging", held=(*file.held, *file.held, odd), name="rare.txt")
    assert evaluate(load_system(folder), rare, progress=False).record.counts["unseen_tags"] == 1
    many = make_file("tagging", held=(*file.held[1:5], odd), name="many.txt")
    with pytest.raises(InputError, match=r"many\.txt: row 0 .*'B-MISC'; expected .*: B-LOC, B-PER, O"):
        evaluate(load_system(folder), many)


def test_another_task(make_file: Any, train_tiny: Any, tasks: dict[str, Task]) -> None:
    file = make_file("classification")
    folder = train_tiny("classification", file, epochs=1)
    assert evaluate(load_system(folder), file, task=tasks["classification"], progress=False).record.task == "liking"
    with pytest.raises(InputError, match="--task: found data of the task names; expected liking"):
        evaluate(load_system(folder), file, task=tasks["tagging"])
    held = tuple(one._replace(label="no") for one in make_file("tagging", name="t.txt").held)
    other = make_file("classification", held=held, name="t.txt")
    with pytest.raises(InputError, match="found fields tokens; expected a field 'sentence'"):
        evaluate(load_system(folder), other)


def _attack_folder(
    folder: Path, task: Task, file: Any, ledger: list[tuple[Any, ...]], answers: list[tuple[Any, ...]]
) -> None:
    """Write manifest, ledger and clean answers beside an attacked file, as `attack` does."""
    edits = pd.DataFrame(ledger, columns=list(LEDGER_COLUMNS))
    edits.to_parquet(folder / "edits.parquet", index=False, schema=ledger_schema())
    if answers:
        pd.DataFrame(answers, columns=list(ANSWER_COLUMNS)).to_parquet(folder / "answers.parquet", index=False)
    (suite,) = load_suites("drop", task="squad_v2")
    rows = len(file.held)
    operators = edits["operator"].value_counts().to_dict()
    write_manifest(
        folder,
        Manifest(
            task=task.name,
            task_record=task,
            suite=suite,
            suite_sha256=suite.sha256,
            seed=7,
            fields=task.fields,
            format="native",
            input=FileInfo(name="clean.txt", sha256="c" * 64, rows=rows),
            output=FileInfo(name=file.path.name, sha256=sha256_file(file.path), rows=rows),
            ledger=FileInfo(name="edits.parquet", sha256=sha256_file(folder / "edits.parquet"), rows=len(edits)),
            strength=StrengthInfo(requested=suite.strength, effective=0.5),
            counts=Counts(
                texts=rows,
                words=40,
                eligible_words=10,
                attempted=len(edits) + 1,
                edits=len(edits),
                edited_words=2,
                no_ops=1,
                spell_known_word=0,
                by_operator=operators,
            ),
            no_op_share=1 / (len(edits) + 1),
            provenance=provenance(),
        ),
    )


@pytest.fixture
def attacked(make_file: Any, train_tiny: Any, tasks: dict[str, Task], tmp_path: Path) -> tuple[Path, Any]:
    """Return a system and an attacked file: two questions on one context, whose answer was attacked, one on another."""
    task = tasks["question_answering"]
    folder = train_tiny("question_answering", make_file("question_answering", 48, name="train.txt"), epochs=4)
    context, other = "anna sees the hat in bue", "anna sees the boat in red"
    held = tuple(
        Example(row, f"q{row}", f"k{row}", {"question": question, "context": text}, answers=(answer,), answerable=True)
        for row, (question, text, answer) in enumerate(
            [
                ("what coour is the boat", other, Answer(other.index("red"), "red")),
                ("what colour is the hat", context, Answer(context.index("bue"), "bue")),
                ("what is the colour of the hat", context, Answer(context.index("bue"), "bue")),
            ]
        )
    )
    (tmp_path / "attack").mkdir()
    file = make_file("question_answering", held=held, name="attack/dev.txt")
    ledger = [
        (0, "q0", "question", 1, "drop", 7, 7, "l", "", "colour", "coour", None),
        (1, "context:0123456789abcdef", "context", 5, "drop", 22, 22, "l", "", "blue", "bue", None),
    ]
    answers = [(row, f"q{row}", "answer", 0, 21, "blue", 21, "bue") for row in (1, 2)]
    answers.append((0, "q0", "answer", 0, 22, "red", 22, "red"))
    _attack_folder(tmp_path / "attack", task, file, ledger, answers)
    return folder, file


def test_the_attack_is_read_from_beside_the_file(attacked: tuple[Path, Any], tmp_path: Path) -> None:
    folder, file = attacked
    record = evaluate(load_system(folder), file, output=tmp_path / "o", progress=False).record
    assert record.condition == "drop"
    info = record.data.attack
    assert info is not None
    assert (info.seed, info.edits, info.words, info.eligible_words) == (7, 2, 40, 10)
    assert (info.effective_strength, info.clean_sha256, info.counts_by_operator) == (0.5, "c" * 64, {"drop": 2})
    table = read_predictions(tmp_path / "o", record)
    assert table is not None
    edits = [json.loads(entries) for entries in table["edits"]]
    assert [[edit["word_after"] for edit in entries] for entries in edits] == [["coour"], ["bue"], ["bue"]]
    assert set(edits[0][0]) == {
        "field",
        "word",
        "operator",
        "start_clean",
        "start_attacked",
        "removed",
        "inserted",
        "word_before",
        "word_after",
    }


def test_both_scorings_of_attacked_answers(attacked: tuple[Path, Any], tmp_path: Path) -> None:
    folder, file = attacked
    record = evaluate(load_system(folder), file, output=tmp_path / "o", progress=False).record
    table = read_predictions(tmp_path / "o", record)
    assert table is not None
    said = [QaPrediction(**json.loads(value)) for value in table["prediction"]]
    for texts, found in ((("red", "bue", "bue"), record.scores), (("red", "blue", "blue"), record.clean_gold_scores)):
        assert found == score("squad_v2", [QaGold((text,)) for text in texts], said).scores


@pytest.mark.parametrize("name", ["dev.txt", "edits.parquet"])
def test_altered_attack_files(attacked: tuple[Path, Any], name: str) -> None:
    folder, file = attacked
    with (file.path.parent / name).open("ab") as out:
        out.write(b" ")
    with pytest.raises(InputError, match=rf"{name}: found SHA-256 .*as manifest\.json says.*altered after the attack"):
        evaluate(load_system(folder), file)


def test_answers_of_another_file(attacked: tuple[Path, Any]) -> None:
    folder, file = attacked
    path = file.path.parent / "answers.parquet"
    pd.read_parquet(path).assign(index=3).to_parquet(path, index=False)
    told = r"answers\.parquet: found an answer 3 of example 1; expected one of the 1 that it has"
    with pytest.raises(InputError, match=told):
        evaluate(load_system(folder), file)


def test_another_file_in_an_attack_folder(attacked: tuple[Path, Any], make_file: Any) -> None:
    folder, _ = attacked
    clean = make_file("question_answering", name="attack/clean.txt")
    with pytest.raises(InputError, match=r"clean\.txt: found another file than the attacked one.*expected dev\.txt"):
        evaluate(load_system(folder), clean)


def test_an_attack_on_another_task(attacked: tuple[Path, Any], make_file: Any, train_tiny: Any) -> None:
    _, file = attacked
    other = train_tiny("classification", make_file("classification", name="c.txt"), name="other", epochs=1)
    with pytest.raises(InputError, match="found data of the task colours; expected liking"):
        evaluate(load_system(other), file)


def test_lone_surrogates_survive(make_file: Any, train_tiny: Any, tmp_path: Path) -> None:
    """A JSON file can hold half a character; predictions keep it as an escape."""
    held = tuple(one._replace(fields={"sentence": "good \ud83d é"}) for one in make_file("classification").held[:4])
    file = make_file("classification", name="odd.txt", held=held)
    folder = train_tiny("classification", file, epochs=1)
    record = evaluate(load_system(folder), file, output=tmp_path / "o", progress=False).record
    table = read_predictions(tmp_path / "o", record)
    assert table is not None
    assert json.loads(table["fields"][0]) == {"sentence": "good \ud83d é"}
