"""The characters that are shipped for MiniLM, put together with it into a folder in the user's data folder.

Shipped are the weights of the character encoder, its characters, the words that it knows beside the base's own, and
`pretraining.json`, which says how it was trained: what `tools/character_weights.py` makes.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import platformdirs
from filelock import FileLock
from safetensors.torch import load_file

from robustbench_char.common import InputError
from robustbench_char.common.files import not_writable, output_folder, read_json, shipped_folder
from robustbench_char.models.bases import CHARBERT_MINILM, Base
from robustbench_char.models.charbert.characters import CharacterVocabulary
from robustbench_char.models.charbert.known_words import Lexicon, character_model, fill, read_words
from robustbench_char.models.charbert.processor import CharBertProcessor
from robustbench_char.models.checkpoints import load_tokenizer, quiet

ENCODER, WORDS, HISTORY = "characters.safetensors", "words.txt", "pretraining.json"
_REINSTALL = "The files were altered: reinstall robustbench-char."


def shipped_characters(base: Base, sha256: str) -> Path:
    """Return the folder of CharBERT on a base with the shipped characters, which is made where it is missing.

    `sha256` names what it is made of. Raises InputError for weights that do not belong to the base, for altered files,
    and where the user's data folder cannot be written.
    """
    folder = platformdirs.user_data_path("robustbench-char") / "bases" / f"{CHARBERT_MINILM}-{sha256[:12]}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):  # parallel jobs ask for it at once
            if not (folder / HISTORY).is_file():
                with output_folder(folder, overwrite=True) as scratch:
                    join(shipped_folder(f"weights/{CHARBERT_MINILM}"), base, scratch)
    except OSError as error:
        raise not_writable(folder, error, "data folder (XDG_DATA_HOME)") from None
    return folder


def join(shipped: Path, base: Base, output: Path) -> None:
    """Write CharBERT on a base, with the shipped character encoder, into a folder. Raises InputError as above."""
    history = read_json(shipped / HISTORY)
    if (made_for := history["base"]["weights_sha256"]) != base.weights_sha256:
        found = f"characters that were trained for {history['base']['name']} (weights {made_for[:12]}...)"
        expected = f"characters for {base.name} (weights {base.weights_sha256[:12]}...)"
        raise InputError(shipped, found=found, expected=expected, fix="Train them: `pretrain characters --base BASE`.")
    characters, tokenizer = CharacterVocabulary.load(shipped), load_tokenizer(base.folder)
    lexicon = Lexicon.of(tokenizer, read_words(shipped / WORDS), characters.case or "surface")
    model, encoder = character_model(base.folder, lexicon, characters, seed=0)
    weights = load_file(shipped / ENCODER)
    sizes = {name: tuple(weight.shape) for name, weight in encoder.named_parameters()}
    if wrong := [name for name in sizes | weights if name not in weights or sizes.get(name) != weights[name].shape]:
        found = f"{wrong[0]} of size {list(weights[wrong[0]].shape) if wrong[0] in weights else 'none'}"
        expected = f"{list(sizes.get(wrong[0], ()))}, as its characters have it"
        raise InputError(shipped / ENCODER, found=found, expected=expected, fix=_REINSTALL)
    encoder.load_state_dict(weights, strict=False)
    fill(encoder, lexicon, characters)
    with quiet():
        model.save_pretrained(output)
    CharBertProcessor(tokenizer, characters).save_pretrained(output)
    shutil.copyfile(shipped / HISTORY, output / HISTORY)
