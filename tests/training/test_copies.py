"""Attacked copies in training: made for each epoch, in pairs with their examples, read through a defence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import TrainerCallback

from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.common.options import options_of
from robustbench_char.common.systems import SYSTEMS
from robustbench_char.inference.systems import load_system
from robustbench_char.models.bert import BertSystem
from robustbench_char.records.evaluation import DefenceInfo
from robustbench_char.tasks.base import Answer, Task
from robustbench_char.training.augmentation import Augmentation, resolve_augmentation
from robustbench_char.training.batches import Collator, LengthGroupedSampler, Pair, PairCollator, divergence
from robustbench_char.training.families import make_recipe
from robustbench_char.training.features import TrainingSet, training_set
from robustbench_char.training.loop import _Trainer
from robustbench_char.training.options import AugmentOptions, Reading

pytestmark = pytest.mark.models


def digest(folder: Path) -> str:
    return sha256_file(folder / "model.safetensors")


def said(folder: Path) -> dict[str, Any]:
    system: dict[str, Any] = json.loads((folder / "system.json").read_text())
    return system


def augmentation(task: Task, epochs: float = 3.0, **options: Any) -> Augmentation:
    (asked,) = options_of({"augment": "mixed", **options}, AugmentOptions)
    made = resolve_augmentation(asked, SYSTEMS.traits("bert"), task, epochs)
    assert made is not None
    return made


@pytest.fixture
def read(tasks: dict[str, Task], tiny_base: str) -> Any:
    """Return a function from family, examples and options of an augmentation to what is trained on."""

    def read(family: str, examples: Any, defence: Any = None, length: int = 32, **options: Any) -> TrainingSet:
        system = BertSystem.open(Path(tiny_base), words=family == "tagging")
        system.defence = defence
        labels = ("B-LOC", "B-PER", "O") if family == "tagging" else ("no", "yes")
        recipe = make_recipe(tasks[family], labels, Reading(max_length=length, doc_stride=4, max_question=10))
        return training_set(recipe, system, examples, augmentation(tasks[family], **options))

    return read


def long_contexts(make_file: Any) -> Any:
    """Return a file whose contexts have several windows, and more where they are attacked."""
    words = "anna sees the house in red and karl went to the boat with olga in oslo and paris"
    held = []
    for row, one in enumerate(make_file("question_answering", 6).held):
        context = " ".join([words] * (1 + row % 3))
        answer = (Answer(context.index("red"), "red"),)
        held.append(one._replace(fields={**one.fields, "context": context}, answers=answer, answerable=True))
    return make_file("question_answering", held=tuple(held))


class Stop(TrainerCallback):
    """Ends training at a step, as Ctrl+C does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


def test_fresh_copies_of_one_epoch_are_the_fixed_copy(make_file: Any, train_tiny: Any) -> None:
    file, options = make_file("tagging"), {"epochs": 1, "augment": "mixed"}
    fixed, fresh = (train_tiny("tagging", file, name=f"{new}", fresh_copies=new, **options) for new in (False, True))
    assert digest(fixed) == digest(fresh)
    assert (said(fixed)["augment"]["fresh"], said(fresh)["augment"]["fresh"]) == (False, True)


