"""The bridge as a child process of the demo: configured by environment variables, watched from outside only."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from bridge.message import OWN_EVENTS

__all__ = ["RESOURCES", "Child", "child"]

_LINE_BYTES = 16 * 1024 * 1024
_STOP_SECONDS = 15

RESOURCES: Final = (
    *("tickets", "orders", "plus", "stocks"),
    *("devices", "articlecategories", "stocktransfers", "dailysalesreports"),
)
"""What the bridge of the demo subscribes to."""


class _Line(msgspec.Struct):
    """What the demo reads of a line of the stdout sink."""

    data: msgspec.Raw
    type: str = ""
    resourcename: str = ""
    resourceid: str = ""
    resourceversion: str = ""
    resourceaction: str = ""


class Child:
    """The running bridge: what its stdout sink has printed, and what its admin port says."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.printed: list[str] = []
        """SHA-256 of each notification that the stdout sink has printed, in hexadecimal."""
        self.newest = ""
        self._process = process
        self._http = http

    async def read_lines(self) -> None:
        """Read what the bridge prints until it ends."""
        assert self._process.stdout is not None  # noqa: S101 - it was started with a pipe
        while text := await self._process.stdout.readline():
            line = msgspec.json.decode(text, type=_Line)
            if line.type.startswith(OWN_EVENTS):
                continue
            self.printed.append(sha256(bytes(line.data)).hexdigest())
            self.newest = (
                f"{line.resourcename}/{line.resourceid} {line.resourceaction} v{line.resourceversion}"
                if line.resourcename
                else "licence"
            )

    async def status(self) -> Mapping[str, Any] | None:
        """Ask `/status`; None while there is no answer, or it starts yet."""
        try:
            async with self._http.get(f"{self.url}/status") as answer:
                status: Mapping[str, Any] = await answer.json()
                return status if "journal" in status else None
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def accepted(self) -> int:
        """Ask `/metrics` how many notifications the bridge has accepted: all that it stored but its own events."""
        async with self._http.get(f"{self.url}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        stored, own = (
            sum(int(float(line.rsplit(" ", 1)[1])) for line in lines if line.startswith(f"portos_bridge_events_{name}"))
            for name in ("accepted_total", "generated_total")
        )
        return stored - own

    @property
    def ended(self) -> bool:
        """Whether the bridge is not running any more."""
        return self._process.returncode is not None

    async def stop(self) -> None:
        """Stop the bridge in order; kill it if it does not."""
        if not self.ended:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()


@asynccontextmanager
async def child(hub_url: str, mqtt_port: int, admin_port: int, folder: Path) -> AsyncIterator[Child]:
    """Run the bridge with the sinks mqtt and stdout; its log goes to a file in `folder`."""
    settings = {
        "SINKS": "mqtt,stdout",
        "HUB__URL": hub_url,
        "AUTH__USERNAME": "950",
        "AUTH__PASSWORD": "secret",
        "AUTH__DEVICE_NAME": "BRIDGE-DEMO",
        "SUBSCRIBE__RESOURCES": ",".join(RESOURCES),
        "SINK__MQTT__URL": f"mqtt://127.0.0.1:{mqtt_port}",
        "SINK__MQTT__VERSION": "3.1.1",
        "JOURNAL__PATH": str(folder / "journal.db"),
        "ADMIN__HOST": "127.0.0.1",
        "ADMIN__PORT": str(admin_port),
        "SECRETS_DIR": str(folder / "secrets"),
        "SETTINGS_DIR": str(folder / "settings"),
    }
    inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith("PORTOS_BRIDGE_")}
    environment = {**inherited, **{f"PORTOS_BRIDGE_{name}": value for name, value in settings.items()}}
    with (folder / "bridge.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bridge",
            "run",
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=_LINE_BYTES,
        )
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http:
        running = Child(process, f"http://127.0.0.1:{admin_port}", http)
        reading = asyncio.create_task(running.read_lines(), name="bridge output")
        try:
            yield running
        finally:
            await running.stop()
            await reading
