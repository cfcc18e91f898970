"""The word recogniser in front of a system: tells, for each word of a sentence, which known word it was meant to be.

Source: Pruthi, Dhingra and Lipton 2019, section 3. A word that the network takes for unknown (UNK) is left to the
back-off: `pass_through` (the word as given), `neutral` (the word "a"), or `background` (what a second recogniser, with
a larger vocabulary, answers; where that is UNK too, the word as given).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from robustbench_char.common import InputError
from robustbench_char.common.options import Option
from robustbench_char.defences._sources import attacks_in
from robustbench_char.defences.wordrec import files
from robustbench_char.defences.wordrec._network import CharacterSet, Decoder, ScRNN, packing
from robustbench_char.defences.wordrec.files import BACKGROUND, CONFIG, RecogniserFile
from robustbench_char.defences.wordrec.options import BackOff
from robustbench_char.defences.wordrec.sentences import word_spans
from robustbench_char.records.evaluation import DefenceInfo
from robustbench_char.text.columns import ranges
from robustbench_char.text.corrections import Correction, match_case, replaced
from robustbench_char.text.words import SPLITTERS

_NEUTRAL = "a"
_BLOCK = 32_768
"""Words worked on at once."""
_LEFT = -1
_RECORDED = {"settings", "suite_sha256", "operators"}

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Recogniser:
    """A trained network with its vocabularies and options (`file`), and the recogniser it backs off to."""

    def __init__(self, file: RecogniserFile, network: ScRNN, background: Recogniser | None = None) -> None:
        self.file, self.network, self.background = file, network.eval(), background
        self.characters = CharacterSet(file.characters, file.lower)
        self.unknown = len(file.words)
        self._split = SPLITTERS.get(file.splitter, place=f"{CONFIG}: splitter")
        self._decoder: Decoder | None = None

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        back_off: BackOff | None = None,
        background: Path | None = None,
        keep_case: bool | None = None,
        leave_numbers_and_punctuation: bool | None = None,
    ) -> Recogniser:
        """Load a folder that `train-defence wordrec` or `save` wrote; options that are given replace the saved ones.

        Raises InputError for files that are missing, damaged, newer, or do not belong together.
        """
        file, weights = files.read_recogniser(folder)
        options = {
            "back_off": back_off or (background and "background"),
            "keep_case": keep_case,
            "leave_numbers_and_punctuation": leave_numbers_and_punctuation,
        }
        file = file.model_copy(update={key: value for key, value in options.items() if value is not None})
        with torch.device("meta"):  # drawing weights that are replaced at once would touch torch's random state
            network = ScRNN(len(file.characters), file.hidden_size, len(file.words) + 1)
        network.load_state_dict(weights, assign=True)
        return cls(file, network.float(), _background(folder, file, background))

    def save(self, folder: Path) -> None:
        """Write the recogniser, and its background into a subfolder, into `folder`, which is made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        self.file = files.write_recogniser(folder, self.file, self.network.state_dict())
        if self.background is not None:
            self.background.save(folder / BACKGROUND)

    @property
    def parameters(self) -> int:
        """The number of weights, those of the background recogniser included."""
        own = sum(weight.numel() for weight in self.network.parameters())
        return own + (self.background.parameters if self.background else 0)

    @property
    def info(self) -> DefenceInfo:
        """What records hold of it. Raises InputError for one without a record of its training."""
        training, file = self.file.training, self.file
        if training is None or not training.keys() >= _RECORDED:
            found, expected = "a recogniser without record of its training", "a folder that `train-defence` wrote"
            raise InputError(Option("defence"), found=found, expected=expected, fix="Train one with `train-defence`.")
        attacks = attacks_in(training)
        return DefenceInfo(
            kind="wordrec",
            name="wordrec",
            sha256=file.weights_sha256,
            parameters=self.parameters,
            operators=tuple(dict.fromkeys(chain(training["operators"], *(one.operators for one in attacks)))),
            edits=training.get("word_edits", 1),
            suites=(training["settings"]["suite"], *(one.suite for one in attacks)),
            settings={
                "vocabulary": len(file.words),
                "suite_sha256": training["suite_sha256"],
                "backoff": file.back_off,
                "background_sha256": self.background.file.weights_sha256 if self.background else None,
                **file.model_dump(include={"keep_case", "leave_numbers_and_punctuation"}),
            },
        )

    def to(self, device: torch.device | str) -> Recogniser:
        """Move the networks to a device, and return the recogniser."""
        self.network.to(device)
        self._decoder = None
        if self.background is not None:
            self.background.to(device)
        return self

    def correct(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """Return the sentences with each word corrected: as many words as given, in the order given."""
        distinct: dict[tuple[str, ...], int] = {}
        which = [distinct.setdefault(tuple(sentence), len(distinct)) for sentence in sentences]
        written = self._corrected(list(distinct))
        ends = np.cumsum(np.fromiter(map(len, distinct), np.int64, len(distinct))).tolist()
        starts = [0, *ends]
        return [written[starts[number] : ends[number]] for number in which]

    def correct_texts(self, texts: Sequence[str]) -> list[Correction]:
        """Correct the words of texts, found by the recogniser's splitter, and leave all between them as it is."""
        spans = word_spans(texts, self._split)
        corrected = self.correct([[text[a:b] for a, b in own] for text, own in zip(texts, spans, strict=True)])
        return [replaced(text, own, new) for text, own, new in zip(texts, spans, corrected, strict=True)]

    def _corrected(self, sentences: Sequence[Sequence[str]]) -> list[str]:
        """Return the corrected words of all sentences, end to end."""
        numbers: dict[str, int] = {}
        flat = [numbers.setdefault(word, len(numbers)) for sentence in sentences for word in sentence]
        words, ids = list(numbers), np.array(flat, np.int64)
        lengths = np.fromiter(map(len, sentences), np.int64, len(sentences))
        wanted = np.fromiter(map(self._is_recognised, words), np.bool_, len(words))[ids]
        classes = self._classes(words, ids, lengths, wanted)
        written = self._written(words, ids, classes)
        if self.file.back_off == "background":
            self._back_off(written, words, ids, lengths, classes == self.unknown)
        return written

    def _is_recognised(self, word: str) -> bool:
        """Return whether a word is given to the network's answer; all words are seen as context."""
        if self.file.leave_numbers_and_punctuation and not any(map(str.isalpha, word)):
            return False
        return word.split() == [word]  # anything but a word stays as it is

    @torch.inference_mode()
    def _classes(self, words: Sequence[str], ids: Ints, lengths: Ints, wanted: Bools) -> Ints:
        """Return the class of each wanted word, and -1 for the others."""
        classes = np.full(len(ids), _LEFT, np.int64)
        cut = cut_lengths(lengths, self.file.max_words)
        starts = np.cumsum(cut) - cut
        order = np.argsort(-cut, kind="stable")
        order = order[cut[order] > 0]
        block = np.cumsum(cut[order]) // _BLOCK
        for number in np.unique(block):
            chosen = order[block == number]
            indices = ranges(starts[chosen], cut[chosen])
            asked = wanted[indices]
            states = self._states(words, ids[indices], cut[chosen])
            if self._decoder is None:
                self._decoder = Decoder(self.network.output.weight, self.network.output.bias)
            classes[indices[asked]] = self._decoder.best(states[torch.from_numpy(asked)])
        return classes

    def _states(self, words: Sequence[str], ids: Ints, lengths: Ints) -> torch.Tensor:
        """Return the hidden states [N, 2H] of sentences, longest first, given as the numbers of their words."""
        device = self.network.output.weight.device
        distinct, local = np.unique(ids, return_inverse=True)
        gates = self.network.gates(self.characters, [words[number] for number in distinct.tolist()])
        sizes, forward, backward = packing(lengths)
        index, back = (torch.from_numpy(local[order]).to(device) for order in (forward, backward))
        packed = self.network.hidden(gates, index, back, sizes.tolist())
        half = self.network.hidden_size
        states = packed.new_empty(len(ids), 2 * half)
        states[torch.from_numpy(forward).to(device), :half] = packed[0]
        states[torch.from_numpy(backward).to(device), half:] = packed[1]
        return states

    def _written(self, words: Sequence[str], ids: Ints, classes: Ints) -> list[str]:
        """Return the corrected words; each pair of a word and a class is spelled once."""
        keys, which = np.unique(ids * (self.unknown + 2) + classes + 1, return_inverse=True)
        pairs = zip((keys // (self.unknown + 2)).tolist(), (keys % (self.unknown + 2) - 1).tolist(), strict=True)
        spelled = np.array([self._spelled(words[number], kind) for number, kind in pairs], object)
        return list(spelled[which].tolist())

    def _spelled(self, given: str, kind: int) -> str:
        if kind == _LEFT:
            return given
        if kind < self.unknown:
            return self._cased(self.file.words[kind], given)
        if self.file.back_off == "neutral":
            return self._cased(_NEUTRAL, given)
        return given if self.file.keep_case else given.lower()

    def _cased(self, word: str, given: str) -> str:
        return match_case(word, given) if self.file.keep_case else word

    def _back_off(self, written: list[str], words: Sequence[str], ids: Ints, lengths: Ints, unknown: Bools) -> None:
        """Put in the answers of the background recogniser for unknown words."""
        if self.background is None or not unknown.any():
            return
        owner = np.repeat(np.arange(len(lengths)), lengths)
        some = np.unique(owner[unknown])
        indices = ranges((np.cumsum(lengths) - lengths)[some], lengths[some])
        classes = self.background._classes(words, ids[indices], lengths[some], unknown[indices])
        for index, kind in zip(indices[classes >= 0].tolist(), classes[classes >= 0].tolist(), strict=True):
            if kind < self.background.unknown:
                written[index] = self._cased(self.background.file.words[kind], words[ids[index]])


def _background(folder: Path, file: RecogniserFile, given: Path | None) -> Recogniser | None:
    home = given or folder / BACKGROUND
    if file.back_off != "background" and not (home / CONFIG).is_file():
        return None
    if given is None and not home.is_dir():
        found = "the back-off `background` without a second recogniser"
        expected = f"a folder {BACKGROUND}/ in it, or a background recogniser beside it"
        fix = "Name the second recogniser, or choose another back-off."
        raise InputError(folder, found=found, expected=expected, fix=fix)
    return Recogniser.load(home, back_off="pass_through")


def cut_lengths(lengths: Ints, longest: int) -> Ints:
    """Return the lengths of the pieces of at most `longest` words that sentences are read in, in order."""
    pieces = -(-lengths // longest)
    cut = np.full(int(pieces.sum()), longest, np.int64)
    last = np.cumsum(pieces)[pieces > 0] - 1
    cut[last] = (lengths - (pieces - 1) * longest)[pieces > 0]
    return cut
