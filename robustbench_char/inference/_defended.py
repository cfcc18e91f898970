"""A defence in front of a source of predictions that cannot take one itself: predictors and endpoints."""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from robustbench_char.attack_sets.manifest import Manifest
from robustbench_char.common import InputError
from robustbench_char.defences.opening import kind_of_defence, open_defence
from robustbench_char.inference.evaluate import Asking, PredictionSource
from robustbench_char.inference.options import ModelOptions
from robustbench_char.inference.results import Predictions
from robustbench_char.metrics.base import Prediction, QaPrediction
from robustbench_char.records.evaluation import SystemInfo
from robustbench_char.tasks.base import Example, NativeFile

if TYPE_CHECKING:
    from robustbench_char.inference._models import LoadedModel
    from robustbench_char.models.system import Defence
    from robustbench_char.text.corrections import Correction

__all__ = ["adapts", "defend", "defended", "defended_info", "settled"]


def defended_info(info: SystemInfo, defence: Defence, name: str) -> SystemInfo:
    """Return what records say of a system behind a defence. Raises InputError for a second one."""
    if info.defence is not None:
        found, expected = f"{info.shown}, which has a defence before it", "a system without a defence of its own"
        raise InputError("--defence", found=found, expected=expected, fix="Leave --defence out for this system.")
    named = defence.info.model_copy(update={"name": defence_name(name)})
    return info.model_copy(update={"label": defended_name(info.shown, name), "defence": named})


def defended_name(shown: str, defence: str) -> str:
    """Return how reports call a model behind a defence."""
    return f"{shown} + {defence_name(defence)}"


def defence_name(name: Path | str) -> str:
    """Return how reports call a defence: by its folder, or as a ready one is called."""
    return Path(name).expanduser().resolve().name


def _folder_of(name: str) -> tuple[Path, ...]:
    """Return the folder that a defence is read from, if any."""
    folder = kind_of_defence(name)[1]
    return (folder,) if folder else ()


def defend(model: LoadedModel, name: str) -> None:
    """Put a defence before a model that is loaded: it corrects texts before they are encoded."""
    model.kind.defence = defence = open_defence(name)
    model.info = defended_info(model.info, defence, name)
    model.inputs = (*model.inputs, *_folder_of(name))


def defended(source: PredictionSource, options: ModelOptions) -> PredictionSource:
    """Return a source behind the defence that the options name, or as it is."""
    if options.defence is None:
        return source
    return _Defended(source, open_defence(options.defence), options.defence)


def adapts(source: PredictionSource) -> bool:
    """Return whether a source has a defence that adapts to its input (see `models.system.Adaptive`)."""
    # the protocol needs a model library; predictors do not
    return hasattr(getattr(_front(source), "defence", None), "settled")


def _front(source: PredictionSource) -> Any:
    """Return what holds the defence of a source, if it has one."""
    return source if isinstance(source, _Defended) else getattr(source, "kind", None)


def settled(source: PredictionSource, examples: Sequence[Example]) -> PredictionSource:
    """Return a source like it, whose defence has read the texts of examples and adapts to no others.

    What it predicts for an example then depends on that example alone. A source that does not adapt is returned as it
    is.
    """
    if not adapts(source):
        return source
    front = _front(source)
    texts, tokens = _fields(examples)
    made: Any = copy(source)
    if front is not source:
        made.kind = copy(front)
    (made if front is source else made.kind).defence = front.defence.settled(tokens, texts)
    return cast(PredictionSource, made)


def _fields(examples: Sequence[Example]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return the distinct texts of examples, and their distinct tokens."""
    values = dict.fromkeys(value for example in examples for value in example.fields.values())
    texts = [value for value in values if isinstance(value, str)]
    return texts, [value for value in values if not isinstance(value, str)]


class _Defended:
    """A source that is given corrected texts; the answers that it quotes are mapped back to the texts as given."""

    def __init__(self, source: PredictionSource, defence: Defence, name: str) -> None:
        self.source, self.defence = source, defence
        self.info = defended_info(source.info, defence, name)
        self.task, self.origin, self.classes, self.pieces = source.task, source.origin, source.classes, source.pieces
        self.device, self.seconds = source.device, source.seconds
        self.inputs = (*source.inputs, *_folder_of(name))

    def check(self, file: NativeFile, sha256: str, attack: Manifest | None) -> None:
        """Raise InputError for a file that the source must not be scored on."""
        self.source.check(file, sha256, attack)

    def requests(self, examples: Sequence[Example]) -> int:
        """Return how many requests the source would send."""
        return self.source.requests(self._corrected(examples)[0]) if isinstance(self.source, Asking) else 0

    def check_requests(self, examples: Sequence[Example], limit: int | None, more: int = 0) -> None:
        """Raise InputError where the source would send more requests than the user may expect."""
        if isinstance(self.source, Asking):
            self.source.check_requests(self._corrected(examples)[0], limit, more)

    def predict(self, examples: Sequence[Example], *, batch_size: int = 32, progress: bool = True) -> Predictions:
        """Return the source's predictions on corrected texts; the seconds are from text to predictions."""
        started = time.perf_counter()
        corrected, texts = self._corrected(examples)
        seconds = time.perf_counter() - started
        made = self.source.predict(corrected, batch_size=batch_size, progress=progress)
        contexts = [texts.get(str(example.fields.get("context"))) for example in examples]
        values = [_given(value, context) for value, context in zip(made.values, contexts, strict=True)]
        return replace(made, values=values, seconds=made.seconds + seconds)

    def _corrected(self, examples: Sequence[Example]) -> tuple[list[Example], dict[str, Correction]]:
        """Return examples with their fields corrected, each distinct one once, and the corrections of texts."""
        texts, tokens = _fields(examples)
        corrections = dict(zip(texts, self.defence.correct_texts(texts), strict=True))
        new: dict[str | tuple[str, ...], str | tuple[str, ...]] = {text: one.text for text, one in corrections.items()}
        new |= {words: tuple(one) for words, one in zip(tokens, self.defence.correct(tokens), strict=True)}
        corrected = [
            example._replace(fields={name: new[value] for name, value in example.fields.items()})
            for example in examples
        ]
        return corrected, corrections


def _given(value: Prediction | None, context: Correction | None) -> Prediction | None:
    if not isinstance(value, QaPrediction) or context is None:
        return value
    return replace(value, text=_quoted(value.text, context), best_text=_quoted(value.best_text, context))


def _quoted(answer: str, context: Correction) -> str:
    """Return where an answer first stands in a corrected context, as the context was given; else the answer."""
    start = context.text.find(answer)
    if not answer or start < 0:
        return answer
    first, last = context.to_given(start, start + len(answer))
    return context.given[int(first) : int(last)]
