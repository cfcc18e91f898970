"""What characters cost: CharBERT against Transformers' BERT, and batches of like length against full padding.

Two contests, each with both sides in one process, taking turns, on the CPU in fp32 at the size of the base (weights
drawn at random):
  forward  `CharBertModel` and `BertModel` on one batch: 16 rows of 128 sub-words, with the characters that they have
  tagging  a CoNLL file from disk to tags with `CharBertForTokenClassification`: batches of like length, padded to their
           longest row, and the same in the order of the file, padded to 128 sub-words and 768 characters

    python benchmarks/speed/encode.py [--text FILE] [--conll FILE] [--sentences N] [--only PART] [--runs N] [--json]

With `--base charbert-minilm` (or another CharBERT) `forward` takes that model, with the words that it knows: once as
it reads a batch whose words it has met before, once as it reads one whose words are all new.

--text is plain English text for `forward`, --conll the file for `tagging` (default for both: mini conll2003); its first
--sentences are tagged (default: all). On a busy machine `--clock cpu --threads 1` counts processor time. Exit code 1
where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

BATCH, PIECES, CHARACTERS = 16, 128, 768
MOST_FORWARD, LEAST_TAGGING = 2.6, 3.0
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")


class Setting(NamedTuple):
    """What both contests stand on: two configurations, the way to read, and a model that knows words, if any."""

    bert: Any
    charbert: Any
    system: Any
    trained: Any = None


def sentences(path: Path | None) -> Iterator[tuple[str, ...]]:
    """Yield the words of each sentence of a CoNLL file, or of mini's."""
    from robustbench_char.tasks.registry import get_task
    from robustbench_char.tasks.sources import open_source

    task = get_task("conll2003")
    source = open_source(task, data="mini", split="test") if path is None else open_source(task, input=path)
    for example in source.examples():
        yield example.fields[task.fields[0]]


def prepare(base: str, words: Sequence[tuple[str, ...]]) -> Setting:
    """Return configurations at the size of a base, and a system with its tokenizer and the characters of `words`."""
    from transformers import BertConfig

    from robustbench_char.models.bases import resolve_base
    from robustbench_char.models.charbert import CharBertConfig
    from robustbench_char.models.charbert.characters import CharacterVocabulary
    from robustbench_char.models.charbert.processor import CharBertProcessor, case_of
    from robustbench_char.models.charbert.system import CharBertSystem
    from robustbench_char.models.checkpoints import load_config, load_encoder, load_tokenizer

    folder = resolve_base(base).folder
    if load_config(folder).model_type == CharBertConfig.model_type:
        charbert, encoder = load_config(folder), load_encoder(folder).eval()
        charbert.id2label = dict(enumerate(TAGS))
        said = charbert.to_dict()
        plain = {name: said[name] for name in BertConfig().to_dict() if name in said and name != "model_type"}
        return Setting(BertConfig(**plain), charbert, CharBertSystem.open(folder, words=True), encoder)
    bert, tokenizer = load_config(folder), load_tokenizer(folder, words=True)
    vocabulary = CharacterVocabulary.build(map(" ".join, words), case=case_of(tokenizer))
    labels = dict(enumerate(TAGS))
    charbert = CharBertConfig.from_base(bert, char_vocab_size=len(vocabulary), id2label=labels)
    return Setting(bert, charbert, CharBertSystem(CharBertProcessor(tokenizer, vocabulary)))


def drawn(make: Callable[[], Any]) -> Any:
    """Return a model with random weights, the same in each run, ready to predict."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return make().eval()


def passages(text: Path | None, words: Sequence[tuple[str, ...]]) -> list[list[str]]:
    """Return a batch of passages of words, each long enough to fill a row."""
    stream = text.read_text(encoding="utf-8").split() if text else [word for sentence in words for word in sentence]
    if len(stream) < PIECES:
        sys.exit(f"{text or 'mini'}: found {len(stream)} words; expected at least {PIECES}")
    step = max(1, min(PIECES, (len(stream) - PIECES) // BATCH))
    return [stream[row * step % (len(stream) - PIECES + 1) :][:PIECES] for row in range(BATCH)]


def take_turns(
    sides: dict[str, Callable[[], object]], runs: int, *, warm: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Return the seconds of each run of each side; the sides take turns."""
    for _ in range(warm):
        for work in sides.values():
            work()
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, work in sides.items():
            started = clock()
            work()
            times[name].append(clock() - started)
    return times


def forward(setting: Setting, words: Sequence[tuple[str, ...]], options: argparse.Namespace) -> dict[str, Any]:
    """Time one batch through both encoders. `ratio` is the median of the ratios of neighbouring runs."""
    from transformers import AutoModel

    from robustbench_char.models.charbert import CharBertModel
    from robustbench_char.training.batches import Collator

    windows = setting.system.word_windows(passages(options.text, words), max_length=PIECES)
    batch = Collator(setting.system.padding())([window.inputs for window in windows])
    assert batch["input_ids"].shape == (BATCH, PIECES)
    assert bool(batch["attention_mask"].all())
    plain = {name: batch[name] for name in ("input_ids", "token_type_ids", "attention_mask")}
    bert = drawn(lambda: AutoModel.from_config(setting.bert, add_pooling_layer=False))
    charbert = setting.trained or drawn(lambda: CharBertModel(setting.charbert, add_pooling_layer=False))
    sides: dict[str, Callable[[], object]] = {"bert": lambda: bert(**plain), "charbert": lambda: charbert(**batch)}
    if setting.trained:
        sides["all_words_new"] = lambda: (charbert.char_embeddings.forget(), charbert(**batch))
    with torch.inference_mode():
        times = take_turns(sides, options.runs, warm=2, clock=CLOCKS[options.clock])
    lengths = batch["end_ids"].amax(dim=1) + 2
    ratios = [mine / other for mine, other in zip(times["charbert"], times["bert"], strict=True)]
    found = {"characters": lengths.float().mean().item(), **_summary(times), "ratio": _spread(ratios)}
    if setting.trained:
        slower = [mine / other for mine, other in zip(times["all_words_new"], times["bert"], strict=True)]
        found["ratio_all_words_new"] = _spread(slower)
    return found


