"""Make the characters that are shipped for MiniLM: `python tools/character_weights.py`, about seven minutes of a core.

They are trained on words alone: the base's own vocabulary and the most frequent further ones of a dictionary.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from safetensors.torch import load_file, save_file

import robustbench_char as rbc
from robustbench_char.common.extras import package_folder
from robustbench_char.models.bases import CHARBERT_MINILM, resolve_base
from robustbench_char.models.charbert.known_words import Lexicon
from robustbench_char.models.charbert.shipped import ENCODER, HISTORY, WORDS
from robustbench_char.models.checkpoints import load_tokenizer
from robustbench_char.models.folders import CHARACTER_VOCABULARY, WEIGHTS

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "weights" / CHARBERT_MINILM
DICTIONARY = "frequency_dictionary_en_82_765.txt"
FURTHER = 20_000
"""Words that are known beside the base's own."""
OF_ENCODER = "charbert.char_embeddings."
DERIVED = ("keys", "pieces", "prior")
"""What is computed from words and weights when they are joined with the base."""


def further_words() -> list[str]:
    """Return the most frequent words of symspellpy's dictionary that are no words of the base's vocabulary."""
    tokenizer = load_tokenizer(resolve_base("minilm").folder)
    lines = (package_folder("symspellpy") / DICTIONARY).read_text(encoding="utf-8-sig").splitlines()
    counts = {word: int(count) for word, count in map(str.split, lines)}
    own = set(Lexicon.of(tokenizer, [], "lower").words)
    every = Lexicon.of(tokenizer, sorted(counts, key=lambda word: (-counts[word], word)), "lower").words
    return [word for word in every if word not in own][:FURTHER]


def make(output: Path, steps: int = 3000) -> None:
    """Train the characters, and write what is shipped of them."""
    with tempfile.TemporaryDirectory() as scratch:
        words, trained = Path(scratch) / WORDS, Path(scratch) / "trained"
        words.write_text("\n".join(further_words()) + "\n", encoding="utf-8")
        rbc.pretrain("characters", base="minilm", words=words, steps=steps, output=trained)
        output.mkdir(parents=True, exist_ok=True)
        weights = load_file(trained / WEIGHTS)
        own = {name.removeprefix(OF_ENCODER): value for name, value in weights.items() if name.startswith(OF_ENCODER)}
        save_file({name: value for name, value in own.items() if name not in DERIVED}, output / ENCODER)
        for source in (words, trained / CHARACTER_VOCABULARY, trained / HISTORY):
            shutil.copyfile(source, output / source.name)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT)
