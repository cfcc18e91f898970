"""What a name stands for, what decides its predictions, and one clear error for each name that cannot work."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import robustbench_char as rbc
from robustbench_char.common import InputError
from robustbench_char.inference import opening
from robustbench_char.inference.evaluate import PredictionSource, evaluate
from robustbench_char.inference.opening import identify_model, kind_of_model, open_model
from robustbench_char.inference.options import ModelOptions
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import open_source

pytestmark = pytest.mark.models

MRPC, CONLL = get_task("mrpc"), get_task("conll2003")
TYPES = ("PER", "ORG", "LOC", "MISC")


@pytest.fixture
def pairs(fine_tuned: Any, tmp_path: Path) -> Path:
    """Return a model for pairs of sentences."""
    folder: Path = fine_tuned(tmp_path / "pairs", "Bert", "classification", ("not_equivalent", "equivalent"))
    return folder


@pytest.fixture
def tagger(fine_tuned: Any, tmp_path: Path) -> Callable[..., Path]:
    """Return a function from tags to a model that gives them."""

    def make(*names: str) -> Path:
        folder: Path = fine_tuned(tmp_path / "tagger", "Bert", "tagging", names)
        return folder

    return make


def change(folder: Path, **values: Any) -> None:
    """Change what config.json says."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def refused(model: Path | str, message: str, task: Any = MRPC, **options: Any) -> None:
    """Both ways in say the same."""
    for way in (identify_model, open_model):
        with pytest.raises(InputError, match=message):
            way(model, task, options=ModelOptions(**options))


def test_kinds_of_names(pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "system.json").write_text("{}")
    found = [kind_of_model(name) for name in (pairs, tmp_path / "ours", "dslim/bert-base-NER", "m:f", "openai:x")]
    assert found == ["transformers", "saved", "transformers", "predictor", "chat"]


def test_a_predictor_may_be_called_as_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "registered", lambda: [("mine", "baselines 0.1.0")])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert kind_of_model("mine") == "predictor"
    (tmp_path / "mine" / "config.json").write_text("{}")
    assert kind_of_model("mine") == "transformers"


@pytest.mark.parametrize("call", [rbc.check, rbc.evaluate])
def test_a_plain_function_is_to_be_wrapped(call: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match=r"model: found a value of type function; .*rbc\.predictor\(function\)"):
        call(lambda batch: batch, data="mini", task="cola")


def test_a_source_that_is_ready_passes_through(pairs: Path) -> None:
    source = rbc.load_model(pairs, "mrpc")
    assert open_model(source) is source
    assert identify_model(source)["kind"] == "ready"


def test_the_identity_of_a_model_is_that_of_its_content(pairs: Path, tmp_path: Path) -> None:
    shutil.copytree(pairs, tmp_path / "copy")
    same = identify_model(pairs, MRPC)
    assert identify_model(tmp_path / "copy", MRPC) == same
    turned = ModelOptions(labels=("equivalent,not_equivalent",))
    assert identify_model(pairs, MRPC, options=turned) != same
    change(tmp_path / "copy", id2label={"0": "equivalent", "1": "not_equivalent"}, label2id=None)
    assert identify_model(tmp_path / "copy", MRPC) != same
    assert json.loads(json.dumps(same)) == same


def test_the_record_says_how_a_model_was_read(tagger: Callable[..., Path]) -> None:
    folder = tagger("O", *(f"{mark}-{kind}" for kind in ("PERSON", "ORG", "LOC", "MISC") for mark in "BILU"))
    source = rbc.load_model(folder, "conll2003")
    result = evaluate(source, open_source(CONLL, data="mini"), limit=8, progress=False)
    system = result.record.system
    assert (system.name, system.base, system.training_seed, result.record.saw_attack) == (
        "tagger",
        "external",
        None,
        None,
    )
    assert system.model is not None
    assert (system.model.architecture, system.model.tag_scheme) == ("BertForTokenClassification", "BILOU")
    assert system.model.labels[:3] == (("O", "O"), ("B-PERSON", "B-PER"), ("I-PERSON", "I-PER"))
    assert system.model.notes == [
        "labels of tagger: B-PERSON = B-PER, I-PERSON = I-PER, L-PERSON = I-PER, U-PERSON = B-PER, L-ORG = I-ORG,"
        " U-ORG = B-ORG, L-LOC = I-LOC, U-LOC = B-LOC, L-MISC = I-MISC, U-MISC = B-MISC"
    ]
    assert result.record.cost_per_piece is not None
    tags = {tag for row in result.predictions["prediction"] for tag in json.loads(row)}
    assert tags - {None} <= {"O", *(f"{mark}-{kind}" for kind in TYPES for mark in "BI")}


