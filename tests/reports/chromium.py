"""Headless Chromium by its DevTools protocol, over a pipe: nothing but the standard library and the browser.

Source: https://chromedevtools.github.io/devtools-protocol/ (messages are JSON, each ended by a zero byte).
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-background-networking", "--remote-debugging-pipe")  # fmt: skip
_READ, _WRITE = 3, 4  # where Chromium reads commands and writes answers


def executable() -> str | None:
    """Return the path of Debian's or another Chromium, or None."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


class Chromium:
    """One browser with one page. Use it as a context manager."""

    def __init__(self, *, width: int = 1280, height: int = 900) -> None:
        self.size = width, height
        self.events: list[dict[str, Any]] = []
        self._numbers, self._held = itertools.count(1), b""

    def __enter__(self) -> Self:
        read, self._out = os.pipe()
        self._in, write = os.pipe()
        # Out of the way first: a pipe may itself stand at one of the two places.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (read, write)]
        for end in (read, write):
            os.close(end)

        def place() -> None:
            os.dup2(ends[0], _READ)
            os.dup2(ends[1], _WRITE)

        self.process = subprocess.Popen(
            [executable() or "chromium", *FLAGS, f"--window-size={self.size[0]},{self.size[1]}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(_READ, _WRITE), preexec_fn=place,
        )  # fmt: skip
        for end in ends:
            os.close(end)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.page(f"{domain}.enable")
        width, height = self.size
        self.page("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for end in (self._out, self._in):
            os.close(end)

    def call(self, method: str, *, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Send one command and return its result; what happens meanwhile is kept in `events`."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        os.write(self._out, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def page(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command to the page."""
        return self.call(method, session=self.session, **params)

    def open(self, path: Path, *, fragment: str = "") -> None:
        """Open a file and wait until the explorer is ready (or there is none)."""
        self.page("Page.navigate", url=path.resolve().as_uri() + fragment)
        self.wait("document.readyState === 'complete'")
        self.wait("!document.getElementById('explorer') || document.getElementById('explorer').dataset.ready === 'yes'")

    def run(self, script: str) -> Any:
        """Return the value of an expression, awaited."""
        found = self.page("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(json.dumps(found["exceptionDetails"]))
        return found["result"].get("value")

    def wait(self, condition: str, *, seconds: float = 30.0) -> None:
        """Wait until an expression is true. Raises TimeoutError."""
        self._until(lambda: bool(self.run(condition)), condition, seconds)

    def key(self, name: str) -> None:
        """Press one key."""
        codes = {"ArrowDown": 40, "ArrowUp": 38, "End": 35, "Home": 36, "Escape": 27}
        named = {"key": name, "code": name, "windowsVirtualKeyCode": codes.get(name, ord(name[0]))}
        text = {"text": name} if len(name) == 1 else {}
        self.page("Input.dispatchKeyEvent", type="keyDown", **named, **text)
        self.page("Input.dispatchKeyEvent", type="keyUp", **named)

    def screenshot(self, *, whole: bool = False) -> bytes:
        """Return a picture of the page as PNG: what is seen, or all of it."""
        import base64

        found = self.page("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(found["data"])

    def requests(self) -> list[str]:
        """Return the addresses that the page asked for."""
        return [event["params"]["request"]["url"] for event in self.events
                if event.get("method") == "Network.requestWillBeSent"]  # fmt: skip

    def errors(self) -> list[str]:
        """Return what went wrong by the console: exceptions, errors, warnings."""
        found = []
        for event in self.events:
            params = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"]["text"])
            elif event.get("method") == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                found.append(params["entry"]["text"])
            elif event.get("method") == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
                found.append(str(params["args"]))
        return found

    def _until(self, done: Callable[[], bool], what: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"after {seconds} s still not: {what}")
            time.sleep(0.05)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._held:
            if not select.select([self._in], [], [], 60)[0]:
                raise TimeoutError("Chromium does not answer")
            self._held += os.read(self._in, 1 << 16)
        message, _, self._held = self._held.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found
