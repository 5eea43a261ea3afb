"""The trials of `portos-bridge check --connect`: everything that the bridge will need, once, leaving nothing behind."""

import asyncio
import os
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from bridge import log
from bridge.errors import BridgeError
from bridge.portos.auth import tokens
from bridge.portos.source import connect
from bridge.portos.web import http_session
from bridge.ports import SinkPlugin, SourceActivity
from bridge.settings import Settings, SinkConfig
from bridge.settings.loading import Configuration

__all__ = ["try_everything"]


async def try_everything(configuration: Configuration) -> int:
    """Try the journal's volume, the hub and each sink; print a line each, and give 1 if any failed."""
    settings = configuration.settings
    results = [
        await _tried("the journal's volume is writable", asyncio.to_thread(_write_beside, settings.journal.path))
    ]
    results.append(await _portos(settings))
    seconds = settings.delivery.connect_seconds + settings.delivery.close_seconds
    for name, (plugin, config) in configuration.sinks.items():
        results.append(await _tried(f"sink {name} connects", _sink(plugin, config), seconds))
    return 0 if all(results) else 1


async def _tried(what: str, trial: Awaitable[object], seconds: float | None = None) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await trial
    except TimeoutError:
        _print(f"failed: {what}: no answer within {seconds} s")
    except BridgeError as error:
        _print(f"failed: {what}: {error}")
    except OSError as error:
        _print(f"failed: {what}: {error.strerror or error!r}")
    else:
        _print(f"ok: {what}")
        return True
    return False


async def _portos(settings: Settings) -> bool:
    """Log in, subscribe as the bridge will, and leave in order."""
    hub, activity = settings.hub, SourceActivity()
    async with http_session(hub) as http, tokens(hub, settings.auth, activity, http) as granted:
        if not await _tried("Portos gives a token", granted.token(), hub.connect_seconds):
            return False
        subscribed = connect(hub, settings.subscribe, settings.site, granted, activity, http, asyncio.Event())
        what = f"the hub subscribes us to {', '.join(settings.subscribe.resources)}"
        return await _tried(
            what, _entered(subscribed), hub.connect_seconds + 3 * hub.answer_seconds + hub.close_seconds
        )


async def _sink(plugin: SinkPlugin[Any], config: SinkConfig) -> None:
    await _entered(plugin.connect(config))


async def _entered(connection: AbstractAsyncContextManager[object]) -> None:
    async with connection:
        pass


def _write_beside(path: Path) -> None:
    """Write beside the journal and never to it: it may belong to a bridge that runs."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    with NamedTemporaryFile(dir=folder, prefix=".portos-bridge-check-") as file:
        file.write(b"\0")
        file.flush()
        os.fsync(file.fileno())
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        raise PermissionError(13, "the journal itself is not writable")


def _print(line: str) -> None:
    print(log.redacted(line), flush=True)  # noqa: T201 - the command's output
