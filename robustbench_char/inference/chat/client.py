"""One request to an OpenAI-compatible endpoint: tries, pauses, what an error means, and no key in any text.

The `openai` client sends and reads; it is told not to retry, so that one rate limit holds back all requests at once.
"""

from __future__ import annotations

import email.utils
import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robustbench_char.common import InputError
from robustbench_char.common.extras import require
from robustbench_char.common.options import Option

if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletion

    from robustbench_char.inference.options import ChatOptions

__all__ = ["PARAMETERS", "Answer", "Endpoint", "Outage", "Refused", "Unanswered"]

PARAMETERS: Mapping[str, float] = {"temperature": 0, "seed": 0}
"""What is asked for, unless the endpoint refuses it."""

DEFAULT_KEY = "OPENAI_API_KEY"
_LONGEST_PAUSE = 30.0
_LONGEST_WAIT = 300.0
"""Seconds that an endpoint may ask to wait; beyond them the run stops."""
_SECRET = 8
"""Characters from which a key is a secret; local servers take words such as EMPTY."""
_QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "quota_exceeded")
_OF_ALL = {
    401: "Set the environment variable that `key_env=` names to a valid key.",
    402: "Add credit, then rerun.",
    403: "Check what the key may do, and the name of the model.",
    404: "Check the name of the model, and the URL: it usually ends in /v1.",
    405: "Check the URL: it usually ends in /v1.",
}
"""Statuses that no other request would fare better with, and what to do."""


@dataclass(frozen=True)
class Answer:
    """What a model wrote, why it stopped, tokens read and written as it counts them, and the seconds it took.

    `without` names the PARAMETERS that the endpoint refused, `served` is what the model calls itself. It is kept on
    disk as a JSON object of these fields.
    """

    text: str
    finish: str | None
    tokens_in: int
    tokens_out: int
    seconds: float
    served: str | None = None
    without: Sequence[str] = ()


class Refused(Exception):
    """The endpoint refuses this text: too long, filtered, malformed. Others may go through."""


class Unanswered(Exception):
    """No answer after all tries."""


class Outage(Exception):
    """No request can succeed now: `found` and `fix` are for the user."""

    def __init__(self, found: str, fix: str) -> None:
        super().__init__(found)
        self.found, self.fix = found, fix


class _Again(Exception):
    """Worth another try, after `wait` seconds where the endpoint says so; `limited`: no other may start before."""

    def __init__(self, found: str, wait: float | None = None, *, limited: bool = False) -> None:
        super().__init__(found)
        self.wait, self.limited = wait, limited


class Pace:
    """When the next request may start: a rate limit that one request meets holds all of them back."""

    def __init__(self, pause: Callable[[float], object]) -> None:
        self._pause, self._lock, self._from = pause, threading.Lock(), 0.0

    def hold(self, seconds: float) -> None:
        """Let no request start for some seconds."""
        with self._lock:
            self._from = max(self._from, time.monotonic() + seconds)

    def wait(self) -> None:
        """Pause until requests may start."""
        with self._lock:
            seconds = self._from - time.monotonic()
        if seconds > 0:
            self._pause(seconds)


