"""Pre-training the characters of CharBERT alone: by its key a word with typos is found among those that are known.

Keys of a noised word and of the word itself are drawn together, against the other words of the batch (contrastive, as
in LOVE, Chen et al. 2022, and MockingBERT, Boreshban et al. 2022, whose vectors are trained to be the base's own; keys
carry over to words that were never trained on, where such vectors do not). Then how surely a key is read is calibrated.
Shape legend: N words, M characters, W known words, K nearest ones, D hidden.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from robustbench_char.attacks.engine import Batch, attack_batch
from robustbench_char.attacks.keys import text_keys
from robustbench_char.attacks.suites import Suite, load_suites
from robustbench_char.common import InputError
from robustbench_char.common.files import check_output, output_folder, safe_name, sha256_file
from robustbench_char.common.options import Option
from robustbench_char.common.process import progress_bar
from robustbench_char.common.provenance import provenance
from robustbench_char.models.bases import Base, resolve_base
from robustbench_char.models.charbert.character_encoders import KnownWords
from robustbench_char.models.charbert.characters import CharacterVocabulary
from robustbench_char.models.charbert.known_words import Lexicon, character_model, fill, read_words, spelled, sub_words
from robustbench_char.models.charbert.modeling import CharBertForMaskedLM
from robustbench_char.models.charbert.processor import CharBertProcessor, case_of
from robustbench_char.models.checkpoints import load_config, load_tokenizer
from robustbench_char.models.folders import weights_sha256
from robustbench_char.records.training import TrainedAttackInfo
from robustbench_char.training import saved
from robustbench_char.training._examples import attacks_on, marks_of
from robustbench_char.training.checkpoints import machine, run_key
from robustbench_char.training.loop import refuse_diverged
from robustbench_char.training.pretraining._blocks import Corpus
from robustbench_char.training.pretraining._noise import TermVocabulary
from robustbench_char.training.pretraining._trainer import Scores
from robustbench_char.training.pretraining.options import CharacterSettings, PretrainOptions, resolve_characters

TEMPERATURE = 0.05
HELD_OUT, MOST_HELD_OUT = 0.05, 2000
"""Share of the known words that are never trained on, and the most of them."""
SCORED = 1000
"""Words that each score is over, at most."""
OPERATORS = ("drop", "add", "swap", "keyboard")
"""Suites that words are scored under."""
_CALIBRATED, _NEAREST, _STEPS = 8192, 32, 300
"""Words, nearest known words of each, and steps of the calibration."""
_STRANGERS = 5
"""One in so many of those words is read as if it was not known."""


@dataclass(frozen=True)
class CharacterPlan:
    """One run as resolved, before anything is trained."""

    base: Base
    settings: CharacterSettings
    suite: Suite
    tokenizer: PreTrainedTokenizerFast
    lexicon: Lexicon
    files: tuple[saved.TextInfo, ...]
    attacks: tuple[TrainedAttackInfo, ...]
    inputs: tuple[Path, ...]

    @cached_property
    def characters(self) -> CharacterVocabulary:
        """The characters of the known words."""
        return CharacterVocabulary.build(
            self.lexicon.words, self.settings.char_vocab_size, self.settings.character_case, "word"
        )

    @cached_property
    def run(self) -> str:
        """The hash of all that decides the result."""
        base = [self.base.name, self.base.weights_sha256, self.base.reading_sha256]
        decides = {"system": "characters", "base": base, "settings": self.settings.model_dump(mode="json")}
        texts = [file.sha256 for file in self.files]
        return run_key({**decides, "texts": texts, **marks_of(self.attacks), **machine()})


def earlier_run(base: Base, system: str) -> str | None:
    """Return the run that pre-trained a base. Raises InputError when that was for another system."""
    earlier = saved.read_pretraining(base.folder)
    converted = load_config(base.folder).model_type == "charbert"
    trained_for = earlier.system if earlier else "charbert" if converted else None
    own = () if system == "characters" else (system, *saved.ALSO.get(system, ()))
    if trained_for not in (None, *own):
        found = f"{base.name}, a base that was pre-trained for {trained_for}"
        expected = "a plain base checkpoint" + "".join(f", or one that `pretrain {name}` wrote" for name in own)
        raise InputError(Option("base"), found=found, expected=expected, fix="Choose another base.")
    return earlier.run if earlier else None


def prepare_characters(
    base: str, options: PretrainOptions, seed: int, lists: list[Path], texts: list[Path], heldout: list[Path]
) -> CharacterPlan:
    """Resolve a run. Raises InputError for what cannot be run, and for a list without a word that can be known."""
    if heldout:
        expected, fix = "no held-out text: characters are scored on held-out words", "Leave it out."
        raise InputError(Option("heldout"), found=str(heldout[0]), expected=expected, fix=fix)
    start = resolve_base(base)
    earlier_run(start, "characters")
    tokenizer = load_tokenizer(start.folder)
    lower = case_of(tokenizer) == "lower"
    settings, suite = resolve_characters(options, seed=seed, lower=lower, text=bool(texts))
    words = [word for path in lists for word in _listed(path, tokenizer, settings)]
    if texts:
        counted = Corpus.of(texts, part="all", option="text").survey(terms="treebank_sentences")
        words += TermVocabulary.build(counted.counter, size=cast(int, settings.term_vocab_size), unknown="ignore").terms
    files = tuple(saved.TextInfo(name=safe_name(str(path)), sha256=sha256_file(path)) for path in (*lists, *texts))
    lexicon = Lexicon.of(tokenizer, words, settings.character_case)
    attacks = attacks_on(zip((*lists, *texts), (file.sha256 for file in files), strict=True))
    inputs = (*lists, *texts, start.folder)
    return CharacterPlan(start, settings, suite, tokenizer, lexicon, files, attacks, inputs)


def _listed(path: Path, tokenizer: PreTrainedTokenizerFast, settings: CharacterSettings) -> list[str]:
    words = read_words(path)
    if not Lexicon.of(tokenizer, words, settings.character_case, own=False).words:
        found, expected = f"no word that the base can read ({words[0][:40]!r}, ...)", "one word of letters per line"
        raise InputError(path, found=found, expected=expected, fix="Give a word list for this base.")
    return words


def train_characters(plan: CharacterPlan, output: Path, *, overwrite: bool, progress: bool) -> saved.PretrainedEncoder:
    """Train, calibrate and score the characters, and write CharBERT with them to `output` atomically.

    Raises InputError when training diverges.
    """
    if not saved.finished_run(output, plan.run, pretraining=True):
        check_output(output, overwrite=overwrite, inputs=plan.inputs)
        start, seed = time.monotonic(), plan.settings.seed
        model, encoder = character_model(plan.base.folder, plan.lexicon, plan.characters, seed=seed)
        training = _Training(plan, encoder)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            log = training.train(progress)
            refuse_diverged(model, "new_learning_rate")
            fill(training.encoder, plan.lexicon, plan.characters)
            training.calibrate()
        heldout = training.scores(model)
        with output_folder(output, overwrite=overwrite, volatile=saved.VOLATILE, inputs=plan.inputs) as scratch:
            saved.save_model(scratch, model)
            CharBertProcessor(plan.tokenizer, plan.characters, plan.settings.character_case).save_pretrained(scratch)
            _write_history(scratch, plan, model, log, heldout, time.monotonic() - start)
    return saved.PretrainedEncoder(output)


def _write_history(
    folder: Path, plan: CharacterPlan, model: CharBertForMaskedLM, log: list[Any], heldout: Scores, seconds: float
) -> None:
    steps, base = plan.settings.steps, plan.base
    record = saved.PretrainingFile(
        system="characters",
        base=saved.BaseInfo(name=base.name, revision=base.revision, weights_sha256=base.weights_sha256),
        continues=None,
        settings=plan.settings,
        texts=plan.files,
        heldout_texts=(),
        lines=0,
        words=len(plan.lexicon.words),
        processes=1,
        steps=steps,
        tokens=0,
        passes=-(-steps * plan.settings.batch_size // len(plan.lexicon.words)),
        wall_seconds=seconds,
        tokens_per_second=None,
        parameters=sum(weight.numel() for weight in model.parameters()),
        heldout=heldout,
        weights_sha256=weights_sha256(folder),
        run=plan.run,
        provenance=provenance(),
        character_noise=plan.suite.name,
        character_operators=tuple(plan.suite.operators),
        attacks=plan.attacks,
    )
    saved.write_history(folder, record, log=log, heldout=[{"step": steps, **heldout}])


class _Training:
    """Trains a character encoder in place. Words are named by their numbers in the lexicon."""

    def __init__(self, plan: CharacterPlan, encoder: KnownWords) -> None:
        self.plan, self.encoder, self.settings = plan, encoder, plan.settings
        self.words = np.array(plan.lexicon.words, dtype=object)
        self.random = np.random.default_rng(plan.settings.seed)
        order = self.random.permutation(len(self.words))
        held = min(MOST_HELD_OUT, int(HELD_OUT * len(order)))
        self.held_out, self.trained = order[:held], order[held:]

    def spelled(self, words: Sequence[str]) -> Tensor:
        """Return the characters of words [N, M]."""
        return spelled(words, self.plan.characters)

    def noised(self, words: Sequence[str], stream: str, suite: Suite | None = None) -> list[str]:
        """Return words as a suite (default: that of the settings) leaves them; `stream` names the draws."""
        suite = suite or self.plan.suite
        keys = text_keys([stream], seed=self.settings.seed, family=suite.family, task="pretrain")
        noised = attack_batch(Batch([" ".join(words)], keys), suite).texts[0].split(" ")
        return [new or old for new, old in zip(noised, words, strict=True)]

    def batches(self) -> Iterator[tuple[Sequence[str], list[str]]]:
        """Yield words and the same noised, pass after pass over those that are trained on."""
        size, passed = min(self.settings.batch_size, len(self.trained)), 0
        while True:
            words = self.words[self.random.permutation(self.trained)].tolist()
            noised = self.noised(words, f"pass {passed}")
            for at in range(0, len(words) - size + 1, size):
                yield words[at : at + size], noised[at : at + size]
            passed += 1

    def train(self, progress: bool) -> list[dict[str, float]]:
        """Train the keys, and return the log of the loss."""
        weights, steps, log = list(self._weights()), self.settings.steps, []
        optimizer = torch.optim.AdamW(weights, lr=self.settings.new_learning_rate, weight_decay=0.0)
        rates = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.settings.new_learning_rate, max(steps, 1), pct_start=0.1
        )
        with progress_bar(progress) as bar:
            task = bar.add_task("training", total=steps)
            for step, (words, noised) in zip(range(1, steps + 1), self.batches(), strict=False):
                loss = self._loss(self.spelled(noised), self.spelled(words))
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                rates.step()
                bar.advance(task)
                if step % 100 == 0 or step == steps:
                    log.append({"step": step, "loss": float(loss.detach())})
        for weight in weights:
            weight.requires_grad_(False)
        return log

    def _weights(self) -> Iterator[Tensor]:
        for name, weight in self.encoder.named_parameters():
            if name != "weighing":
                yield weight.requires_grad_(True)

    def _loss(self, noised: Tensor, clean: Tensor) -> Tensor:
        likeness = self.encoder.encode(noised) @ self.encoder.encode(clean).T / TEMPERATURE
        target = torch.arange(len(likeness))
        return (functional.cross_entropy(likeness, target) + functional.cross_entropy(likeness.T, target)) / 2

    def calibrate(self) -> None:
        """Fit how much likeness of keys, frequency of words and the prior of unknown words count.

        Words are noised as in training; some of them are read as if they were not known.
        """
        chosen = self.random.permutation(len(self.words))[:_CALIBRATED]
        with torch.no_grad():
            keys = self.encoder.encode(self.spelled(self.noised(self.words[chosen].tolist(), "calibration")))
            likeness = keys @ cast(Tensor, self.encoder.keys).T
            own, rows = torch.from_numpy(chosen), torch.arange(len(chosen))
            strangers = rows % _STRANGERS == 0
            likeness[rows[strangers], own[strangers]] = -torch.inf
            top, found = likeness.topk(min(_NEAREST, likeness.shape[1]))
            hit = found == own.unsqueeze(1)
            target = torch.where(strangers, top.shape[1], hit.int().argmax(1))
            usable = strangers | hit.any(1)
            top, prior, target = top[usable], cast(Tensor, self.encoder.prior)[found[usable]], target[usable]
        weighing = torch.tensor([20.0, 0.1, 15.0], requires_grad=True)
        optimizer = torch.optim.Adam([weighing], lr=0.5)
        for _ in range(_STEPS):
            scores = weighing[0] * top + weighing[1] * prior
            loss = functional.cross_entropy(torch.cat([scores, weighing[2].expand(len(top), 1)], 1), target)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
        with torch.no_grad():
            self.encoder.weighing.copy_(weighing)

    @torch.no_grad()
    def scores(self, model: CharBertForMaskedLM) -> Scores:
        """Return, for words that were trained on and held out and for each operator, two means over noised words.

        `hit_at_1`: the share whose likeliest reading is the word that was meant. `cosine`: between the vector that is
        read and the embedding of that word, the mean of its sub-words.
        """
        scores: Scores = {}
        for part, numbers in (("trained", self.trained), ("held_out", self.held_out)):
            for operator in OPERATORS:
                (suite,) = load_suites(operator, task="pretrain", place=Option("suite"))
                words = self.words[numbers].tolist()
                noised = self.noised(words, "scores", suite)
                changed = [at for at, (new, old) in enumerate(zip(noised, words, strict=True)) if new != old][:SCORED]
                if changed:
                    hit, cosine = self._score(model, numbers[changed], [noised[at] for at in changed])
                    scores |= {f"{part}_{operator}_hit_at_1": hit, f"{part}_{operator}_cosine": cosine}
        return scores

    def _score(self, model: CharBertForMaskedLM, numbers: Any, noised: list[str]) -> tuple[float, float]:
        table, target = model.charbert.get_input_embeddings(), torch.from_numpy(numbers)
        characters = self.spelled(noised)
        shares, found = self.encoder.recognise(characters)
        best = torch.cat([found, torch.full((len(found), 1), -1)], dim=1).gather(1, shares.argmax(1, keepdim=True))
        read, own = self.encoder.read(characters, torch.float32, table)
        written = torch.stack([_mean(table, torch.tensor(ids)) for ids in sub_words(self.plan.tokenizer, noised)])
        meant = torch.stack([_mean(table, ids[ids >= 0]) for ids in self.plan.lexicon.pieces[target]])
        cosine = functional.cosine_similarity(read + own.unsqueeze(-1) * written, meant)
        return float((best.squeeze(1) == target).double().mean()), float(cosine.double().mean())


def _mean(table: Any, ids: Tensor) -> Tensor:
    return cast(Tensor, table(ids).mean(0))
