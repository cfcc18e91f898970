"""A model folder from a stranger runs no code: none of its modules, pickles and templates, whatever its files name."""

from __future__ import annotations

import json
import os
import pickle  # noqa: TID251
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robustbench_char.common import InputError
from robustbench_char.inference.opening import identify_model, open_model
from robustbench_char.inference.options import ModelOptions
from robustbench_char.models.bases import resolve_base
from robustbench_char.models.checkpoints import load_encoder, load_tokenizer
from robustbench_char.tasks.registry import get_task

pytestmark = pytest.mark.models

MRPC = get_task("mrpc")
CODE = "from pathlib import Path\nPath({mark!r}).touch()\nclass Mine:\n    pass\n"
Folder = Callable[[], Path]


class Touch:
    """Pickled, it writes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "code has run"


@pytest.fixture
def folder(fine_tuned: Any, tmp_path: Path, mark: Path) -> Path:
    """Return a good model for pairs of sentences, beside code and pickles that leave a mark."""
    made: Path = fine_tuned(tmp_path / "pairs", "Bert", "classification", ("not_equivalent", "equivalent"))
    code = CODE.format(mark=str(mark))
    for name in ("modeling", "tokenization", "configuration", "pipeline", "handler", "__init__", "setup", "conftest"):
        (made / f"{name}.py").write_text(code, encoding="utf-8")
    for name in ("training_args.bin", "optimizer.pt", "scheduler.pt", "pytorch_model.bin", "tokenizer.pkl"):
        (made / name).write_bytes(pickle.dumps(Touch(mark)))
    return made


def change(path: Path, **values: Any) -> None:
    old = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.write_text(json.dumps(old | values), encoding="utf-8")


def tried(folder: Path) -> None:
    """Open a folder in each way; a refusal is fine."""
    for way in (identify_model, open_model):
        try:
            way(folder, MRPC, options=ModelOptions())
        except InputError:
            continue
    try:
        base = resolve_base(str(folder))
        load_tokenizer(base.folder)
        load_encoder(base)
    except InputError:
        return


AUTO = ("AutoModel", "AutoConfig", "AutoTokenizer", "AutoModelForSequenceClassification")
TEMPLATE = "{{ cycler.__init__.__globals__.os.system('touch MARK') }}{% for x in ().__class__.__mro__ %}{% endfor %}"


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("config.json", {}),
        ("config.json", {"auto_map": dict.fromkeys(AUTO, "modeling.Mine")}),
        ("config.json", {"model_type": "mine", "auto_map": {"AutoConfig": "configuration.Mine"}}),
        ("config.json", {"custom_pipelines": {"text-classification": {"impl": "pipeline.Mine", "pt": ["Mine"]}}}),
        ("config.json", {"architectures": ["modeling.Mine"]}),
        ("config.json", {"quantization_config": {"quant_method": "custom", "modules": "modeling.Mine"}}),
        ("config.json", {"base_model_name_or_path": "../elsewhere", "_name_or_path": "../elsewhere"}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["tokenization.Mine", "tokenization.Mine"]}}),
        ("tokenizer_config.json", {"tokenizer_class": "tokenization.Mine"}),
        ("tokenizer_config.json", {"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": "tokenization.Mine"}}),
        ("tokenizer_config.json", {"chat_template": TEMPLATE}),
        ("tokenizer_config.json", {"tokenizer_file": "../../etc/passwd", "vocab_file": "../../etc/passwd"}),
        ("adapter_config.json", {"auto_mapping": {"parent_library": "modeling", "base_model_class": "Mine"},
                                 "peft_type": "LORA", "base_model_name_or_path": "../elsewhere"}),
    ],
)  # fmt: skip
def test_no_code_of_the_folder_runs(folder: Path, mark: Path, file: str, values: dict[str, Any]) -> None:
    told = json.loads(json.dumps(values).replace("MARK", str(mark).replace(" ", "\\\\ ")))
    change(folder / file, **told)
    tried(folder)
    assert not mark.exists()


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_pickles_are_never_read(folder: Path, mark: Path, weights: str) -> None:
    """Neither as the only weights, nor under the name of safe ones, nor where an index names them."""
    (folder / "model.safetensors").unlink()
    (folder / weights).write_bytes(pickle.dumps(Touch(mark)))
    with pytest.raises(InputError):
        open_model(folder, MRPC, options=ModelOptions())
    change(folder / "model.safetensors.index.json", metadata={}, weight_map={"a": "pytorch_model.bin"})
    tried(folder)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["../../other.safetensors", "/other.safetensors", "..\\other.safetensors"])
def test_an_index_stays_in_its_folder(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / "model.safetensors").rename(tmp_path.parent / "other.safetensors")
    change(folder / "model.safetensors.index.json", metadata={}, weight_map={"classifier.bias": name})
    with pytest.raises(InputError, match=r"other\.safetensors|index"):
        open_model(folder, MRPC, options=ModelOptions())


def test_links_to_blobs_are_opened_as_the_hub_makes_them(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    for path in sorted(folder.iterdir()):
        path.rename(tmp_path / "blobs" / path.name)
        path.symlink_to(Path("..", "blobs", path.name))
    assert open_model(folder, MRPC, options=ModelOptions()).info


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/stdin", "config.json", "tokenizer.json", "nothing", "."])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_what_has_no_end_is_not_waited_for(folder: Path, name: str, target: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name) if target == "/dev/stdin" else (folder / name).symlink_to(target)
    told = "found a tokenizer without a vocabulary" if (name, target) == ("tokenizer.json", "nothing") else ""
    with pytest.raises(InputError, match=told):
        open_model(folder, MRPC, options=ModelOptions())
