"""Training a word recogniser from plain text, or from the texts of a task, under any attack suite."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from robustbench_char.attacks.suites import Suite
from robustbench_char.common import InputError
from robustbench_char.common.files import check_output, output_folder
from robustbench_char.common.options import Option
from robustbench_char.common.process import progress_bar
from robustbench_char.common.provenance import Provenance, provenance
from robustbench_char.defences._sources import named, task_data
from robustbench_char.defences.wordrec._network import CharacterSet, ScRNN, packing
from robustbench_char.defences.wordrec._recogniser import Recogniser
from robustbench_char.defences.wordrec.files import BACKGROUND, CONFIG, RecogniserFile, check_recogniser
from robustbench_char.defences.wordrec.options import (
    BackOff,
    RecogniserKeywords,
    RecogniserSettings,
    check_words,
    resolve_recogniser,
)
from robustbench_char.defences.wordrec.sentences import Sentences, attacked, example_sentences, text_sentences
from robustbench_char.metrics.tagging import word_errors
from robustbench_char.tasks.base import NativeFile, Task
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import Input

__all__ = ["train_recogniser"]

HELD_OUT_EVERY = 20
"""One sentence of so many is kept out of training, to measure on."""
_ENOUGH, _EPOCHS = 1_800_000, (6, 100)
"""Words that training sees by default, and the least and most epochs: less text takes more of them."""


def train_recogniser(
    *,
    output: Path | str,
    text: Path | str | Sequence[Path | str] = (),
    task: Task | Path | str | None = None,
    input: Input | None = None,
    data: str | None = None,
    hub: bool = False,
    split: str | None = None,
    data_dir: Path | str | None = None,
    examples: int | None = None,
    seed: int = 0,
    back_off: BackOff = "pass_through",
    background: Path | str | None = None,
    keep_case: bool = True,
    leave_numbers_and_punctuation: bool = True,
    overwrite: bool = False,
    progress: bool = True,
    **options: Unpack[RecogniserKeywords],
) -> Path:
    """Train a recogniser and write it to `output` atomically; return the folder.

    Words come from plain text, or from the (first) `examples` of a task's data, named as in `open_source`. `back_off`
    says what stands for an unknown word: itself, "a" (neutral), or the answer of the recogniser `background`. `options`
    are those of `options.RecogniserOptions`. Raises InputError for bad input.
    """
    started, output = time.monotonic(), Path(output)
    texts = [Path(path) for path in ([text] if isinstance(text, str | Path) else text)]
    record = None if task is None else get_task(task, "--task")
    source = task_data(record, {"input": input, "data": data, "hub": hub, "split": split, "data_dir": data_dir})
    inputs = [*texts, source.path] if source else texts
    second = _second(back_off, background)
    if not (output / CONFIG).is_file():
        check_output(output, overwrite=overwrite, inputs=inputs)
    chosen, suite = resolve_recogniser(options, seed=seed, task=record)
    run = _Run(chosen, suite, _read(chosen, texts, source, examples))
    recogniser = Recogniser(run.file(back_off, keep_case, leave_numbers_and_punctuation), run.network, second)
    if not run.is_finished(output, recogniser):
        run.write(recogniser, output, started, progress=progress, overwrite=overwrite, inputs=inputs)
    return output


def _second(back_off: BackOff, background: Path | str | None) -> Recogniser | None:
    """Return the recogniser that answers for unknown words, where there is one."""
    if (back_off == "background") != (background is not None):
        raise InputError(Option("background"), found="a background recogniser and the back-off background apart",
                         expected="both or neither",
                         fix="`background=` and `back_off=` background must be given together.")  # fmt: skip
    return None if background is None else Recogniser.load(Path(background), back_off="pass_through")


def _versions(made_by: Provenance | None) -> object:
    return made_by and (made_by.package_version, made_by.libraries)


def enough_epochs(sentences: Sentences) -> int:
    """Return the epochs that training takes by default."""
    least, most = _EPOCHS
    return min(most, max(least, math.ceil(_ENOUGH / max(1, sum(map(len, sentences))))))


@dataclass(frozen=True)
class _Data:
    """Sentences to train on, those held out, and what they were read from."""

    train: Sentences
    held_out: Sentences
    sources: list[dict[str, Any]]


def _read(
    settings: RecogniserSettings, texts: Sequence[Path], source: NativeFile | None, examples: int | None
) -> _Data:
    check_words(texts, source)
    cut: dict[str, Any] = {"splitter": settings.splitter, "longest": settings.max_words, "limit": settings.limit}
    if source is not None:
        sentences, paths = example_sentences(islice(source.examples(), examples), **cut), [source.path]
    else:
        sentences, paths = text_sentences(texts, **cut), list(texts)
    kept = [words for number, words in enumerate(sentences) if number % HELD_OUT_EVERY != HELD_OUT_EVERY - 1]
    held_out = sentences[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    if not held_out:
        expected = f"at least {HELD_OUT_EVERY}, of which every {HELD_OUT_EVERY}th is held out"
        raise InputError(paths[0], found=f"{len(sentences)} sentences", expected=expected, fix="Train on more text.")
    return _Data(kept, held_out, named(paths))


@dataclass
class _Run:
    """One training: the network, its vocabularies, and what was logged.

    The weights of the epoch after which fewest held-out words are wrong are kept, as in the reference implementation.
    """

    settings: RecogniserSettings
    suite: Suite
    data: _Data
    log: list[dict[str, float]] = field(default_factory=list)
    words_seen: int = 0
    steps: int = 0
    kept_epoch: int = 0

    def __post_init__(self) -> None:
        epochs = self.settings.epochs or enough_epochs(self.data.train)
        self.settings = self.settings.model_copy(update={"epochs": epochs})
        flat = [word for words in self.data.train for word in words]
        counts = Counter(map(str.lower, flat))
        self.words = tuple(sorted(counts, key=lambda word: (-counts[word], word))[: self.settings.vocabulary])
        self.characters = CharacterSet.build(flat, lower=self.settings.lower, size=self.settings.characters)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            self.network = ScRNN(len(self.characters), self.settings.hidden_size, len(self.words) + 1)
        classes, unknown = {word: number for number, word in enumerate(self.words)}, len(self.words)
        numbers = ([classes.get(word.lower(), unknown) for word in words] for words in self.data.train)
        self._targets = [np.array(row, np.int64) for row in numbers]
        self._bad = attacked(self.data.held_out, self.suite, seed=self.settings.seed, stream="recogniser-held-out")

    def write(
        self, recogniser: Recogniser, output: Path, started: float, *, progress: bool, overwrite: bool,
        inputs: Sequence[Path],
    ) -> None:  # fmt: skip
        """Train the recogniser, and write it to a folder."""
        check_output(output, overwrite=overwrite, inputs=inputs)
        with output_folder(output, overwrite=overwrite, volatile=(CONFIG,), inputs=inputs) as folder:
            self.train(recogniser, progress, started)
            recogniser.save(folder)

    def train(self, recogniser: Recogniser, progress: bool, started: float) -> None:
        """Train for all epochs, or until the last step; each epoch draws another attack. Note it in the recogniser."""
        device = torch.accelerator.current_accelerator() or torch.device("cpu")
        recogniser.to(device)
        least, kept = math.inf, self.network.state_dict()
        optimizer = torch.optim.Adam(self.network.parameters(), lr=self.settings.learning_rate)
        with progress_bar(progress) as bar:
            shown = bar.add_task("training the recogniser", total=self.settings.epochs)
            for epoch in range(self.settings.epochs or 0):
                if self.steps == self.settings.steps:
                    bar.update(shown, total=epoch)
                    break
                loss = float(torch.stack(list(self._epoch(epoch, optimizer, device))).mean())
                wrong = self._held_out_errors(recogniser.to(device))
                self.log.append({"epoch": epoch + 1, "step": self.steps, "loss": loss, "wer_after": wrong})
                if wrong < least:
                    least, self.kept_epoch = wrong, epoch + 1
                    kept = {name: weight.clone() for name, weight in self.network.state_dict().items()}
                bar.advance(shown)
        self.network.load_state_dict(kept)
        self._note(recogniser.to("cpu"), started)

    def _held_out_errors(self, recogniser: Recogniser) -> float:
        self.network.eval()
        return word_errors(self.data.held_out, recogniser.correct(self._bad)) or 0.0

    def _epoch(self, epoch: int, optimizer: torch.optim.Optimizer, device: torch.device) -> Iterator[torch.Tensor]:
        self.network.train()
        noised = attacked(self.data.train, self.suite, seed=self.settings.seed, stream=f"recogniser-{epoch}")
        for chosen in self._batches(epoch):
            if self.steps == self.settings.steps:
                return
            targets = [self._targets[number] for number in chosen]
            loss = self._loss([noised[number] for number in chosen], targets, device)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            self.steps += 1
            self.words_seen += sum(map(len, targets))
            yield loss.detach()

    def _batches(self, epoch: int) -> list[list[int]]:
        """Return batches of sentences of like length, longest first within each, in an order drawn per epoch."""
        draw = np.random.default_rng([self.settings.seed, epoch])
        lengths = np.array([len(words) for words in self.data.train], np.int64)
        order = np.lexsort((draw.permutation(len(lengths)), -lengths))
        group = np.cumsum(lengths[order]) // self.settings.batch_words
        batches = [part.tolist() for part in np.split(order, np.flatnonzero(np.diff(group)) + 1)]
        return [batches[number] for number in draw.permutation(len(batches))]

    def _loss(self, sentences: Sentences, targets: Sequence[NDArray[np.int64]], device: torch.device) -> torch.Tensor:
        numbers: dict[str, int] = {}
        ids = np.array([numbers.setdefault(word, len(numbers)) for words in sentences for word in words], np.int64)
        sizes, forward, _ = packing(np.array([len(words) for words in sentences], np.int64))
        vectors = torch.from_numpy(self.characters.vectors(list(numbers))).to(device)
        index, right = torch.from_numpy(ids[forward]).to(device), np.concatenate(targets)[forward]
        states = self.network(vectors, index, torch.from_numpy(sizes))
        return nn.functional.cross_entropy(self.network.output(states), torch.from_numpy(right).to(device))

    def file(self, back_off: BackOff, keep_case: bool, leave_numbers_and_punctuation: bool) -> RecogniserFile:
        """Return the config of the trained recogniser, without its history."""
        return RecogniserFile(
            **self.settings.model_dump(include={"hidden_size", "lower", "max_words", "splitter"}),
            back_off=back_off,
            keep_case=keep_case,
            leave_numbers_and_punctuation=leave_numbers_and_punctuation,
            characters=self.characters.characters,
            words=self.words,
            weights_sha256="",
            provenance=provenance(),
        )

    def is_finished(self, folder: Path, recogniser: Recogniser) -> bool:
        """Return whether `folder` holds the whole result of this run: as this version and these libraries make it."""
        file, second = recogniser.file, recogniser.background
        try:
            there = check_recogniser(folder)
            behind = second and check_recogniser(folder / BACKGROUND).weights_sha256
        except InputError:
            return False
        later = {"training": None, "weights_sha256": "", "provenance": file.provenance}
        return (
            there.model_copy(update=later) == file
            and self._decided.items() <= (there.training or {}).items()
            and _versions(there.provenance) == _versions(file.provenance)
            and behind == (second and second.file.weights_sha256)
        )

    @property
    def _decided(self) -> dict[str, Any]:
        """What is known of the training before it."""
        return {
            "texts": self.data.sources,
            "suite_sha256": self.suite.sha256,
            "operators": list(self.suite.operators),
            "word_edits": self.suite.edits_per_word,
            "settings": self.settings.model_dump(mode="json"),
            "train_words": sum(map(len, self.data.train)),
        }

    def _note(self, recogniser: Recogniser, started: float) -> None:
        """Put into the recogniser's file what the training was, with word error rates on the held-out sentences.

        They chose the epoch, too: `defence-price` measures on text that had no part in training.
        """
        clean, bad = self.data.held_out, self._bad
        training = {
            **self._decided,
            "words_seen": self.words_seen,
            "steps": self.steps,
            "kept_epoch": self.kept_epoch,
            "held_out_words": sum(map(len, clean)),
            "wer_before": word_errors(clean, bad),
            "wer_after": word_errors(clean, recogniser.correct(bad)),
            "clean_changed": word_errors(clean, recogniser.correct(clean)),
            "log": self.log,
            "wall_seconds": time.monotonic() - started,
        }
        recogniser.file = recogniser.file.model_copy(update={"training": training})
