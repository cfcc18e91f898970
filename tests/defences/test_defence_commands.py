"""The commands of defences, as the command line runs them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import Result
from fixtures.dictionaries import small_dictionaries
from typer.testing import CliRunner

import robustbench_char as rbc
from robustbench_char.attack_sets.attack import attack_file
from robustbench_char.attacks.suites import load_suites
from robustbench_char.cli.main import app
from robustbench_char.common import InputError, extras
from robustbench_char.defences.opening import READY, open_defence
from robustbench_char.records.evaluation import find_records
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import open_source

QUICK = ["--vocabulary", "50", "--hidden-size", "8", "--batch-words", "64", "--epochs", "1"]


def run(*arguments: object) -> str:
    """Return the output of a command; bad input is raised."""
    return invoke(*arguments).stdout


def invoke(*arguments: object) -> Result:
    """Return what a command prints; bad input is raised."""
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def test_train_and_price(tmp_path: Path) -> None:
    clean = tmp_path / "train.txt"
    sentence = "Anna NNP B-PER\nwatches VBZ O\nwindows NNS O\n. . O\n\n"
    clean.write_text(sentence * 40)
    task = get_task("conll2003")
    (suite,) = load_suites("mixed", task=task.name)
    attack_file(task, open_source(task, input=clean), suite=suite, seed=1, output=tmp_path / "attacked")
    folder = tmp_path / "recogniser"
    said = invoke("train-defence", "wordrec", "--task", "conll2003", "--input", clean, "--output", folder, *QUICK)
    again = invoke("train-defence", "wordrec", "--task", "conll2003", "--input", clean, "--output", folder, *QUICK)
    assert again.stdout == said.stdout
    assert said.stderr.splitlines()[0] == again.stderr.strip()  # it is finished: nothing is trained
    assert "on 8 held-out words, wrong before correction 75.00%" in said.output
    wrong = float(re.findall(r"after ([0-9.]+)%", said.stdout)[0])
    assert ("warning: it makes as many words wrong as it corrects" in said.output) == (wrong >= 75)
    price = ["defence-price", folder, "--task", "conll2003", "--input", clean, "--attacked", tmp_path / "attacked"]
    numbers = json.loads(run(*price, "--output", tmp_path / "price", "--json"))["errors"]
    assert json.loads((tmp_path / "price" / "defence_price.json").read_text())["errors"] == numbers
    assert numbers["words"] == 160
    assert numbers["entity_words"] == 40
    assert 0 <= numbers["wer_after"] <= 100
    table = run(*price)
    assert "clean entity words changed" in table
    assert f"{numbers['wer_before']:.2f}" in table


def test_train_from_text_with_every_option(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat\n" * 60)
    run("train-defence", "wordrec", "--text", text, "--output", tmp_path / "second", *QUICK)
    options = ["--suite", "keyboard@0.5", "--steps", "1", "--limit", "200", "--lr", "0.01", "--seed", "4", "--see-case"]
    options += ["--splitter", "unicode", "--back-off", "background", "--background", tmp_path / "second"]
    options += ["--lower-case", "--correct-all"]
    run("train-defence", "wordrec", "--text", text, "--text", text, "--output", tmp_path / "first", *QUICK, *options)
    file = json.loads((tmp_path / "first" / "recogniser.json").read_text())
    assert (file["splitter"], file["back_off"], file["lower"]) == ("unicode", "background", False)
    assert (file["keep_case"], file["leave_numbers_and_punctuation"]) == (False, False)
    settings = file["training"]["settings"]
    asked = {"suite": "keyboard@0.5", "steps": 1, "limit": 200, "learning_rate": 0.01, "seed": 4, "vocabulary": 50}
    assert asked.items() <= settings.items()
    assert (tmp_path / "first" / "background" / "recogniser.json").is_file()


def test_refuses_data_without_a_task(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--task: found a data set without a task"):
        run("train-defence", "wordrec", "--data", "mini", "--output", tmp_path / "out")
    with pytest.raises(InputError, match="--text: found neither text nor a task"):
        run("train-defence", "wordrec", "--output", tmp_path / "out")


@pytest.fixture
def attacked(tmp_path: Path) -> Path:
    """Return an attacked set of generated data, with dictionaries of a few words in the place of the shipped ones."""
    (suite,) = load_suites("mixed@0.5", task="mrpc")
    attack_file("mrpc", open_source(get_task("mrpc"), data="mini"), suite=suite, seed=3, output=tmp_path / "attacked")
    return tmp_path / "attacked"


def test_a_channel_from_text_and_from_a_task(attacked: Path, tmp_path: Path) -> None:
    mini = ["--task", "mrpc", "--data", "mini"]
    (tmp_path / "text.txt").write_text("the cat sat on the mat\n" * 60)
    (tmp_path / "wrong.tsv").write_text("teh\tthe\ncaat\tcat\n")
    options = ["--max-edits", 1, "--ends", "kept", "--no-dictionary", "--misspellings", tmp_path / "wrong.tsv"]
    out = tmp_path / "channel"
    text = ["--text", tmp_path / "text.txt", *mini, "--split", "train"]
    assert "built; put it before a model with" in run("train-defence", "channel", *text, *options, "--output", out)
    before = (out / "defence.json").read_bytes()
    run("train-defence", "channel", *text, *options, "--output", out)  # as it stands, and so it stays
    assert (out / "defence.json").read_bytes() == before
    with pytest.raises(InputError, match="an output folder with other content"):
        run("train-defence", "channel", *text, *options, "--vocabulary", 9, "--output", out)
    file = json.loads(before)
    assert (file["kind"], file["max_edits"], file["ends"]) == ("channel", 1, "kept")
    price = json.loads(run("defence-price", out, *mini, "--attacked", attacked, "--json"))
    assert price["defence"]["name"] == "channel"
    assert price["defence"]["settings"]["misspellings"] == ["wrong.tsv"]
    assert price["errors"]["wer_after"] < price["errors"]["wer_before"] / 2
    assert price["errors"]["clean_changed"] < 1
    assert price["words_per_second"] > 0
    assert str(tmp_path) not in json.dumps(price)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("channel", ["--no-dictionary"]), ("wordrec", ["--hidden-size", 4, "--epochs", 1, "--limit", 400])],
)
def test_a_defence_knows_the_attack_of_the_file_that_it_was_trained_on(
    kind: str, options: list[object], attacked: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rbc.attack_file("mrpc", data="mini", suite="ocr", seed=3, output=tmp_path / "ocr")
    (file,) = (tmp_path / "ocr").glob("*.tsv")
    train = "train-defence", kind, "--task", "mrpc", *options
    told = invoke(*train, "--input", file, "--output", tmp_path / "knows").stderr
    assert "was attacked by ocr: scores under its operators are marked" in told
    run(*train, "--data", "mini", "--output", tmp_path / "clean")
    known, clean = (open_defence(str(tmp_path / name)).info for name in ("knows", "clean"))
    assert known.suites == (*clean.suites, "ocr")
    assert known.operators == (*clean.operators, "ocr")
    path = next(path for path in (tmp_path / "knows").glob("*.json") if "training" in path.read_text())
    said = json.loads(path.read_text())
    said["training"]["texts"] = [{"attack": {"suite": 1}}]
    path.write_text(json.dumps(said))
    with pytest.raises(InputError, match=rf"{path.name}: .*suite"):
        open_defence(str(tmp_path / "knows"))


@pytest.mark.parametrize("name", READY)
def test_the_price_of_a_ready_defence(name: str, attacked: Path, tmp_path: Path) -> None:
    with small_dictionaries(tmp_path):
        table = run("defence-price", name, "--task", "mrpc", "--data", "mini", "--attacked", attacked)
    assert "wrong after correction" in table
    assert "words per second" in table


@pytest.mark.parametrize("name", READY)
def test_evaluate_behind_a_ready_defence(name: str, tmp_path: Path) -> None:
    rule = tmp_path / "rule.py"
    rule.write_text("def predict(batch, task):\n    return [task.labels['the' in one['sentence']] for one in batch]\n")
    options = ["--task", "cola", "--data", "mini", "--suite", "drop", "--limit", 30]
    with small_dictionaries(tmp_path):
        run("evaluate", f"{rule}:predict", "--defence", name, *options, "--output", tmp_path / "out")
    (record,) = [record for _, record in find_records([tmp_path / "out"]) if record.data.attack]
    assert record.system.defence is not None
    assert record.system.defence.kind == record.system.defence.name == name
    assert record.system.shown == f"rule.predict + {name}"
    assert record.saw_attack == ("edits" if name == "spell" else "operators")


def test_refuses_options_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the cat sat on the mat\n")
    words = ["--text", tmp_path / "text.txt", "--output", tmp_path / "out"]
    with pytest.raises(InputError, match="--epochs: found an option that a defence of the kind channel does not have"):
        run("train-defence", "channel", *words, "--epochs", 3)
    with pytest.raises(InputError, match="--ends: found an option that a defence of the kind wordrec does not have"):
        run("train-defence", "wordrec", *words, "--ends", "kept")
    with pytest.raises(InputError, match=r"KIND: found unknown kind of defence 'chanel'.*Did you mean 'channel'"):
        run("train-defence", "chanel", *words)
    with pytest.raises(InputError, match=r"KIND: found spell; .* It needs no training: give"):
        run("train-defence", "spell", *words)
    with pytest.raises(InputError, match="the extra `defences`"), without_dictionaries():
        run("train-defence", "channel", *words)


@contextmanager
def without_dictionaries() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extras, "installed", lambda module: module != "symspellpy")
        yield


def test_earlier_names_stay_for_one_version(attacked: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    said = CliRunner().invoke(app, ["recogniser-price", "spel", "--task", "mrpc", "--attacked", str(attacked)])
    assert "note: `recogniser-price` is `defence-price` now" in said.output
    with pytest.raises(InputError, match="Did you mean 'spell'"):
        rbc.recogniser_price("spel", task="mrpc", attacked=attacked, data="mini")
    with pytest.raises(InputError, match="found neither text nor a task"):
        rbc.train_recogniser(output=tmp_path / "out", epochs=1, back_off="neutral")
    assert [record.message.split(" is called ")[0] for record in caplog.records] == [
        "recogniser_price",
        "train_recogniser",
    ]
