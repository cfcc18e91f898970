"""Eager attention against SDPA: which is faster, for each shape of a batch, precision and use of a model.

Both take turns on one batch in one process: forward and backward pass with dropout (`training`), or a forward pass
without (`inference`), of BERT and CharBERT at the size of the base, weights drawn at random. Rows are up to a quarter
shorter than the batch, as in batches of like length. Printed is how many times as fast eager attention is, median and
range of the ratios of neighbouring runs, with its sub-words a second, and how far outputs and gradients are apart.

    python benchmarks/speed/attention.py [--systems S ...] [--shapes BxT ...] [--runs N] [--clock C] [--quick]

`robustbench_char.models.attention` chooses by what this prints.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
from typing import Any

import torch
from _systems import CLOCKS, spread

SHAPES = ("16x32", "16x128", "4x384", "32x32", "32x128", "32x384")
CHARACTERS = 5
"""Of a sub-word."""

Batch = dict[str, torch.Tensor]


def made(system: str, base: str) -> Any:
    """Return a model of tags at the size of a base, the same in each run."""
    from transformers import AutoModelForTokenClassification

    from robustbench_char.models.bases import resolve_base
    from robustbench_char.models.charbert import CharBertConfig
    from robustbench_char.models.checkpoints import load_config

    config = load_config(resolve_base(base).folder)
    if system == "charbert":
        config = CharBertConfig.from_base(config, char_vocab_size=100)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return AutoModelForTokenClassification.from_config(config)


def batch_of(system: str, rows: int, length: int, device: str) -> Batch:
    """Return a batch [B, T]; each row is filled up from its own length on."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.linspace(length, 0.75 * length, rows).round().long()
    batch = {
        "input_ids": torch.randint(1, 1000, (rows, length), generator=generator).remainder_(100),
        "attention_mask": (torch.arange(length) < lengths[:, None]).long(),
        "labels": torch.zeros(rows, length, dtype=torch.long),
    }
    if system == "charbert":
        starts = ((CHARACTERS + 1) * torch.arange(length)).expand(rows, length)
        characters = torch.randint(5, 100, (rows, (CHARACTERS + 1) * length), generator=generator)
        batch |= {"char_input_ids": characters, "start_ids": starts, "end_ids": starts + CHARACTERS - 1}
    return {name: table.to(device) for name, table in batch.items()}


def once(model: Any, batch: Batch, training: bool, bf16: bool) -> torch.Tensor:
    """Compute one batch, with its gradients in training. Returns the logits."""
    device = batch["input_ids"].device.type
    model.train(training)
    with (
        contextlib.nullcontext() if training else torch.inference_mode(),
        torch.autocast(device, torch.bfloat16, enabled=bf16),
    ):
        outputs = model(**batch)
    if training:
        model.zero_grad()
        outputs.loss.backward()
    if device == "cuda":
        torch.cuda.synchronize()
    logits: torch.Tensor = outputs.logits.detach().float()
    return logits


def contest(
    model: Any, batch: Batch, training: bool, bf16: bool, options: argparse.Namespace
) -> dict[str, list[float]]:
    """Return the seconds of each run of both; they take turns, and each begins every other time."""
    times: dict[str, list[float]] = {"sdpa": [], "eager": []}
    clock = CLOCKS[options.clock]
    for run in range(options.runs + 1):
        for name in sorted(times, reverse=bool(run % 2)):
            model.set_attn_implementation(name)
            started = clock()
            once(model, batch, training, bf16)
            times[name].append(clock() - started)
    return {name: values[1:] for name, values in times.items()}


def apart(model: Any, batch: Batch, bf16: bool) -> tuple[float, float]:
    """Return the largest distance of the logits, and that of the gradients in norms of the gradient, with dropout.

    Both draw the same elements, so that training goes the same way under either.
    """
    logits, gradients = [], []
    for name in ("sdpa", "eager"):
        model.set_attn_implementation(name)
        logits.append(once(model, batch, False, bf16))
        with torch.random.fork_rng():
            torch.manual_seed(3)
            once(model, batch, True, bf16)
        gradients.append(torch.cat([weight.grad.flatten() for weight in model.parameters()]))
    real = batch["attention_mask"].bool()
    gradient = (gradients[0] - gradients[1]).norm() / gradients[0].norm()
    return (logits[0] - logits[1])[real].abs().max().item(), gradient.item()


def measure(system: str, shape: str, options: argparse.Namespace) -> None:
    """Print a line for each use and precision of one shape."""
    rows, length = map(int, shape.split("x"))
    model = made(system, options.base).to(options.device)
    batch = batch_of(system, rows, length, options.device)
    pieces = int(batch["attention_mask"].sum())
    for bf16 in (False, True):
        far = apart(model, batch, bf16)
        for training in (True, False):
            times = contest(model, batch, training, bf16, options)
            ratios = [plain / eager for plain, eager in zip(times["sdpa"], times["eager"], strict=True)]
            rate = pieces / statistics.median(times["eager"])
            print(
                f"{system:9} {shape:>7} {'bf16' if bf16 else 'fp32'} {'training' if training else 'inference':9} "
                f"eager is {spread(ratios)} times as fast, {rate:7,.0f} sub-words a"
                f" second; logits {far[0]:.1e}, gradients {far[1]:.1e} apart",
                flush=True,
            )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="minilm", help="the base whose size is taken")
    parser.add_argument("--systems", nargs="+", choices=("bert", "charbert"), default=["bert", "charbert"])
    parser.add_argument("--shapes", nargs="+", default=SHAPES, metavar="BxT", help="rows x sub-words")
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: processor time, on a busy machine")
    parser.add_argument("--quick", action="store_true", help="one small shape, two runs")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.quick:
        options.shapes, options.runs = ["2x16"], 2
    for system in options.systems:
        for shape in options.shapes:
            measure(system, shape, options)


if __name__ == "__main__":
    main()
