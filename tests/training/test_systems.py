"""The six systems: fine-tuned, saved, loaded and scored by the same calls, on every family and both kinds of base."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fixtures.dictionaries import small_dictionaries
from safetensors import safe_open
from transformers import TrainerCallback

from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.common.options import options_of
from robustbench_char.common.systems import SYSTEMS, Traits, traits_of
from robustbench_char.defences.wordrec import RecogniserSettings, train_recogniser
from robustbench_char.inference.evaluate import evaluate
from robustbench_char.inference.systems import load_system
from robustbench_char.models.bert import BertSystem
from robustbench_char.models.inputs import Window
from robustbench_char.tasks.base import Task
from robustbench_char.training.augmentation import Augmentation, resolve_augmentation
from robustbench_char.training.finetune import finetune
from robustbench_char.training.options import AugmentOptions
from robustbench_char.training.pretraining.run import pretrain

pytestmark = pytest.mark.models

FAMILIES = ("classification", "tagging", "question_answering")
PRETRAINED = tuple(name for name in SYSTEMS if SYSTEMS.get(name).pretraining)


@pytest.fixture(scope="session")
def pretrained(tiny_base: str, roberta: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], str]:
    """Return a function from base type and system to an encoder that was pre-trained for two steps."""
    made: dict[tuple[str, str], Path] = {}
    scratch = tmp_path_factory.mktemp("pretrained")
    text = scratch / "text.txt"
    text.write_text("\n".join("anna sees the great house in berlin and the boat" for _ in range(200)))

    def get(kind: str, system: str) -> str:
        if (kind, system) not in made:
            base = roberta if kind == "roberta" else tiny_base
            options: Any = {"steps": 2, "batch_size": 2, "block_size": 16, "heldout_blocks": 1, "precision": "fp32"}
            made[kind, system] = pretrain(
                system,
                base=base,
                text=text,
                suite="mixed",
                output=scratch / f"{kind}-{system}",
                store=scratch / "store",
                progress=False,
                **options,
            ).folder
        return str(made[kind, system])

    return get


@pytest.fixture(scope="session")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recogniser of a few words, hardly trained."""
    scratch = tmp_path_factory.mktemp("recogniser")
    (scratch / "text.txt").write_text("\n".join("anna sees the red house in berlin" for _ in range(60)))
    options: Any = {"epochs": 1, "hidden_size": 4, "vocabulary": 20, "progress": False}
    return train_recogniser(output=scratch / "r", text=[scratch / "text.txt"], **options)


@pytest.fixture(scope="module", autouse=True)
def _small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with small_dictionaries(tmp_path_factory.mktemp("dictionaries")):
        yield


@pytest.fixture
def trained(
    train_tiny: Any, tiny_base: str, roberta: str, pretrained: Any, make_file: Any, recogniser: Path
) -> Callable[..., Path]:
    """Return a function that fine-tunes one system of one family for one epoch."""

    def train(system: str, family: str = "tagging", *, kind: str = "bert", **options: Any) -> Path:
        base = roberta if kind == "roberta" else tiny_base
        if system in PRETRAINED:
            base = pretrained(kind, system)
        if SYSTEMS.get(system).default_defence == "wordrec":
            options.setdefault("defence", recogniser)
        return train_tiny(family, make_file(family), system=system, **({"base": base, "epochs": 1} | options))

    return train


