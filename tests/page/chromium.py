"""A headless Chromium, spoken to in its DevTools protocol: what a person sees of a page, and what it complains of.

A library for that (Playwright, Selenium) would bring a driver of its own, many times as large as all else that the
tests need; of the protocol nine methods are enough, which have not changed for years.
"""

import asyncio
import itertools
import json
import os
import shutil
import tempfile
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.brokers.process import OnProgram, Program
from tests.support import unavailable, until

__all__ = ["Chromium", "Page", "chromium_program"]

_ANSWER_SECONDS = 20
_OPTIONS = (
    "--headless",
    "--no-sandbox",  # which the tests' own user, root in a container, may not use
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--font-render-hinting=none",
    "--remote-debugging-port=0",
)
_KEYS = {"Tab": {"windowsVirtualKeyCode": 9}, "Enter": {"windowsVirtualKeyCode": 13, "text": "\r"}}


def chromium_program() -> str:
    """Find the program: TEST_CHROMIUM, or `chromium` as Debian names it."""
    found = os.environ.get("TEST_CHROMIUM") or shutil.which("chromium")
    if not found:
        unavailable("chromium", "needs a browser: install chromium, or name one in TEST_CHROMIUM")
    return found


class Chromium(OnProgram):
    """The browser as a process of ours."""

    def __init__(self, program: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="chromium-"))
        self._port_file = self.folder / "DevToolsActivePort"
        self.program = Program(
            [program, *_OPTIONS, f"--user-data-dir={self.folder}", "about:blank"], self.folder / "log"
        )
        self._start()

    def _start(self) -> None:
        self.program.start(self._port_file.exists, 30)

    @asynccontextmanager
    async def page(self) -> AsyncIterator["Page"]:
        """Open a page of its own; it is gone afterwards."""
        port = self._port_file.read_text().split()[0]
        origin = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession() as http:
            async with http.put(f"{origin}/json/new?about:blank") as answer:
                target = await answer.json(content_type=None)
            try:
                async with http.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=2**27) as socket:
                    page = Page(socket)
                    listening = asyncio.create_task(page.listen(), name="devtools")
                    for domain in ("Page", "Runtime", "Log"):
                        await page.call(f"{domain}.enable")
                    yield page
                    listening.cancel()
            finally:
                await (await http.get(f"{origin}/json/close/{target['id']}")).read()


class Page:
    """One page. `complaints` are the errors and warnings of its console."""

    def __init__(self, socket: "aiohttp.ClientWebSocketResponse[bool]") -> None:
        self.complaints: list[str] = []
        self._socket = socket
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count(1)

    async def listen(self) -> None:
        """Hear what the browser says, until cancelled."""
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            else:
                self._note(said["method"], said["params"])

    def _note(self, event: str, about: Any) -> None:
        match event:
            case "Runtime.exceptionThrown":
                details = about["exceptionDetails"]
                self.complaints.append(details.get("exception", {}).get("description", details["text"]))
            case "Runtime.consoleAPICalled" if about["type"] in {"error", "warning", "assert"}:
                self.complaints.append(json.dumps(about["args"]))
            case "Log.entryAdded" if about["entry"]["level"] in {"error", "warning"}:
                self.complaints.append(f"{about['entry']['text']} {about['entry'].get('url', '')}".strip())

    async def call(self, method: str, **parameters: object) -> Any:
        """Call a method of the protocol and give its result."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(_ANSWER_SECONDS):
            said = await answer
        assert "error" not in said, f"{method}: {said['error']}"
        return said["result"]

    async def open(self, url: str) -> None:
        """Go to an address."""
        await self.call("Page.navigate", url=url)

    async def evaluate(self, expression: str) -> Any:
        """Give the value of an expression, also of one that is to be awaited."""
        result = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def text(self, selector: str) -> str:
        """Give the text of an element as it is seen, "" if there is none."""
        return str(await self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    async def says(self, selector: str, words: str, seconds: float = 20) -> None:
        """Wait until an element shows these words."""

        async def shown() -> bool:
            return words in await self.text(selector)

        try:
            await until(shown, seconds, words)
        except AssertionError as error:
            error.add_note(f"{selector} shows {await self.text(selector)!r}")
            raise

    async def look(self, scheme: str = "light", *, width: int = 1200, height: int = 900, scale: float = 1) -> None:
        """Set the colour scheme and the size of the window, in CSS pixels; one below 600 is a phone's."""
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )

    async def reduce_motion(self) -> None:
        feature = {"name": "prefers-reduced-motion", "value": "reduce"}
        await self.call("Emulation.setEmulatedMedia", features=[feature])

    async def press(self, key: str) -> None:
        """Press a key and let go of it."""
        for kind in ("keyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, **_KEYS[key])

    async def picture(self, *, whole: bool = True) -> bytes:
        """Give the page as a PNG, or the part of it that the window shows."""
        shot = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return b64decode(shot["data"])