def test_a_model_with_fewer_labels_is_scored_with_what_it_has(tagger: Callable[..., Path]) -> None:
    folder = tagger("LABEL_0", "LABEL_1", "LABEL_2")
    refused(folder, r"a model with the labels LABEL_0, LABEL_1, LABEL_2; expected those of conll2003: O, B-PER", CONLL)
    source = rbc.load_model(folder, "conll2003", labels=["O", "B-PER", "I-PER"])
    result = evaluate(source, open_source(CONLL, data="mini"), limit=20, progress=False)
    assert result.record.system.model is not None
    assert result.record.system.model.missing == ("ORG", "LOC", "MISC")
    assert "labels of the task that tagger does not have: ORG, LOC, MISC" in result.record.system.model.notes
    assert {"f1_ORG", "f1_LOC"} <= result.scores.keys()


def test_a_label_that_means_nothing_is_never_said(fine_tuned: Any, tmp_path: Path) -> None:
    folder = fine_tuned(tmp_path / "three", "Bert", "classification", ("a", "b", "c"))
    examples = list(open_source(MRPC, data="mini").examples())[:30]
    said = {
        labels: set(rbc.load_model(folder, "mrpc", labels=labels).predict(examples, progress=False).values)
        for labels in ("equivalent,-,-", "-,equivalent,not_equivalent")
    }
    assert said["equivalent,-,-"] == {"equivalent"}
    assert said["-,equivalent,not_equivalent"] <= {"equivalent", "not_equivalent"}


def test_a_tokenizer_without_offsets_is_said(fine_tuned: Any, tmp_path: Path) -> None:
    folder = fine_tuned(tmp_path / "canine", "Canine", "classification", ("0", "1"))
    info = rbc.load_model(folder, "mrpc").info.model
    assert info is not None
    assert info.words_alone
    assert info.notes[-1] == "the tokenizer of canine gives no offsets: words are tokenised one by one"


def test_texts_of_no_characters(fine_tuned: Any, tmp_path: Path) -> None:
    for architecture in ("Canine", "Funnel", "T5"):
        source = rbc.load_model(
            fine_tuned(tmp_path / architecture, architecture, "classification", ("unacceptable", "acceptable")), "cola"
        )
        empty = next(iter(open_source(get_task("cola"), data="mini").examples()))._replace(fields={"sentence": ""})
        assert len(source.predict([empty], progress=False).values) == 1


@pytest.mark.parametrize(
    ("family", "task", "message"),
    [
        ("tagging", "mrpc", r"found BertForTokenClassification; expected a model \.\.\.ForSequenceClassification, for"
                            r" classification\. Choose a task of tagging, or another model"),
        ("classification", "squad_v2", r"expected a model \.\.\.ForQuestionAnswering, for question answering"),
        ("question_answering", "conll2003", r"expected a model \.\.\.ForTokenClassification, for tagging"),
    ],
)  # fmt: skip
def test_a_head_of_another_family(fine_tuned: Any, tmp_path: Path, family: str, task: str, message: str) -> None:
    names = ("a", "b") if family != "question_answering" else ()
    refused(fine_tuned(tmp_path / "model", "Bert", family, names), message, get_task(task))


def test_no_head(tiny_base: str, pairs: Path) -> None:
    refused(tiny_base, r"found BertModel, which has no head for such a task; .*finetune TASK --base .*tiny-bert")
    change(pairs, architectures=["BertForMaskedLM"])
    refused(pairs, r"found BertForMaskedLM, which has no head for such a task")


def test_weights_without_the_head(tiny: Any, tmp_path: Path) -> None:
    folder = tiny.bert_base(tmp_path / "base")
    change(folder, architectures=None, id2label={"0": "not_equivalent", "1": "equivalent"})
    with pytest.raises(InputError, match=r"weights without classifier\.bias \(2 missing\); .*finetune TASK --base"):
        open_model(folder, MRPC)


