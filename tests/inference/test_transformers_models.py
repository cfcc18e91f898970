"""Models that were fine-tuned elsewhere say what a plain loop with Transformers says, whatever shares their batch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from robustbench_char.inference.opening import open_model
from robustbench_char.metrics.base import QaPrediction
from robustbench_char.metrics.tagging import bio2
from robustbench_char.tasks.base import Example, Task
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import open_source

pytestmark = pytest.mark.models

TASKS = {"classification": "mrpc", "tagging": "conll2003", "question_answering": "squad_v2"}
LABELS = {
    "classification": ("not_equivalent", "equivalent"),
    "tagging": ("O", *(f"{mark}-{kind}" for kind in ("PER", "ORG", "LOC", "MISC") for mark in "BI")),
    "question_answering": (),
}
QUICK = ("Bert", "Roberta", "DistilBert", "DebertaV2", "Albert", "MPNet", "Canine", "ModernBert", "Funnel", "T5")
SLOW = ("Electra", "XLMRoberta", "BigBird", "Bart", "GPT2")
CASES = [
    pytest.param(architecture, family, marks=[pytest.mark.slow] if architecture in SLOW else [])
    for architecture in QUICK + SLOW
    for family in TASKS
    if (architecture, family) != ("Bart", "tagging")
]


@pytest.fixture(scope="module")
def make(fine_tuned: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that saves a fine-tuned model once."""
    made: dict[Any, Path] = {}

    def model(architecture: str, family: str) -> Path:
        if (architecture, family) not in made:
            folder = tmp_path_factory.mktemp(architecture) / family
            made[architecture, family] = fine_tuned(folder, architecture, family, LABELS[family])
        return made[architecture, family]

    return model


@pytest.fixture(scope="module")
def examples() -> Callable[[str], tuple[Task, list[Example]]]:
    """Return a function from a family to its task, and examples of different lengths."""

    def some(family: str) -> tuple[Task, list[Example]]:
        task = get_task(TASKS[family])
        held = list(open_source(task, data="mini").examples())[:8]
        if family == "classification":  # cut, a pair of texts is cut by fast tokenizers otherwise than by slow ones
            held = [one._replace(fields={name: text[:40] for name, text in one.fields.items()}) for one in held]
        if family == "question_answering":  # ours are cut to a third of what these tiny models read
            held = [one._replace(fields={**one.fields, "question": one.fields["question"][:24]}) for one in held]
        return task, held

    return some


class Plain:
    """A plain loop: one text at a time, no padding, argmax over the logits."""

    def __init__(self, folder: Path, family: str, settings: dict[str, Any]) -> None:
        self.kind = {"classification": "SequenceClassification", "tagging": "TokenClassification"}.get(
            family, "QuestionAnswering"
        )
        self.settings = settings
        self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
        if family == "tagging" and self.tokenizer.tokenize(" a") != self.tokenizer.tokenize("a"):
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
        self.model: Any = getattr(transformers, f"AutoModelFor{self.kind}").from_pretrained(folder).eval()
        if self.model.config.model_type == "big_bird":  # as Transformers has it after the first short text
            self.model.base_model.set_attention_type("original_full")
        self.names = inspect.signature(self.model.forward).parameters

    def logits(self, inputs: Any) -> Any:
        with torch.no_grad():
            return self.model(**{key: value for key, value in inputs.items() if key in self.names})

    def tags(self, words: tuple[str, ...]) -> tuple[str | None, ...]:
        cut: dict[str, Any] = {"truncation": True, "max_length": self.settings["max_length"], "return_tensors": "pt"}
        if self.tokenizer.is_fast:
            inputs = self.tokenizer(list(words), is_split_into_words=True, **cut)
            owners = inputs.word_ids()
        else:  # of characters
            inputs = self.tokenizer(" ".join(words), **cut)
            length = inputs["input_ids"].shape[1]
            characters = [owner for number, word in enumerate(words) for owner in [*[number] * len(word), None]]
            owners = [None, *characters[: length - 2], None]
        best = self.logits(inputs).logits[0].argmax(-1).tolist()
        tags: list[str | None] = [None] * len(words)
        for owner, label in zip(owners, best, strict=False):
            if owner is not None and tags[owner] is None:
                tags[owner] = self.model.config.id2label[label]
        return tuple(tag and new for tag, new in zip(tags, bio2(tags), strict=True))

    def answer(self, question: str, context: str) -> tuple[str, str, float]:
        """Return the answer or none, the best span, and how much likelier no answer is: `run_qa.py` of Transformers."""
        nulls, spans = [], []
        for inputs, offsets in self.windows(question, context):
            output = self.logits(inputs)
            starts, ends = output.start_logits[0].tolist(), output.end_logits[0].tolist()
            nulls.append(starts[0] + ends[0])
            inside = [place for place, (first, last) in enumerate(offsets) if last > first >= 0]
            most = self.settings["n_best"]
            for start in sorted(inside, key=lambda place: -starts[place])[:most]:
                for end in sorted(inside, key=lambda place: -ends[place])[:most]:
                    if 0 <= end - start < self.settings["max_answer"]:
                        spans.append((starts[start] + ends[end], context[offsets[start][0] : offsets[end][1]]))
        score, text = max(spans, key=lambda span: span[0])
        return (text if score >= min(nulls) else ""), text, min(nulls) - score

    def windows(self, question: str, context: str) -> Iterator[tuple[Any, list[tuple[int, int]]]]:
        length, stride = self.settings["max_length"], self.settings["doc_stride"]
        if not self.tokenizer.is_fast:
            room = length - 3 - len(question)
            for start in range(0, max(len(context) - stride, 1), room - stride):
                part = context[start : start + room]
                inputs = self.tokenizer(question, part, return_tensors="pt")
                before = [(-1, -1)] * (len(question) + 2)
                yield inputs, [*before, *((start + at, start + at + 1) for at in range(len(part))), (-1, -1)]
            return
        batch = self.tokenizer(question, context, truncation="only_second", max_length=length, stride=stride,
                               return_overflowing_tokens=True, return_offsets_mapping=True)  # fmt: skip
        names = [name for name in batch if name in self.names]
        for number, encoding in enumerate(batch.encodings):
            texts = encoding.sequence_ids
            offsets = [one if text == 1 else (-1, -1) for one, text in zip(encoding.offsets, texts, strict=True)]
            yield {name: torch.tensor([batch[name][number]]) for name in names}, offsets


@pytest.mark.parametrize(("architecture", "family"), CASES)
def test_the_same_as_a_plain_loop(architecture: str, family: str, make: Callable[..., Path], examples: Any) -> None:
    folder = make(architecture, family)
    task, held = examples(family)
    source = open_model(folder, task)
    found = source.predict(held, batch_size=5, progress=False).values
    plain = Plain(folder, family, source.info.settings)
    if family == "classification":
        texts = [{"text": one.fields["sentence1"], "text_pair": one.fields["sentence2"]} for one in held]
        pipe: Any = transformers.pipeline("text-classification", model=str(folder))
        cut = {"truncation": True, "max_length": source.info.settings["max_length"]}
        assert list(found) == [pipe(text, **cut)["label"] for text in texts]
        return
    for one, said in zip(held, found, strict=True):
        if family == "tagging":
            assert said == plain.tags(one.fields["tokens"])
        else:
            assert isinstance(said, QaPrediction)
            text, best, odds = plain.answer(one.fields["question"], one.fields["context"])
            assert (said.text, said.best_text) == (text, best)
            assert said.null_odds == pytest.approx(odds, abs=1e-3)
