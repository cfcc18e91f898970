"""A chat model as a source of predictions: every example is one request, and no request is sent twice.

An answer is kept on disk the moment it arrives, under a hash of endpoint, model, prompt, parameters and messages.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from robustbench_char.attack_sets.manifest import Manifest
from robustbench_char.common import InputError
from robustbench_char.common.errors import Unfinished
from robustbench_char.common.files import sha256_bytes
from robustbench_char.common.options import Option
from robustbench_char.common.process import progress_bar
from robustbench_char.inference._answers import Answers
from robustbench_char.inference._attack_set import PieceCounter
from robustbench_char.inference.chat.client import PARAMETERS, Answer, Endpoint, Outage, Refused, Unanswered
from robustbench_char.inference.chat.parsing import Reading, read_answer
from robustbench_char.inference.chat.prompts import Messages, Prompt
from robustbench_char.inference.options import CHAT, ChatOptions
from robustbench_char.inference.results import Predictions
from robustbench_char.records.chat import ChatInfo
from robustbench_char.records.evaluation import SystemInfo
from robustbench_char.records.predictors import EXTERNAL
from robustbench_char.tasks.base import Example, NativeFile, Task

__all__ = ["MOST_REQUESTS", "ChatSource", "check_requests"]

MOST_REQUESTS = 2000
"""Requests that are sent without `limit` or `yes`."""
_FAILURES = 3
"""Requests in a row without an answer after all tries, from which on no other is sent."""
_REFUSALS = 10
"""Requests that are refused, with none answered, from which on no other is sent."""
_PARTLY = {
    "entity_f1": "unusable_spans", "tagging": "untagged_words", "question_answering": "answers_not_in_context",
}  # fmt: skip
"""What counts the parts of answers that cannot be right, by metric or family."""
_SHOWN = 500
"""Characters of an answer that a reason quotes."""


def check_requests(planned: int, *, limit: int | None, yes: bool) -> None:
    """Raise InputError where more than MOST_REQUESTS requests are planned that nobody asked for by `limit` or `yes`."""
    if planned > MOST_REQUESTS and limit is None and not yes:
        raise InputError(
            Option("limit"),
            found=f"{planned:,} requests planned",
            expected=f"at most {MOST_REQUESTS:,} unless you say so",
            fix="Name the number of examples with `limit=` (of a search with `budget=` too), or add `yes=`.",
        )


def read_price(text: str | None) -> tuple[float, float] | None:
    """Return the price of a million input tokens and of a million output tokens. Raises InputError for another text."""
    if text is None:
        return None
    try:
        price = tuple(float(part) for part in text.split(","))
    except ValueError:
        price = ()
    if len(price) != 2 or not all(math.isfinite(part) and part >= 0 for part in price):
        expected = "the price of a million input tokens and of a million output tokens: 0.15,0.60"
        raise InputError(Option("price"), found=repr(text), expected=expected, fix="Give both, parted by a comma.")
    return price[0], price[1]


def chat_info(model: str, endpoint: str, prompt: Prompt) -> ChatInfo:
    """Return what decides the answers of a chat model, as a record holds it."""
    return ChatInfo(
        endpoint=endpoint,
        model=model,
        prompt=prompt.name,
        prompt_sha256=prompt.file.sha256,
        messages={role: text for role in ("system", "user") if (text := getattr(prompt.file, role))},
        choices=prompt.choices,
        parameters=dict(PARAMETERS),
    )


@dataclass
class _Round:
    """What came of the requests of one round: answers and refusals by request, those without an answer, the end."""

    answers: dict[int, Answer] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    unanswered: list[str] = field(default_factory=list)
    outage: Outage | None = None
    in_a_row: int = 0

    def take(self, place: int, future: Future[Answer | None]) -> None:
        """Put what came of one request where it belongs; find out when no other needs to be sent."""
        try:
            answer = future.result()
        except Refused as refused:
            self.refused[place] = str(refused)
            if not self.answers and len(self.refused) >= _REFUSALS:
                self._end(str(refused), "Correct what the endpoint refuses.")
        except Unanswered as unanswered:
            self.unanswered.append(str(unanswered))
            self.in_a_row += 1
            if self.in_a_row >= _FAILURES:
                self._end(str(unanswered), "Rerun later: only what is missing is asked.")
        except Outage as outage:
            self._end(outage.found, outage.fix)
        else:
            if answer is not None:
                self.answers[place] = answer
                self.in_a_row = 0

    def _end(self, found: str, fix: str) -> None:
        self.outage = self.outage or Outage(found, fix)


class ChatSource:
    """A chat model on one task. Raises InputError for options that cannot work; nothing is sent before `predict`."""

    origin = "as --task says"
    device = "endpoint"  # where a model behind an endpoint computes is not known
    inputs: tuple[Path, ...] = ()
    pieces: PieceCounter | None = None
    seconds = 0.0

    def __init__(self, model: str, endpoint: str, prompt: Prompt, options: ChatOptions) -> None:
        self.task: Task = prompt.task
        self.classes = prompt.task.labels
        self.model, self.endpoint, self.prompt, self.options = model, endpoint, prompt, options
        self._price = read_price(options.price)
        self.chat = chat_info(model, endpoint, prompt)
        self.info = SystemInfo(
            name=CHAT + model,
            label=f"{CHAT}{model}, prompt {Path(options.prompt).stem}" if options.prompt else None,
            base=EXTERNAL,
            parameters=None,
            training_seed=None,
            training_sha256=None,
            settings={},
            weights_sha256=sha256_bytes(json.dumps(self.chat.model_dump(mode="json"), sort_keys=True).encode()),
            chat=self.chat,
        )

    def check(self, file: NativeFile, sha256: str, attack: Manifest | None) -> None:
        """Any file of the task will do: what a chat model was trained on is not known."""

    def requests(self, examples: Sequence[Example]) -> int:
        """Return how many requests `predict` would send for these examples: those whose answer is not kept."""
        asked, _ = self._asked(examples)
        return sum(answer is None for answer in self._kept().get_all(asked))

    def check_requests(self, examples: Sequence[Example], limit: int | None, more: int = 0) -> None:
        """Raise InputError where more requests would be sent (and `more` beside) than the user may expect."""
        check_requests(self.requests(examples) + more, limit=limit, yes=self.options.yes)

    def predict(self, examples: Sequence[Example], *, batch_size: int = 32, progress: bool = True) -> Predictions:
        """Return one prediction per example, in the order given; the seconds are those of all requests, kept ones too.

        An answer without a usable prediction, and a text that the endpoint refuses, are errors of their example. Raises
        InputError where nothing is answered, and Unfinished where some is: all that was answered is kept.
        """
        asked, places = self._asked(examples)
        done = self._answered(asked, progress)
        readings = [self._read(example, done, place) for example, place in zip(examples, places, strict=True)]
        answers = done.answers.values()
        return Predictions(
            [reading.value for reading in readings],
            sum(answer.seconds for answer in answers),
            self._counts(readings, sum(place in done.refused for place in places), done),
            no_answer_scores=False,
            errors={row: reading.problem for row, reading in enumerate(readings) if reading.problem},
            cost=self._cost(answers),
            served=tuple(sorted({answer.served for answer in answers if answer.served})),
        )

    def _asked(self, examples: Sequence[Example]) -> tuple[list[Messages], list[int]]:
        """Return the different requests, and which of them is that of each example."""
        asked: dict[str, Messages] = {}
        places = []
        for example in examples:
            messages = self.prompt.messages(example)
            key = str(messages)
            asked.setdefault(key, messages)
            places.append(key)
        order = {key: number for number, key in enumerate(asked)}
        return [*asked.values()], [order[key] for key in places]

    def _kept(self) -> Answers:
        identity = {"endpoint": self.endpoint, "model": self.model, "parameters": dict(PARAMETERS)}
        return Answers(identity, self.options.cache)

    def _answered(self, asked: Sequence[Messages], progress: bool) -> _Round:
        """Return the answers to all requests, those kept from before included."""
        kept = self._kept()
        found = {place: Answer(**value) for place, value in enumerate(kept.get_all(asked)) if value is not None}
        done = _Round(answers=dict(found))
        missing = [place for place in range(len(asked)) if place not in found]
        if missing:
            self._ask(asked, missing, kept, done, progress)
        if done.outage or done.unanswered:
            raise self._unfinished(done, len(asked))
        return done

    def _ask(
        self, asked: Sequence[Messages], missing: Sequence[int], kept: Answers, done: _Round, progress: bool
    ) -> None:
        """Send the missing requests, `parallel` at once; at an outage or an interrupt only those on their way end."""
        stop = threading.Event()
        endpoint = Endpoint(self.model, self.endpoint, self.options, pause=partial(pause, stop))

        def one(place: int) -> Answer | None:
            if stop.is_set():
                return None
            answer = endpoint.ask(asked[place])
            kept.put(asked[place], asdict(answer))
            return answer

        try:
            with ThreadPoolExecutor(min(self.options.parallel, len(missing))) as pool, progress_bar(progress) as bar:
                shown = bar.add_task("asking", total=len(asked), completed=len(done.answers))
                futures = {pool.submit(one, place): place for place in missing}
                try:
                    for future in as_completed(futures):
                        done.take(futures[future], future)
                        bar.update(shown, completed=len(done.answers) + len(done.refused))
                        if done.outage:
                            stop.set()
                finally:
                    stop.set()
        finally:
            endpoint.close()

    def _unfinished(self, done: _Round, total: int) -> InputError:
        """Return the error of a run without all answers: bad input where there is none at all."""
        place = f"endpoint {self.endpoint}"
        outage = done.outage or Outage(done.unanswered[0], "Rerun, with a longer `timeout=` or more `retries=`.")
        expected = f"answers of the model {self.model}"
        if not done.answers:
            return InputError(place, found=outage.found, expected=expected, fix=outage.fix)
        found = f"{outage.found}; {len(done.answers):,} of {total:,} answers are kept"
        return Unfinished(place, found=found, expected=f"all {expected}", fix=outage.fix)

    def _read(self, example: Example, done: _Round, place: int) -> Reading:
        if place in done.refused:
            return Reading(None, f"refused by the endpoint: {done.refused[place]}")
        answer = done.answers[place]
        reading = read_answer(self.prompt, example, answer.text)
        if reading.problem is None:
            return reading
        cut = " (cut off by the limit of its length)" if answer.finish == "length" else ""
        text = answer.text if len(answer.text) <= _SHOWN else f"{answer.text[:_SHOWN]}..."
        return reading._replace(problem=f"{reading.problem}{cut}; the answer: {text}")

    def _cost(self, answers: Collection[Answer]) -> float | None:
        if self._price is None:
            return None
        tokens = sum(answer.tokens_in for answer in answers), sum(answer.tokens_out for answer in answers)
        return sum(number * price for number, price in zip(tokens, self._price, strict=True)) / 1e6

    def _counts(self, readings: Sequence[Reading], refused: int, done: _Round) -> dict[str, int]:
        """Return tokens (of kept answers too), and what went wrong; requests for the same text count once."""
        answers = done.answers.values()
        counts = {
            "tokens_in": sum(answer.tokens_in for answer in answers),
            "tokens_out": sum(answer.tokens_out for answer in answers),
            "refused": refused,
            "unparsed": sum(reading.value is None for reading in readings) - refused,
            "cut_off": sum(answer.finish == "length" for answer in answers),
            **{f"without_{name}": sum(name in answer.without for answer in answers) for name in PARAMETERS},
        }
        if name := _PARTLY.get(self.task.metric) or _PARTLY.get(self.task.family):
            counts[name] = sum(reading.unusable for reading in readings)
        return counts


def pause(stop: threading.Event, seconds: float) -> None:
    """Wait before a request is sent again. Raises Unanswered where none is to be sent any more."""
    if stop.wait(seconds):
        raise Unanswered("stopped")