class Endpoint:
    """A model behind an endpoint, asked from many threads. `pause` waits for some seconds.

    Raises InputError for a variable of the key that is not set, and for a package that is not installed.
    """

    def __init__(
        self, model: str, url: str, options: ChatOptions, pause: Callable[[float], object] = time.sleep
    ) -> None:
        require("openai", place="a chat model")
        import openai

        self.model, self.options = model, options
        self._key = read_key(options.key_env)
        self._pace, self._pause = Pace(pause), pause
        self._refused: tuple[str, ...] = ()
        self._reached = False
        self._client = openai.OpenAI(base_url=url, api_key=self._key or "none", timeout=options.timeout, max_retries=0)

    def ask(self, messages: list[dict[str, str]]) -> Answer:
        """Return the answer to one request. Raises Refused, Unanswered or Outage; their texts hold no key."""
        tries, found = 0, ""
        while tries <= self.options.retries:
            self._pace.wait()
            refused = self._refused
            try:
                return self._once(messages, refused)
            except _Again as again:
                found = str(again)
                if refused != self._refused:  # without a parameter, at once
                    continue
                tries += 1
                if tries <= self.options.retries:
                    self._back_off(again, tries)
        raise Unanswered(f"{found}, after {tries} tries")

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _back_off(self, again: _Again, tries: int) -> None:
        seconds = again.wait or min(_LONGEST_PAUSE, 0.5 * 2.0 ** (tries - 1))
        if again.limited:
            self._pace.hold(seconds)
        else:
            self._pause(seconds)

    def _once(self, messages: list[dict[str, str]], refused: tuple[str, ...]) -> Answer:
        import openai

        parameters: Any = {name: value for name, value in PARAMETERS.items() if name not in refused}
        started = time.perf_counter()
        try:
            completion: Any = self._client.chat.completions.create(model=self.model, messages=messages, **parameters)  # type: ignore[arg-type]
        except openai.APIStatusError as error:
            raise self._status(error, refused) from None
        except openai.APIConnectionError as error:
            raise self._not_there(error) from None
        except (openai.OpenAIError, ValueError) as error:  # ValueError: JSON that is cut
            raise _Again(f"a response that cannot be read ({self._clean(error)})") from None
        if isinstance(completion, str):
            raise self._page(completion)
        self._reached = True
        return self._answer(completion, time.perf_counter() - started, refused)

    def _answer(self, completion: ChatCompletion, seconds: float, refused: tuple[str, ...]) -> Answer:
        if not completion.choices:  # some routers send an error as a success
            raise _Again(f"a response without an answer ({self._clean(getattr(completion, 'error', None))})")
        choice, usage = completion.choices[0], completion.usage
        message = choice.message
        text = (message.content or message.refusal or "") if message else ""
        return Answer(
            text=self._clean(text, limit=None).encode("utf-8", "replace").decode(),  # no half of a surrogate pair
            finish=self._clean(choice.finish_reason) or None,
            tokens_in=(usage.prompt_tokens or 0) if usage else 0,
            tokens_out=(usage.completion_tokens or 0) if usage else 0,
            seconds=seconds,
            served=self._clean(completion.model) if completion.model else None,
            without=refused,
        )

    def _status(self, error: openai.APIStatusError, refused: tuple[str, ...]) -> Exception:
        """Return what a status means: for all requests, for this one, or another try (without a parameter)."""
        status, said = error.status_code, self._said(error)
        found = f"HTTP {status} ({said})"
        if status in _OF_ALL:
            return Outage(found, _OF_ALL[status])
        if status in (408, 409, 429) or status >= 500:
            return self._for_now(error, found)
        if odd := next((name for name in PARAMETERS if name not in refused and _names(error.param, said, name)), None):
            self._refused = tuple(dict.fromkeys((*self._refused, odd)))
            return _Again(found)
        return Refused(found)

    def _for_now(self, error: openai.APIStatusError, found: str) -> Exception:
        """Return what a failure, a rate limit or a quota means."""
        if error.status_code == 429 and any(code in (error.code, error.type) or code in found for code in _QUOTA):
            return Outage(f"{found}: the quota is used up", "Add credit, then rerun: only what is missing is asked.")
        wait = wait_of(error.response.headers)
        if wait is not None and wait > _LONGEST_WAIT:
            return Outage(f"{found}: it asks to wait {wait:.0f} seconds", "Rerun then: only what is missing is asked.")
        return _Again(found, wait, limited=wait is not None or error.status_code == 429)

    def _not_there(self, error: openai.APIConnectionError) -> Exception:
        import openai

        if isinstance(error, openai.APITimeoutError):
            return _Again(f"no answer within {self.options.timeout:g} seconds")
        cause = f" ({self._clean(error.__cause__)})" if error.__cause__ else ""
        if not self._reached:
            return Outage(f"no connection{cause}", "Start the server, or check the URL.")
        return _Again(f"no connection{cause}")

    def _page(self, text: str) -> Outage:
        title = re.search(r"<title>\s*(.*?)\s*</title>", text, re.S | re.I)
        kind = "an HTML page" if "<html" in text[:1000].lower() or title else "a text that is not JSON"
        shown = self._clean(title[1] if title else text)
        return Outage(f"{kind} ({shown!r})", "Check the URL: it usually ends in /v1.")

    def _said(self, error: openai.APIStatusError) -> str:
        """Return what the endpoint says of an error: its message, or the start of its page."""
        body: Any = error.body
        if isinstance(body, dict):
            body = body.get("message") or body.get("detail") or json.dumps(body)
        return self._clean(body or error.message)

    def _clean(self, text: object, limit: int | None = 200) -> str:
        """Return a text without the key (whose error may echo it), in one line of `limit` characters at most."""
        plain = "" if text is None else str(text)
        if self._key and len(self._key) >= _SECRET:
            for form in {self._key, json.dumps(self._key)[1:-1], repr(self._key)[1:-1]}:
                plain = plain.replace(form, "[key]")
        if limit is None:
            return plain
        line = " ".join(plain.split())
        return line if len(line) <= limit else f"{line[:limit]}..."


def _names(param: str | None, said: str, name: str) -> bool:
    """Return whether an error is about a parameter: it says so itself, or calls it unknown or unsupported."""
    if param:
        return param == name
    words = said.casefold()
    return name in words and any(word in words for word in ("support", "unknown", "unrecogni", "permitted", "extra"))


def read_key(variable: str) -> str | None:
    """Return the key in an environment variable; None where the default one is not set, as for a local server.

    Raises InputError where another variable is named that is not set, and for a key that cannot be sent; what may be a
    key is not repeated.
    """
    key = os.environ.get(variable, "").strip()
    if not key.isascii() or not key.isprintable():
        found, expected = "a key with characters that cannot be sent", "one of ASCII characters"
        raise InputError(Option("key_env"), found=found, expected=expected, fix=f"Copy it into {variable} again.")
    if not key and variable != DEFAULT_KEY:
        found = f"{variable}, which is not set" if re.fullmatch("[A-Z_][A-Z0-9_]*", variable) else "no such variable"
        expected = "the name of an environment variable that holds the key"
        fix = "Set it, export MY_KEY=..., and give its name, never the key."
        raise InputError(Option("key_env"), found=found, expected=expected, fix=fix)
    return key or None


def wait_of(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that Retry-After asks for, as a number or as a date; None where there is none."""
    text = headers.get("retry-after", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        date = email.utils.parsedate_tz(text)
        return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else None