@pytest.mark.parametrize(
    ("layers", "message"),
    [(1, r"bert\.encoder\.layer\.1\.\S+, which has no place"), (3, r"weights without bert\.encoder\.layer\.2\.\S+")],
)
def test_more_or_fewer_layers_than_the_weights_hold(pairs: Path, layers: int, message: str) -> None:
    change(pairs, num_hidden_layers=layers)
    with pytest.raises(InputError, match=message) as told:
        open_model(pairs, MRPC)
    assert "new head" not in str(told.value)


def test_pickled_weights_alone(pairs: Path) -> None:
    (pairs / "model.safetensors").rename(pairs / "pytorch_model.bin")
    refused(pairs, r"pickled weights alone \(pytorch_model\.bin\); .*`save_pretrained`, which writes safetensors")


def test_code_of_a_repository(pairs: Path) -> None:
    change(pairs, model_type="my_own", auto_map={"AutoModel": "modeling.Mine"})
    refused(pairs, r"whose code stands in its repository; .*trust_remote_code stays off.*predictor")


def test_an_architecture_that_is_not_known(pairs: Path) -> None:
    change(pairs, model_type="of_tomorrow")
    with pytest.raises(
        InputError, match=r"type 'of_tomorrow'; expected an architecture that Transformers has.*Upgrade"
    ):
        open_model(pairs, MRPC)


def test_names_that_lead_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "robustbench_char")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    refused(
        "nobody/never-made", r"the Hugging Face hub cannot be reached; .*Without a network use a local model folder"
    )
    refused(
        str(tmp_path / "no" / "folder"), r"found no such folder; expected a model: a folder, an id on the Hugging Face"
    )
    assert "looking for nobody/never-made on the Hugging Face hub, and downloading it" in caplog.text
    (tmp_path / "file").write_text("")
    refused(str(tmp_path / "file"), r"found a file; expected a model: a folder")


def test_a_model_in_the_cache_of_the_hub(pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, commit = tmp_path / "cache" / "models--some--pairs", "a" * 40
    shutil.copytree(pairs, cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache.parent))
    info = rbc.load_model("some/pairs", "mrpc").info
    assert info.model is not None
    assert (info.name, info.model.revision) == ("some/pairs", commit)
    (cache / "snapshots" / commit / "model.safetensors").unlink()
    refused("some/pairs", r"no weights in safetensors on the hub; .*Pickled files can run code")


def test_options_that_do_not_fit(pairs: Path, tmp_path: Path) -> None:
    refused(pairs, r"--labels: found 3 labels; expected 2", labels=("a", "b", "c"))
    with pytest.raises(InputError, match=r"--task: found none; expected the task of the data"):
        identify_model(pairs)
    for way in (identify_model, open_model):
        with pytest.raises(
            InputError, match=r"--defence: found no folder .*nowhere; expected a folder that `train-def"
        ):
            way(pairs, MRPC, options=ModelOptions(defence=str(tmp_path / "nowhere")))
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "system.json").write_text('{"run": "r", "weights_sha256": "w"}')
    assert identify_model(tmp_path / "ours") == {"kind": "saved", "system": ["r", "w"], "defence": None}
    with pytest.raises(InputError, match=r"--labels: found labels for a system that `finetune` wrote"):
        identify_model(tmp_path / "ours", options=ModelOptions(labels=("a",)))
    (tmp_path / "ours" / "system.json").write_text("[]")
    with pytest.raises(InputError, match=r"found no run; expected a file that `finetune` wrote"):
        identify_model(tmp_path / "ours")
    with pytest.raises(InputError, match=r"found labels for a predictor"):
        identify_model("m:f", MRPC, options=ModelOptions(labels=("a",)))


def test_types(pairs: Path) -> None:
    source: PredictionSource = open_model(pairs, MRPC)
    assert source.classes == MRPC.labels


def test_options_that_a_model_would_leave_unread(pairs: Path) -> None:
    refused(pairs, f"endpoint=: found an option of chat models, with {pairs}", endpoint="http://127.0.0.1:1/v1")
    refused("m:f", "price=: found an option of chat models, with m:f", price="1,2")
    chat = rbc.chat("http://127.0.0.1:1/v1", model="tiny")
    refused(chat, "parallel=: found an option beside a model that is made already", parallel=2)  # type: ignore[arg-type]
    source = open_model(pairs, MRPC)
    refused(source, "labels=: found an option beside a model that is made already", labels=("a", "b"))  # type: ignore[arg-type]