def test_every_epoch_has_copies_of_its_own(read: Any, make_file: Any) -> None:
    examples = make_file("tagging").held
    data = read("tagging", examples, fresh_copies=True, augment_share=0.5, epochs=2.5)
    assert (len(data.samples), data.copies, data.windows) == (24 + 3 * 12, 36, 60)
    assert [len(one) for one in data.passes] == [36, 36, 36]
    assert all(one[:24].tolist() == list(range(24)) for one in data.passes)
    texts = [[tuple(data.samples[index]["input_ids"]) for index in one[24:]] for one in data.passes]
    assert len({tuple(epoch) for epoch in texts}) == 3
    assert data.steps(2.5, 8) == -(-2.5 * 36 // 8)
    assert read("tagging", examples, epochs=2.5).passes == ()


counts = st.lists(st.lists(st.integers(1, 60), max_size=40), min_size=2, max_size=5).filter(any)


@given(own=counts, common=st.lists(st.integers(1, 60), min_size=1, max_size=40), size=st.integers(1, 9))
def test_one_order_holds_all_epochs(own: list[list[int]], common: list[int], size: int) -> None:
    """Each epoch reads what it lists once, before the next one's; less than a batch waits for the next epoch."""
    starts = np.cumsum([len(common), *map(len, own)])
    passes = [np.r_[: len(common), start : start + len(one)] for start, one in zip(starts, own, strict=False)]
    lengths = [*common, *(length for one in own for length in one)]
    order = list(LengthGroupedSampler(lengths, size, 5, passes))
    assert len(order) == len(LengthGroupedSampler(lengths, size, 5, passes))
    assert sorted(order) == sorted(np.concatenate(passes).tolist())
    ends = np.cumsum([len(one) for one in passes])
    for end, one in zip(ends, passes, strict=True):
        late = set(one.tolist()) - set(range(len(common))) - set(order[:end])
        assert len(late) < size


@pytest.mark.parametrize(
    ("family", "epochs", "options"),
    [("question_answering", 2.5, {}), ("tagging", 2, {"consistency": 1.0, "augment_share": 0.5})],
)
def test_a_stopped_run_goes_on_to_the_same_result(
    family: str, epochs: float, options: dict[str, Any], make_file: Any, train_tiny: Any
) -> None:
    file = long_contexts(make_file) if family == "question_answering" else make_file(family)
    options = {"augment": "mixed", "fresh_copies": True, "epochs": epochs, "max_length": 24, "batch_size": 6, **options}
    unbroken = train_tiny(family, file, name="unbroken", **options)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(family, file, name="broken", save_seconds=0.0, callbacks=[Stop(6)], **options)
    broken = train_tiny(family, file, name="broken", **options)
    assert digest(broken) == digest(unbroken)
    assert (broken / "training_log.json").read_text() == (unbroken / "training_log.json").read_text()
    log = json.loads((broken / "training_log.json").read_text())["log"]
    assert log[-1]["epoch"] == pytest.approx(epochs)
    assert len(log) > 6


def test_windows_of_epochs_may_differ(read: Any, make_file: Any) -> None:
    data = read("question_answering", long_contexts(make_file).held, fresh_copies=True, epochs=9, length=24)
    assert len({len(one) for one in data.passes}) > 1
    assert data.steps(9, 4) == -(-sum(map(len, data.passes)) // 4)
    assert data.steps(8.5, 4) == -(-(sum(map(len, data.passes[:8])) + len(data.passes[8]) / 2) // 4)


def test_every_seed_of_the_copies_is_refused(make_file: Any, train_tiny: Any) -> None:
    folder = train_tiny("tagging", make_file("tagging"), system="bert_aug", epochs=1.5, augment_seed=7)
    augment = said(folder)["augment"]
    assert (augment["fresh"], augment["seed"], augment["seeds"]) == (True, 7, 2)
    assert said(folder)["train"]["attacked_copies"] == 48
    system, file = load_system(folder), make_file("tagging")
    for seed in (7, 8):
        with pytest.raises(InputError, match=f"an attack with seed {seed}, which the system's training copies"):
            system.check(file, "", SimpleNamespace(seed=seed))  # type: ignore[arg-type]
    system.check(file, "", SimpleNamespace(seed=9))  # type: ignore[arg-type]


def test_what_decides_fixed_copies_is_what_it_was(tasks: dict[str, Task]) -> None:
    """New options change no key of a result that was stored without them."""
    asked = AugmentOptions(suite="mixed")
    assert asked.decides(None) == {"suite": "mixed", "share": 1.0, "seed": None, "without": []}
    assert AugmentOptions().decides("mixed")["fresh"] is True
    assert AugmentOptions(fresh=False).decides("mixed") == {**asked.decides(None), "suite": None}
    names = {"suite", "suite_sha256", "operators", "without", "share", "seed"}
    assert set(augmentation(tasks["tagging"]).decides()) == names
    later = augmentation(tasks["tagging"], fresh_copies=True, consistency=0.5).decides()
    assert {name: later[name] for name in later if name not in names} == {
        "fresh": True, "seeds": 3, "consistency": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ("question_answering", {"consistency": 1.0}, "consistency=: found 1 for question answering; expected 0, or a"),
        ("tagging", {"consistency": -1.0}, "consistency=: found -1"),
        ("tagging", {"augment_seed": 2**32 - 2, "fresh_copies": True}, "augment_seed=: found 4294967294.* 4294967293"),
        ("tagging", {"augment": "insert_space"}, "augment=: found insert_space, which changes the number of words"),
        ("tagging", {"augment": None, "fresh_copies": True}, "augment=: found none, and the system bert has none"),
    ],
)
def test_refuses(family: str, options: dict[str, Any], message: str, tasks: dict[str, Task]) -> None:
    with pytest.raises(InputError, match=message):
        augmentation(tasks[family], **options)


@dataclass
class Front:
    """A defence that changes letters to others, and keeps what it was given."""

    seen: list[Any] = field(default_factory=list)
    info = DefenceInfo(kind="front", name="front", sha256="1")

    def save(self, folder: Path) -> None:
        folder.mkdir()

    def correct(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        self.seen.append(sentences)
        return [[word.replace("a", "o") for word in words] for words in sentences]


def test_copies_and_examples_are_read_through_a_defence_as_files(read: Any, make_file: Any) -> None:
    """A defence that adapts to a file sees the examples, and the copies of each epoch, once and alone."""
    examples, front = make_file("tagging").held, Front()
    behind = read("tagging", examples, front, fresh_copies=True, epochs=2)
    assert len(front.seen) == 3
    assert {tuple(words) for words in front.seen[0]} == {one.fields["tokens"] for one in examples}
    bare = read("tagging", examples, fresh_copies=True, epochs=2)
    for start in (0, 24, 48):
        ids = ([one["input_ids"].tolist() for one in data.samples[start : start + 24]] for data in (behind, bare))
        assert next(ids) != next(ids)


def by_hand(logits: torch.Tensor, compared: Sequence[Sequence[int]]) -> float:
    """Return the divergence from its definition, prediction by prediction."""
    values = []
    for row, position, other, place in compared:
        p, q = (
            np.exp(one) / np.exp(one).sum() for one in (logits[row, position].numpy(), logits[other, place].numpy())
        )
        values.append(((p * np.log(p / q)).sum() + (q * np.log(q / p)).sum()) / 2)
    return float(np.mean(values))


def test_the_divergence_is_that_of_its_definition() -> None:
    logits = torch.tensor(np.random.default_rng(0).normal(size=(4, 5, 3)))
    compared = [[0, 1, 1, 2], [0, 4, 1, 4], [2, 0, 3, 1]]
    assert float(divergence(logits, torch.tensor(compared))) == pytest.approx(by_hand(logits, compared))
    classes = logits[:, 0]
    assert float(divergence(classes, torch.tensor([[0, 0, 1, 0]]))) == pytest.approx(by_hand(logits, [[0, 0, 1, 0]]))
    assert float(divergence(logits, torch.zeros((0, 4), dtype=torch.int64))) == 0
    assert float(divergence(logits, torch.tensor([[2, 3, 2, 3]]))) == 0


def test_words_that_both_windows_hold_are_compared(read: Any, make_file: Any) -> None:
    """An example and its copy stand side by side; pieces of a mistyped word move those behind it, and the cut."""
    examples = make_file("tagging", 12).held
    data = read("tagging", examples, consistency=2.0, augment_share=0.5, length=8)
    assert (len(data.samples), data.copies, data.windows, data.consistency) == (12, 6, 18, 2.0)
    assert data.batch_size(8) == 4
    assert data.batch_size(1) == 1
    pairs = [sample for sample in data.samples if isinstance(sample, Pair)]
    assert sum(pair.copy is not None for pair in pairs) == 6
    for pair in pairs:
        if pair.copy is None:
            assert pair.compared.shape == (0, 2)
            continue
        first = [np.flatnonzero(one["labels"] != -100) for one in (pair.clean, pair.copy)]
        both = min(map(len, first))
        assert pair.compared.tolist() == np.stack([one[:both] for one in first], axis=1).tolist()
        assert both
    batch = PairCollator(Collator({"input_ids": 0, "token_type_ids": 0, "attention_mask": 0, "labels": -100}))(pairs)
    assert len(batch["input_ids"]) == 18
    for row, position, other, place in batch["compared"].tolist():
        assert other == row + 1
        assert batch["labels"][row, position] == batch["labels"][other, place] != -100


@pytest.mark.parametrize("family", ["tagging", "classification"])
def test_the_loss_of_a_batch_is_that_of_its_parts(
    family: str, read: Any, make_file: Any, tiny_base: str, tmp_path: Path
) -> None:
    from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, TrainingArguments

    kind = AutoModelForTokenClassification if family == "tagging" else AutoModelForSequenceClassification
    torch.manual_seed(0)
    model = kind.from_pretrained(tiny_base, num_labels=3).eval()
    data = read(family, make_file(family, 6).held, consistency=0.7)
    system = BertSystem.open(Path(tiny_base), words=True)
    batch = PairCollator(Collator({**system.padding(), "labels": -100}))(data.samples)
    trainer = _Trainer(model=model, args=TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none"))
    trainer.consistency = 0.7
    compared = batch["compared"]
    assert len(compared) >= 6
    with torch.no_grad():
        loss = trainer.compute_loss(model, dict(batch))
        outputs = model(**{name: value for name, value in batch.items() if name != "compared"})
    logits = outputs.logits if family == "tagging" else outputs.logits[:, None]
    assert float(loss) == pytest.approx(float(outputs.loss) + 0.7 * by_hand(logits, compared.tolist()), rel=1e-5)


def test_consistency_brings_predictions_together(read: Any, make_file: Any, train_tiny: Any) -> None:
    """0 is training as it was; a weight brings what is said of examples and of their copies together."""
    file = make_file("classification")
    options: Any = {"augment": "mixed", "epochs": 8}
    plain = train_tiny("classification", file, name="plain", **options)
    zero = train_tiny("classification", file, name="zero", consistency=0.0, **options)
    assert digest(zero) == digest(plain)
    assert said(zero)["run"] == said(plain)["run"]
    weighed = train_tiny("classification", file, name="weighed", consistency=20.0, **options)
    assert said(weighed)["augment"]["consistency"] == 20.0
    systems = [load_system(folder) for folder in (plain, weighed)]
    pairs = read("classification", file.held, consistency=1.0).samples
    batch = PairCollator(Collator({**systems[0].kind.padding(), "labels": -100}))(pairs)
    compared = batch.pop("compared")
    with torch.no_grad():
        apart, together = (float(divergence(system.model(**batch).logits, compared)) for system in systems)
    assert together < apart / 2


def test_weights_are_shared_unless_training_reads_through_the_defence(
    make_file: Any, train_tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without copies a defence stands in front at prediction only; with copies it decides what is read in training."""
    front = Front()
    monkeypatch.setattr("robustbench_char.training.finetune.open_defence", lambda name: front)
    file, options = make_file("tagging"), {"epochs": 1, "augment": "mixed"}
    bare, behind = (train_tiny("tagging", file, name=f"{name}", epochs=1, defence=name) for name in (None, "front"))
    assert said(bare)["training"] == said(behind)["training"]
    assert digest(bare) == digest(behind)
    assert not front.seen
    copied = train_tiny("tagging", file, name="copied", **options)
    through = train_tiny("tagging", file, name="through", defence="front", **options)
    assert said(copied)["training"] != said(through)["training"]
    assert digest(copied) != digest(through)
    assert len(front.seen) == 2
    assert said(through)["defence"]["name"] == "front"
    with pytest.raises(InputError, match="trained on something else, or with other settings"):
        train_tiny("tagging", file, name="taken", defence="front", weights=copied, **options)