@pytest.mark.parametrize("kind", ["bert", "roberta"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", list(SYSTEMS))
def test_every_system_on_every_family(name: str, family: str, kind: str, trained: Any, make_file: Any) -> None:
    folder = trained(name, family, kind=kind)
    file = make_file(family)
    record = evaluate(load_system(folder), file, progress=False).record
    assert record.system.name == name
    assert record.system.base == f"tiny-{kind}"
    asked = SYSTEMS.get(name)
    assert (record.system.pretraining is not None) == (name in PRETRAINED)
    assert (record.system.defence is not None) == (asked.default_defence is not None)
    assert (record.system.augment is not None) == (asked.augmentation is not None)
    assert (record.system.extra_parameters != 0) == (asked.extra_parameters is not BertSystem.extra_parameters)
    assert record.counts["pieces"] > len(file.held)
    assert record.predict_seconds is not None
    assert record.predict_seconds > 0


@pytest.mark.parametrize("name", list(SYSTEMS))
def test_a_saved_system_is_one_folder_that_loads_anywhere(
    name: str, trained: Any, make_file: Any, tmp_path: Path
) -> None:
    folder = trained(name)
    examples = make_file("tagging").held
    said = load_system(folder).predict(examples, progress=False).values
    shutil.move(folder, tmp_path / "elsewhere")
    assert load_system(tmp_path / "elsewhere").predict(examples, progress=False).values == said


def test_the_heads_of_pre_training_are_left_behind(trained: Any, pretrained: Any) -> None:
    folder = trained("charbert")
    with safe_open(folder / "model.safetensors", framework="numpy") as file:
        names = list(file.keys())
    assert not [name for name in names if "nlm" in name or "mlm" in name]
    assert json.loads((folder / "config.json").read_text()).get("term_vocab_size") is None
    assert json.loads((Path(pretrained("bert", "charbert")) / "config.json").read_text())["term_vocab_size"]
    assert "term_vocabulary.json" not in {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("system", "base", "message"),
    [
        ("charbert", None, "found tiny-bert, a base that `pretrain` did not write.*`pretrain charbert` wrote"),
        ("advbert", "charbert", "pre-trained for charbert"),
        ("bert", "advbert", "pre-trained for advbert.*a plain base checkpoint"),
        ("bert_aug", "charbert", "pre-trained for charbert"),
    ],
)
def test_refuses_the_base_of_another_system(
    system: str, base: str | None, message: str, trained: Any, pretrained: Any, tiny_base: str
) -> None:
    with pytest.raises(InputError, match=message):
        trained(system, base=pretrained("bert", base) if base else tiny_base)


def test_refuses_characters_of_another_model(trained: Any, make_file: Any) -> None:
    folder = trained("charbert")
    path = folder / "character_vocabulary.json"
    held = json.loads(path.read_text())
    for changed, found in (
        ({"characters": held["characters"][:-1]}, "by the word"),
        ({"unit": "piece"}, "by the piece"),
    ):
        path.write_text(json.dumps({**held, **changed}))
        with pytest.raises(InputError, match=rf"a vocabulary of \d+ characters, read {found}; .* read by the word"):
            load_system(folder)


def test_refuses_another_recogniser(trained: Any, tmp_path: Path) -> None:
    folder = trained("bert_wordrec")
    (tmp_path / "t.txt").write_text("\n".join("karl went to the blue boat" for _ in range(60)))
    options: Any = {"epochs": 1, "hidden_size": 4, "vocabulary": 20, "progress": False}
    train_recogniser(output=tmp_path / "other", text=[tmp_path / "t.txt"], **options)
    shutil.rmtree(folder / "defence")
    shutil.move(tmp_path / "other", folder / "defence")
    with pytest.raises(InputError, match="exchanged after training"):
        load_system(folder)


def test_a_system_of_an_older_version_is_read(trained: Any, make_file: Any) -> None:
    folder = trained("bert_wordrec")
    shutil.move(folder / "defence", folder / "recogniser")
    file = json.loads((folder / "system.json").read_text())
    info = file.pop("defence")
    file["recogniser"] = {
        "suite": info["suites"][0], "operators": info["operators"], "parameters": info["parameters"],
        "weights_sha256": info["sha256"], **info["settings"],
    }  # fmt: skip
    (folder / "system.json").write_text(json.dumps(file))
    system = load_system(folder)
    assert system.info.defence is not None
    assert (system.info.defence.sha256, system.info.defence.edits) == (info["sha256"], None)
    assert evaluate(system, make_file("tagging"), progress=False).record.system.defence == system.info.defence


def test_bert_and_bert_wordrec_share_their_weights(
    tasks: dict[str, Task], make_file: Any, tiny_base: str, recogniser: Path, tmp_path: Path
) -> None:
    """Without --output results stand in the store by hash, and one training serves both."""
    options: Any = {"epochs": 1, "batch_size": 8, "max_length": 32, "precision": "fp32", "progress": False}
    options |= {"train": make_file("tagging"), "base": tiny_base, "store": tmp_path / "store"}
    plain = finetune(tasks["tagging"], system="bert", **options).folder
    assert plain == tmp_path / "store" / "systems" / plain.name
    before = (plain / "model.safetensors").stat().st_mtime_ns
    behind = finetune(tasks["tagging"], system="bert_wordrec", defence=recogniser, **options).folder
    assert behind != plain
    assert sha256_file(behind / "model.safetensors") == sha256_file(plain / "model.safetensors")
    assert load_system(behind).kind.defence is not None
    assert json.loads((behind / "training_log.json").read_text()) == json.loads(
        (plain / "training_log.json").read_text()
    )
    assert finetune(tasks["tagging"], system="bert", **options).folder == plain
    assert (plain / "model.safetensors").stat().st_mtime_ns == before


class Backwards(BertSystem):
    """A system that differs from `bert` in how it reads alone."""

    name = "backwards"
    recipe = "backwards/1"

    def word_windows(self, sentences: Sequence[Sequence[str]], *, max_length: int) -> Iterator[Window]:
        return super().word_windows([[word[::-1] for word in words] for words in sentences], max_length=max_length)


def test_stored_keys_name_recipes_by_stable_ids() -> None:
    """A change of these ids makes every stored system of theirs anew: moving a class is no reason for one."""
    plain = ("bert", "bert_mlm", "advbert", "bert_wordrec", "bert_spell", "bert_channel", "bert_aug")
    recipes = {name: SYSTEMS.get(name).recipe for name in SYSTEMS}
    own = {"bert_channel_soft": "bert_channel_soft/2", "charbert": "charbert/2", "encoder": "encoder/1"}
    assert recipes == dict.fromkeys(plain, "bert/1") | own


def test_what_a_plan_knows_of_a_system_is_what_its_class_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {name: traits_of(SYSTEMS.get(name)) for name in SYSTEMS} == SYSTEMS.declared
    monkeypatch.setitem(SYSTEMS._entries, "backwards", Backwards)
    assert SYSTEMS.traits("backwards") == Traits("backwards", Backwards.recipe)


def test_a_system_with_code_of_its_own_states_its_recipe() -> None:
    def save(self: BertSystem, folder: Path) -> None:
        raise AssertionError("not used")

    type("Augmented", (BertSystem,), {"name": "augmented", "augmentation": "drop"})
    with pytest.raises(TypeError, match='Own has code of its own: state its `recipe`, such as "own/1"'):
        type("Own", (BertSystem,), {"name": "own", "save": save})


def test_a_system_that_reads_otherwise_does_not_take_the_weights_of_bert(
    tasks: dict[str, Task], make_file: Any, tiny_base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SYSTEMS._entries, "backwards", Backwards)
    options: Any = {"epochs": 1, "batch_size": 8, "max_length": 32, "precision": "fp32", "progress": False}
    options |= {"train": make_file("tagging"), "base": tiny_base, "store": tmp_path / "store"}
    plain, other = (finetune(tasks["tagging"], system=name, **options).folder for name in ("bert", "backwards"))
    assert sha256_file(plain / "model.safetensors") != sha256_file(other / "model.safetensors")


def test_bert_wordrec_trains_its_recogniser_from_the_training_file(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = RecogniserSettings(epochs=1, hidden_size=4)
    monkeypatch.setattr("robustbench_char.training.finetune.RecogniserSettings", lambda: quick)
    folder = trained("bert_wordrec", defence=None)
    front = json.loads((folder / "defence" / "recogniser.json").read_text())
    assert front["training"]["texts"][0]["name"] == "data.txt"
    assert "anna" in front["words"]
    assert len(list((tmp_path / "store" / "recognisers").iterdir())) == 1
    info = json.loads((folder / "system.json").read_text())["defence"]
    settings = info["settings"]
    assert (info["kind"], info["suites"], settings["vocabulary"]) == ("wordrec", ["mixed"], len(front["words"]))


def test_new_parts_have_their_own_learning_rate(trained: Any, make_file: Any) -> None:
    """A rate so low that nothing moves for the base; the parts that a plain encoder lacks learn."""
    seen: dict[str, set[float]] = {}

    class Rates(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            names = {id(weight): name for name, weight in others["model"].named_parameters()}
            for group in others["optimizer"].param_groups:
                for weight in group["params"]:
                    seen.setdefault(names[id(weight)], set()).add(group["initial_lr"])

    trained("charbert", learning_rate=1e-4, new_learning_rate=2e-3, callbacks=[Rates()])
    fast = {name for name, rates in seen.items() if rates == {2e-3}}
    assert {rate for rates in seen.values() for rate in rates} == {1e-4, 2e-3}
    assert "classifier.weight" in fast
    assert any("char_embeddings.gru" in name for name in fast)
    assert any("encoder.interaction" in name for name in fast)
    assert not any("encoder.layer." in name or "charbert.embeddings." in name for name in fast)
    with pytest.raises(InputError, match="new_learning_rate="):
        trained("bert", new_learning_rate=0.0)


def test_a_recogniser_stands_before_any_system(trained: Any, recogniser: Path, make_file: Any) -> None:
    system = load_system(trained("charbert", defence=recogniser))
    record = evaluate(system, make_file("tagging"), progress=False).record
    assert record.system.defence is not None
    assert record.system.pretraining is not None


def augmentation(task: Task, system: str = "bert", **options: Any) -> Augmentation | None:
    (asked,) = options_of(options, AugmentOptions)
    return resolve_augmentation(asked, SYSTEMS.traits(system), task, epochs=2.5)


def mixed(task: Task, **options: Any) -> Augmentation:
    made = augmentation(task, augment="mixed", **options)
    assert made is not None
    return made


def test_copies_are_attacked_and_their_labels_true(tasks: dict[str, Task], make_file: Any) -> None:
    examples = make_file("tagging").held
    half = mixed(tasks["tagging"], augment_share=0.5)
    copies = half.copies(tasks["tagging"], examples, 1000)
    by_row = {one.row: one for one in examples}
    assert len(copies) == len(examples) // 2
    assert [one.row for one in copies] == sorted(one.row for one in copies)
    for one in copies:
        assert one.label == by_row[one.row].label
        assert len(one.fields["tokens"]) == len(by_row[one.row].fields["tokens"])
    assert sum(one.fields != by_row[one.row].fields for one in copies) > len(copies) / 2
    assert half.copies(tasks["tagging"], examples, 1000) == copies
    assert half.copies(tasks["tagging"], examples, 3) != copies


def test_copies_of_questions_keep_their_answers(tasks: dict[str, Task], make_file: Any) -> None:
    task = tasks["question_answering"]
    for one in mixed(task).copies(task, make_file("question_answering").held, 1000):
        for answer in one.answers:
            assert str(one.fields["context"])[answer.start :].startswith(answer.text)


def test_leaving_an_operator_out(tasks: dict[str, Task]) -> None:
    without = mixed(tasks["tagging"], augment_without=["drop"])
    assert without.info().operators == ("add", "swap", "keyboard")
    assert without.info().without == ("drop",)


def test_the_augmentation_of_a_system(tasks: dict[str, Task]) -> None:
    task = tasks["tagging"]
    assert augmentation(task) is None
    asked = augmentation(task, "charbert", augment="drop@0.3")
    assert asked is not None
    assert (asked.suite.name, asked.seeds) == ("drop@0.3", range(1000, 1001))
    own = augmentation(task, "bert_aug")
    assert own is not None
    assert (own.suite.name, own.seeds) == ("mixed", range(1000, 1003))
    with pytest.raises(InputError, match="augment=: found none, and the system bert has none of its own"):
        augmentation(task, augment_share=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"augment": "mixd"}, "augment=: .*mixd"),
        ({"augment": "mixed_sweep"}, "a suite that has 6 strengths"),
        ({"augment_share": 0.0}, "augment_share=: found 0.0; expected more than 0 and at most 1"),
        ({"augment_share": 1.5}, "augment_share=: found 1.5"),
        ({"augment_seed": -1}, "augment_seed=: found -1; expected at least 0 and at most 4294967295"),
        ({"augment_without": ["dorp"]}, "the operator 'dorp'.*drop"),
        ({"augment": "drop", "augment_without": ["drop"]}, "every operator"),
    ],
)
def test_refuses_augmentation(options: dict[str, Any], message: str, tasks: dict[str, Task]) -> None:
    with pytest.raises(InputError, match=message):
        augmentation(tasks["tagging"], **({"augment": "mixed"} | options))


def test_never_the_evaluation_seed(trained: Any, make_file: Any, monkeypatch: pytest.MonkeyPatch, tasks: Any) -> None:
    """An attack with the seed of the copies that training saw is refused; another seed is scored and marked."""
    folder = trained("bert_aug", augment_seed=7)
    file = make_file("tagging")

    class Attacked:
        def __init__(self, seed: int) -> None:
            self.manifest = type("Manifest", (), {"seed": seed, "task": "names"})

    monkeypatch.setitem(evaluate.__globals__, "attack_set_of", lambda path, sha256: Attacked(7))
    with pytest.raises(InputError, match="an attack with seed 7, which the system's training copies"):
        evaluate(load_system(folder), file, progress=False)


def test_labels_are_part_of_the_name(trained: Any, make_file: Any) -> None:
    system = load_system(trained("bert", label="bert, one epoch"))
    record = evaluate(system, make_file("tagging"), progress=False).record
    assert (record.system.name, record.system.shown) == ("bert", "bert, one epoch")
