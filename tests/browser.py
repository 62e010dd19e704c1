"""A real Chromium, driven by the DevTools protocol over a pipe: no port, no driver, no library."""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SECONDS = 60.0
_OPTIONS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)


def program() -> str | None:
    """Return where Chromium is."""
    return shutil.which("chromium") or shutil.which("google-chrome")


_EXEC = """
import fcntl, os, sys
files = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for at, file in enumerate(files, 3):
    os.dup2(file, at)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Page:
    """An open page, and what it has complained about."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        self._left = b""
        self._number = 0
        self._session: str | None = None
        self._loaded = False
        self.complaints: list[str] = []
        """Errors and warnings of the console, exceptions, and what was asked of a network."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def look(self, width: int, scheme: str, height: int = 900) -> None:
        """Set the window's width in pixels, and whether the user wants light or dark."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self._call("Emulation.setEmulatedMedia", features=[feature])

    def open(self, path: Path) -> None:
        """Load a file, and wait until it is drawn."""
        self._loaded = False
        answer = self._call("Page.navigate", url=path.as_uri())
        assert "errorText" not in answer, answer
        until = time.monotonic() + _SECONDS
        while not self._loaded:
            self._hear(until)
        self.settle()

    def settle(self) -> None:
        """Wait until what has changed is drawn."""
        self.ask("new Promise(d => requestAnimationFrame(() => requestAnimationFrame(() => d(1))))")

    def ask(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript in the page."""
        answer = self._call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def move(self, x: float, y: float) -> None:
        """Put the pointer somewhere."""
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.settle()

    def wheel(self, x: float, y: float, by: float) -> None:
        """Turn the wheel at a place."""
        self._call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=by)
        self.settle()

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Take a picture, of the whole page or of what the window shows."""
        if whole:
            width, height = self.ask("[innerWidth, document.documentElement.scrollHeight]")
            self._call(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=height,
                deviceScaleFactor=1,
                mobile=False,
            )
            self.settle()
        answer = self._call("Page.captureScreenshot")
        path.write_bytes(base64.b64decode(answer["data"]))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + _SECONDS
        while True:
            heard = self._hear(until)
            if heard.get("id") == self._number:
                assert "error" not in heard, heard
                result: dict[str, Any] = heard["result"]
                return result

    def _hear(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._left:
            left = max(0.0, until - time.monotonic())
            assert select.select([self._reading], [], [], left)[0], "the browser does not answer"
            got = os.read(self._reading, 1 << 20)
            assert got, "the browser has ended"
            self._left += got
        first, _, self._left = self._left.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, parameters: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.complaints.append(str(parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.complaints.append(parameters["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            url = parameters["request"]["url"]
            if not url.startswith(("file:", "data:", "about:")):
                self.complaints.append(f"asks for {url}")


@contextmanager
def browser() -> Iterator[Page]:
    """Start Chromium with one page; it ends with the block."""
    found = program()
    assert found is not None
    to_read, from_us = os.pipe()
    from_it, to_write = os.pipe()

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # whatever numbers these files have here, Chromium looks for 3 and 4
        started = subprocess.Popen(
            [
                sys.executable,
                "-ISc",
                _EXEC,
                str(to_read),
                str(to_write),
                found,
                *_OPTIONS,
                f"--user-data-dir={folder}",
            ],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_read)
        os.close(to_write)
        try:
            yield Page(from_it, from_us)
        finally:
            os.close(from_us)  # which ends it
            os.close(from_it)
            try:
                started.wait(10)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()
