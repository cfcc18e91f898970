"""A recogniser on disk: `recogniser.json` (what it is, and how it came to be) and its weights as safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator
from safetensors import SafetensorError

from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file, write_json
from robustbench_char.common.frozen import Frozen, read_json_model
from robustbench_char.common.provenance import Provenance
from robustbench_char.defences._sources import attacks_in
from robustbench_char.defences.wordrec.options import BackOff
from robustbench_char.models.folders import refuse_html

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CONFIG", "check_recogniser"]

CONFIG, WEIGHTS, BACKGROUND = "recogniser.json", "recogniser.safetensors", "background"
_FORMAT = {CONFIG: "JSON", WEIGHTS: "weights in the safetensors format"}

_AGAIN = "Copy the folder again, or train the recogniser again with `train-defence wordrec`."


class RecogniserFile(Frozen):
    """`recogniser.json`. `words` are the known words in the order of the classes; UNK comes after them.

    `max_words`: longer sentences are read in pieces. `training`: text, suite, seed, epochs and results, None for a
    recogniser that was not trained by `train-defence wordrec`.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    hidden_size: int = Field(ge=1)
    lower: bool
    max_words: int = Field(ge=1)
    splitter: str
    back_off: BackOff
    keep_case: bool
    leave_numbers_and_punctuation: bool
    characters: tuple[str, ...] = Field(min_length=1)
    words: tuple[str, ...] = Field(min_length=1)
    weights_sha256: str
    training: dict[str, Any] | None = None
    provenance: Provenance | None = None

    @model_validator(mode="after")
    def _sound(self) -> RecogniserFile:
        if any(len(character) != 1 for character in self.characters):
            raise ValueError("characters of one code point each")
        if len({*self.characters}) < len(self.characters) or len({*self.words}) < len(self.words):
            raise ValueError("characters and words that differ from one another")
        if any(word.split() != [word] for word in self.words):
            raise ValueError("words that are not empty and hold no white space")
        if self.training is not None and not _is_record(self.training):
            raise ValueError("a record of the training, with its settings and operators")
        attacks_in(self.training or {})
        return self


def _is_record(training: Mapping[str, Any]) -> bool:
    """Return whether what is read of a record of the training, as far as it is there, is of the types of one."""
    settings, operators = training.get("settings", {"suite": ""}), training.get("operators", [])
    if not isinstance(settings, dict) or not isinstance(operators, list):
        return False
    texts = [training.get("suite_sha256", ""), settings.get("suite"), *operators]
    return isinstance(training.get("word_edits", 1), int) and all(isinstance(text, str) for text in texts)


def check_recogniser(folder: Path) -> RecogniserFile:
    """Read the config and check the weights' hash. Raises InputError as `read_recogniser` does; torch is not loaded."""
    for name, expected in _FORMAT.items():
        if not (folder / name).is_file():
            found = f"no {name}" if folder.is_dir() else "no such folder"
            fix = "Check the path, or train a recogniser with `train-defence wordrec`."
            raise InputError(folder, found=found, expected="a folder that `train-defence wordrec` wrote", fix=fix)
        refuse_html(folder / name, expected=expected)
    file = read_json_model(
        folder / CONFIG, RecogniserFile, expected="a file that `train-defence wordrec` wrote", fix=_AGAIN
    )
    path, sha256 = folder / WEIGHTS, sha256_file(folder / WEIGHTS)
    if sha256 != file.weights_sha256:
        expected = f"{file.weights_sha256}, as {CONFIG} says"
        raise InputError(path, found=f"weights with SHA-256 {sha256}", expected=expected, fix=_AGAIN)
    return file


def read_recogniser(folder: Path) -> tuple[RecogniserFile, dict[str, Tensor]]:
    """Read and check config and weights. Raises InputError that names the file that is missing, damaged or newer."""
    from safetensors.torch import load

    file, path = check_recogniser(folder), folder / WEIGHTS
    try:
        weights = load(path.read_bytes())  # of a file that cannot be read, load_file does not tell the reason
    except SafetensorError as error:
        found = f"not a safetensors file ({error})"
        raise InputError(path, found=found, expected=_FORMAT[WEIGHTS], fix=_AGAIN) from None
    _check_shapes(folder, file, weights)
    return file, weights


def _check_shapes(folder: Path, file: RecogniserFile, weights: dict[str, Tensor]) -> None:
    """Raise InputError where weights do not have the shapes that characters, hidden size and words ask for."""
    size, classes, characters = file.hidden_size, len(file.words) + 1, len(file.characters)
    hidden, known = f"hidden size {size}", f"{classes - 1} words and UNK"
    wanted = {"output.weight": ([classes, 2 * size], known), "output.bias": ([classes], known)}
    for end in ("l0", "l0_reverse"):
        wanted[f"lstm.weight_ih_{end}"] = ([4 * size, 3 * characters], f"a character vocabulary of {characters}")
        wanted[f"lstm.weight_hh_{end}"] = ([4 * size, size], hidden)
        wanted[f"lstm.bias_ih_{end}"] = wanted[f"lstm.bias_hh_{end}"] = ([4 * size], hidden)
    for name in sorted({*wanted, *weights}):
        shape = list(weights[name].shape) if name in weights else "no such weights"
        expected, reason = wanted.get(name, (None, ""))
        if shape != expected:
            raise InputError(
                f"{folder / WEIGHTS}: {name}",
                found=str(shape),
                expected=f"{expected}, for {reason}" if expected else "no such weights",
                fix=f"Weights and {CONFIG} do not belong together. {_AGAIN}",
            )


def write_recogniser(folder: Path, file: RecogniserFile, weights: dict[str, Tensor]) -> RecogniserFile:
    """Write both files into a folder that exists; return the config with the hash of the weights."""
    from safetensors.torch import save_file

    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, folder / WEIGHTS)
    file = file.model_copy(update={"weights_sha256": sha256_file(folder / WEIGHTS)})
    write_json(folder / CONFIG, file.model_dump(mode="json", by_alias=True))
    return file