class Tagger:
    """The way from a CoNLL file to tags, with the model in memory."""

    def __init__(self, setting: Setting, conll: Path | None, batch_size: int) -> None:
        from robustbench_char.models.charbert import CharBertForTokenClassification

        self.system, self.conll, self.batch_size = setting.system, conll, batch_size
        self.model = drawn(lambda: CharBertForTokenClassification(setting.charbert))
        self.tags: dict[str, list[Any]] = {}

    def run(self, side: str, count: int | None) -> None:
        """Tag the first sentences of the file (None: all) and keep the tags."""
        self.system.processor._spellings.clear()  # each run spells its own pieces
        given = list(islice(sentences(self.conll), count))
        windows = list(self.system.word_windows(given, max_length=PIECES))
        order = list(range(len(windows)))
        if side == "like_lengths":
            order.sort(key=lambda index: -len(windows[index].inputs["input_ids"]))
        found: list[Any] = [None] * len(windows)
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            for index, tags in zip(chosen, self._tags([windows[one] for one in chosen], side), strict=True):
                found[index] = tags
        self.tags[side] = found

    @torch.inference_mode()
    def _tags(self, windows: Sequence[Any], side: str) -> list[Any]:
        from robustbench_char.training.batches import Collator
        from robustbench_char.training.families import first_pieces

        padding = self.system.padding()
        batch = Collator(padding)([window.inputs for window in windows])
        if side == "all_padded":
            batch = {name: _filled(table, padding[name], name) for name, table in batch.items()}
        best = self.model(**batch).logits.argmax(dim=-1).numpy()
        return [best[row][first_pieces(window)] for row, window in enumerate(windows)]


def _filled(table: torch.Tensor, value: int, name: str) -> torch.Tensor:
    width = max(CHARACTERS, table.shape[1]) if name == "char_input_ids" else PIECES
    return torch.nn.functional.pad(table, (0, width - table.shape[1]), value=value)


def tagging(setting: Setting, options: argparse.Namespace) -> dict[str, Any]:
    """Time both ways over one file. `equal_tags` is the share of words to which both give the same tag."""
    tagger = Tagger(setting, options.conll, options.batch_size)
    for side in ("like_lengths", "all_padded"):
        tagger.run(side, 8)  # what is loaded at first use is no cost of either side
    sides = {side: partial(tagger.run, side, options.sentences) for side in ("like_lengths", "all_padded")}
    times = take_turns(sides, options.tagging_runs, warm=0, clock=CLOCKS[options.clock])
    one, other = (np.concatenate(tagger.tags[side]) for side in sides)
    ratios = [padded / mine for padded, mine in zip(times["all_padded"], times["like_lengths"], strict=True)]
    counts = {"sentences": len(tagger.tags["all_padded"]), "equal_tags": float((one == other).mean())}
    return {**counts, **_summary(times), "ratio": _spread(ratios)}


def _summary(times: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    return {f"{side}_seconds": _spread(values) for side, values in times.items()}


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def measure(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Run the contests that were asked for."""
    words = list(sentences(options.conll))
    setting, result = prepare(options.base, words), {}
    if options.only != "tagging":
        result["forward"] = forward(setting, words, options)
    if options.only != "forward":
        result["tagging"] = tagging(setting, options)
    return result


def show(result: dict[str, dict[str, Any]]) -> None:
    """Print medians, with the least and the most in parentheses."""
    targets = {"forward": f"at most {MOST_FORWARD}", "tagging": f"at least {LEAST_TAGGING:g}"}
    for part, values in result.items():
        print(f"{part} (target: ratio {targets[part]}; {torch.get_num_threads()} threads)")
        for name, value in values.items():
            if isinstance(value, dict):
                print(f"{name:>22}  {value['median']:8.3f}  ({value['least']:.3f} to {value['most']:.3f})")
            else:
                print(f"{name:>22}  {value:8,.6g}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="minilm", help="the base whose size, tokenizer and case are taken")
    parser.add_argument("--text", type=Path)
    parser.add_argument("--conll", type=Path)
    parser.add_argument("--sentences", type=int)
    parser.add_argument("--only", choices=("forward", "tagging"))
    parser.add_argument("--runs", type=int, default=11, help="turns of `forward`")
    parser.add_argument("--tagging-runs", type=int, default=1, help="turns of `tagging`")
    parser.add_argument("--batch-size", type=int, default=32, help="sentences in a batch of `tagging`")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    result = measure(options)
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)
    slow = "forward" in result and result["forward"]["ratio"]["median"] > MOST_FORWARD
    slow |= "tagging" in result and result["tagging"]["ratio"]["median"] < LEAST_TAGGING
    sys.exit(int(slow))


if __name__ == "__main__":
    main()
