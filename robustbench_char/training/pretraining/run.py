"""Pre-training one system from plain text: from files to a folder that serves as `--base`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Unpack

from transformers import PreTrainedTokenizerFast, TrainerCallback

from robustbench_char.attacks.suites import Suite
from robustbench_char.common import InputError
from robustbench_char.common.files import check_output, output_folder
from robustbench_char.common.options import Option, options_of
from robustbench_char.common.provenance import provenance
from robustbench_char.models.bases import CHARBERT_MINILM, Base, resolve_base
from robustbench_char.models.charbert.characters import CharacterVocabulary
from robustbench_char.models.charbert.processor import CharBertProcessor
from robustbench_char.models.checkpoints import load_config, positions_of
from robustbench_char.models.folders import weights_sha256
from robustbench_char.records.training import TrainedAttackInfo
from robustbench_char.training import saved
from robustbench_char.training._examples import attacks_on, marks_of
from robustbench_char.training.checkpoints import default_store, forget_run, machine, run_key
from robustbench_char.training.pretraining._blocks import (
    BlockCollator,
    BlockMaker,
    Blocks,
    Corpus,
    Survey,
    heldout_blocks,
)
from robustbench_char.training.pretraining._characters import earlier_run, prepare_characters, train_characters
from robustbench_char.training.pretraining._models import (
    Built,
    PieceCharacters,
    build_charbert,
    build_encoder,
    fixed_vocabularies,
    open_tokenizer,
    plain,
)
from robustbench_char.training.pretraining._noise import Masker, Noiser, TermVocabulary
from robustbench_char.training.pretraining._trainer import (
    HeldOut,
    Log,
    PretrainLoop,
    is_main,
    processes,
    shared_run_folder,
)
from robustbench_char.training.pretraining.options import (
    PretrainKeywords,
    PretrainOptions,
    PretrainSettings,
    check_system,
    resolve_pretraining,
)

__all__ = ["pretrain"]


def pretrain(
    system: str,
    *,
    text: Path | str | Sequence[Path | str] | None = None,
    words: Path | str | Sequence[Path | str] | None = None,
    output: Path | str,
    base: Path | str = "minilm",
    heldout: Path | str | Sequence[Path | str] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    store: Path | str | None = None,
    save_seconds: float = 120.0,
    progress: bool = True,
    callbacks: Sequence[TrainerCallback] = (),
    **options: Unpack[PretrainKeywords],
) -> saved.PretrainedEncoder:
    """Pre-train a system on files of plain text and write it to `output` atomically; rerun the same call to resume.

    `options` are those of `options.PretrainOptions`; docs/systems.md describes the recipes. Without `heldout`, every
    100th line is held out. A base that `pretrain` wrote for the same system is trained on, with its vocabularies.
    `characters` trains the character encoder of `charbert` alone, on the words of the base, of lists (`words`) and of
    the text, if any; it takes minutes, and does not resume. `charbert` on `minilm` starts from `charbert-minilm`.
    Unfinished training is kept in `store` (default: the user's data folder), at most every `save_seconds`. Started by
    `torchrun` or `accelerate launch`, processes train together, each on `batch_size` blocks per step.
    Raises InputError for wrong options, an unusable base or text, and an `output` with other content.
    """
    check_system(system)
    (chosen,) = options_of(options, PretrainOptions)
    texts, lists, unseen = _paths(text), _paths(words), _paths(heldout)
    if system == "characters":
        plan = prepare_characters(str(base), chosen, seed, lists, texts, unseen)
        return train_characters(plan, Path(output), overwrite=overwrite, progress=progress)
    _refuse_words(lists)
    job, folder = _prepare(system, str(base), chosen, seed, texts, unseen), Path(output)
    loop = partial(PretrainLoop, save_seconds=save_seconds, progress=progress and is_main(), callbacks=tuple(callbacks))
    _finish(job, folder, overwrite, Path(store) if store else default_store(), loop)
    return saved.PretrainedEncoder(folder)


def _refuse_words(lists: list[Path]) -> None:
    if lists:
        expected, fix = "word lists for `pretrain characters` alone", "Leave it out, or give `text=`."
        raise InputError(Option("words"), found=str(lists[0]), expected=expected, fix=fix)


def _finish(job: _Job, folder: Path, overwrite: bool, store: Path, loop: Callable[..., PretrainLoop]) -> None:
    """Train and write the result of a run, where it is not there."""
    if not saved.finished_run(folder, job.run, pretraining=True):
        inputs = (*job.corpus.files, *job.heldout.files, job.base.folder)
        check_output(folder, overwrite=overwrite, inputs=inputs)
        with shared_run_folder(store, job.run) as (unfinished, checkpoint):
            trained = _train(job, loop(unfinished, checkpoint=checkpoint))
            if is_main():
                with output_folder(folder, overwrite=overwrite, volatile=saved.VOLATILE, inputs=inputs) as scratch:
                    _write(scratch, job, *trained)
    elif is_main():
        forget_run(store, job.run)


def _paths(files: Path | str | Sequence[Path | str] | None) -> list[Path]:
    return [Path(path) for path in ([files] if isinstance(files, Path | str) else files or ())]


@dataclass(frozen=True)
class _Job:
    """One run as resolved, before anything is trained."""

    system: str
    base: Base
    continues: str | None
    settings: PretrainSettings
    suite: Suite | None
    tokenizer: PreTrainedTokenizerFast
    corpus: Corpus
    heldout: Corpus
    survey: Survey
    terms: TermVocabulary | None
    characters: CharacterVocabulary | None
    attacks: tuple[TrainedAttackInfo, ...]
    processes: int

    @cached_property
    def processor(self) -> CharBertProcessor | None:
        """What reads characters, for CharBERT."""
        case = self.settings.character_case
        return CharBertProcessor(self.tokenizer, self.characters, case) if self.characters else None

    @cached_property
    def run(self) -> str:
        """The hash of all that decides the result."""
        decides = {
            "system": self.system,
            "base": [self.base.name, self.base.weights_sha256, self.base.reading_sha256, self.continues],
            "settings": self.settings.model_dump(mode="json"),
            "text": [[text.sha256 for text in part.infos] for part in (self.corpus, self.heldout)],
            "processes": self.processes,
            **marks_of(self.attacks),
        }
        if self.suite and self.suite.strength.rate is not None:
            decides["rounding"] = "at random"  # earlier versions rounded each line to the nearest number of words
        return run_key({**decides, **machine()})


def _prepare(
    system: str, base: str, options: PretrainOptions, seed: int, texts: list[Path], heldout: list[Path]
) -> _Job:
    world, start = processes(), resolve_base(_with_characters(system, base, options))
    continues = earlier_run(start, system)
    tokenizer = open_tokenizer(start.folder)
    fixed = fixed_vocabularies(start) if system == "charbert" else None
    config = load_config(start.folder, layers=options.layers)  # says at once when there are fewer layers
    normalizer = tokenizer.backend_tokenizer.normalizer
    settings, suite = resolve_pretraining(
        system,
        options,
        seed=seed,
        positions=positions_of(config),
        lower=normalizer is not None and normalizer.normalize_str("A") == "a",
        fixed=fixed[0] if fixed else None,
    )
    corpus = Corpus.of(texts, part="all" if heldout else "train", option="text")
    attacks = attacks_on(zip(texts, (text.sha256 for text in corpus.infos), strict=True))
    unseen = Corpus.of(heldout, part="all", option="heldout") if heldout else Corpus(corpus.files, "heldout")
    known = fixed[1:] if fixed else (None, None)
    counted = corpus.survey(terms=suite.words.split if system == "charbert" and suite and not known[0] else None)
    terms, characters = _vocabularies(corpus, counted, settings, *known)
    texts_and_words = corpus, unseen, counted, terms, characters, attacks
    return _Job(system, start, continues, settings, suite, tokenizer, *texts_and_words, world)


def _with_characters(system: str, base: str, options: PretrainOptions) -> str:
    """Return the base to start from: for new words on `minilm`, the one that has trained characters for them."""
    new = options.interaction != "released" and options.character_unit != "piece" and options.char_vocab_size is None
    if system == "charbert" and base == "minilm" and new and options.character_case != "surface":
        return CHARBERT_MINILM
    return base


def _vocabularies(
    corpus: Corpus,
    counted: Survey,
    settings: PretrainSettings,
    terms: TermVocabulary | None,
    characters: CharacterVocabulary | None,
) -> tuple[TermVocabulary | None, CharacterVocabulary | None]:
    """Build from the text those of CharBERT's vocabularies that its base lacks; the other systems have none."""
    if settings.term_vocab_size is None or settings.char_vocab_size is None or settings.unknown_terms is None:
        return None, None
    if terms is None:
        terms = TermVocabulary.build(counted.counter, size=settings.term_vocab_size, unknown=settings.unknown_terms)
    if characters:
        return terms, characters
    lines = (line for chunk in corpus.chunks() for line in chunk.lines)
    case, unit = settings.character_case or "surface", settings.character_unit or "piece"
    return terms, CharacterVocabulary.build(lines, settings.char_vocab_size, case, unit)


def _train(job: _Job, loop: PretrainLoop) -> tuple[Built, Log]:
    settings, processor = job.settings, job.processor
    noiser = Noiser(job.tokenizer, job.suite, settings.seed, job.terms, settings.noised_words == "predict")
    masker = Masker(job.tokenizer, settings.mask)
    maker = BlockMaker(noiser, masker, settings.block_size, processor.vocabulary.unit if processor else None)
    next(iter(Blocks(job.corpus, maker)))  # says at once when the text is too short
    collator = BlockCollator(PieceCharacters(processor) if processor else None)
    heldout = HeldOut(heldout_blocks(job.heldout, maker, settings.heldout_blocks), collator, settings.batch_size)
    if job.terms is None or job.characters is None:
        built = build_encoder(job.base, layers=settings.layers, seed=settings.seed)
    else:
        built = build_charbert(job.base, settings, job.terms, job.characters)
    return built, loop.pretrain(built, Blocks(job.corpus, maker), collator, heldout, settings)


def _write(folder: Path, job: _Job, built: Built, log: Log) -> None:
    saved.save_model(folder, plain(built.model))
    (job.processor or job.tokenizer).save_pretrained(folder)
    if job.terms:
        job.terms.save(folder)
    tokens = job.settings.steps * job.settings.batch_size * job.settings.block_size * job.processes
    earlier = saved.read_pretraining(job.base.folder)
    name = earlier.base.name if earlier else job.base.name  # of the base that the first of several began with
    record = saved.PretrainingFile(
        system=job.system,
        base=saved.BaseInfo(name=name, revision=job.base.revision, weights_sha256=job.base.weights_sha256),
        continues=job.continues,
        settings=job.settings,
        texts=job.corpus.infos,
        heldout_texts=job.heldout.infos,
        lines=job.survey.lines,
        words=job.survey.words,
        processes=job.processes,
        steps=job.settings.steps,
        tokens=tokens,
        passes=log.passes,
        wall_seconds=log.wall_seconds,
        tokens_per_second=tokens / log.wall_seconds if log.wall_seconds else None,
        parameters=sum(weight.numel() for weight in built.model.parameters()),
        heldout={name: value for name, value in log.heldout[-1].items() if name != "step"} if log.heldout else {},
        weights_sha256=weights_sha256(folder),
        run=job.run,
        provenance=provenance(),
        character_noise=earlier.character_noise if earlier else None,
        character_operators=earlier.character_operators if earlier else (),
        attacks=tuple(dict.fromkeys((*(earlier.attacks if earlier else ()), *job.attacks))),
    )
    saved.write_history(folder, record, log=log.training, heldout=log.heldout)
