"""What `training.py` and `prediction.py` share: a system on a task, its options, how ratios are printed."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch

TASKS = {"classification": "qnli", "tagging": "conll2003", "question_answering": "squad_v1"}
SYSTEMS = ("bert", "charbert")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Contestant(NamedTuple):
    """A system on a task: how it reads (`kind`, `recipe`), its model, the examples, the settings of training."""

    kind: Any
    recipe: Any
    model: Any
    examples: list[Any]
    settings: Any


def contestant(system: str, family: str, split: str, options: argparse.Namespace) -> Contestant:
    """Return a system with a new head on the first examples of a family's task."""
    from robustbench_char.models.bases import resolve_base
    from robustbench_char.tasks.registry import get_task
    from robustbench_char.tasks.sources import open_source
    from robustbench_char.training.families import label_names, make_recipe
    from robustbench_char.training.options import FinetuneOptions, resolve_settings

    task, given = get_task(TASKS[family]), dict(options.input).get(TASKS[family])
    source = open_source(task, input=Path(given)) if given else open_source(task, data="mini", split=split)
    examples = list(islice(source.examples(), options.examples))
    base = resolve_base(options.base)
    longest = base.config["max_position_embeddings"]
    defaults = FinetuneOptions(doc_stride=min(128, longest // 4))
    settings = resolve_settings(defaults, seed=0, family=task.family, positions=longest)
    labels = label_names(task, examples)
    make = _charbert if system == "charbert" else _bert
    kind, model = make(base, task.family, labels, examples)
    return Contestant(kind, make_recipe(task, labels, settings), model, examples, settings)


def _bert(base: Any, family: str, labels: Sequence[str], examples: Sequence[Any]) -> tuple[Any, Any]:
    from robustbench_char.models.bert import BertSystem

    kind = BertSystem.open(base.folder, words=family == "tagging")
    return kind, BertSystem.build(base, family, labels, layers=None, seed=0)


def _charbert(base: Any, family: str, labels: Sequence[str], examples: Sequence[Any]) -> tuple[Any, Any]:
    """Return CharBERT with random weights, and the characters that the examples have."""
    from robustbench_char.models.bert import AUTO_HEADS
    from robustbench_char.models.charbert import CharBertConfig
    from robustbench_char.models.charbert.characters import CharacterVocabulary
    from robustbench_char.models.charbert.processor import CharBertProcessor, case_of
    from robustbench_char.models.charbert.system import CharBertSystem
    from robustbench_char.models.checkpoints import load_tokenizer
    from robustbench_char.models.system import labelled_config

    tokenizer = load_tokenizer(base.folder, words=family == "tagging")
    texts = (text for example in examples for field in example.fields.values() for text in _texts(field))
    vocabulary = CharacterVocabulary.build(texts, case=case_of(tokenizer))
    plain = labelled_config(base, family, labels, layers=None)
    config = CharBertConfig.from_base(plain, char_vocab_size=len(vocabulary))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AUTO_HEADS[family].from_config(config)
    return CharBertSystem(CharBertProcessor(tokenizer, vocabulary)), model


def _texts(field: Any) -> Sequence[str]:
    return (field,) if isinstance(field, str) else field


def parser_of(text: str) -> argparse.ArgumentParser:
    """Return a parser with the options that both scripts have."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="minilm")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--families", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--input", nargs=2, action="append", default=[], metavar=("TASK", "FILE"),
                        help="a file for a task; may be repeated (default: mini)")  # fmt: skip
    parser.add_argument("--examples", type=int, help="first examples of each file (default: all)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: processor time, on a busy machine")
    parser.add_argument("--quick", action="store_true", help="a few examples and turns: to see that it runs")
    return parser


def spread(values: Sequence[float], unit: str = "") -> str:
    """Return the median, with the least and the most in parentheses."""
    return f"{statistics.median(values):.3f}{unit} ({min(values):.3f} to {max(values):.3f})"
