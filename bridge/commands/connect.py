"""The trials of `portos-bridge check --connect`: everything that the bridge will need, once, leaving nothing behind."""

import asyncio
import os
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from bridge import log
from bridge.commands.inspection import inspected
from bridge.errors import BridgeError, Unavailable
from bridge.portos.auth import tokens
from bridge.portos.source import connect
from bridge.portos.web import http_session
from bridge.ports import Finding, SinkPlugin
from bridge.settings import Settings, SinkConfig
from bridge.settings.loading import Configuration
from bridge.source import SourceActivity

__all__ = ["try_everything"]


async def try_everything(configuration: Configuration, *, create: bool = False) -> int:
    """Try the journal's volume, the hub and each sink; print a line each, and give 1 if any failed.

    `create` makes the topics that are missing at a sink's broker.
    """
    settings = configuration.settings
    results = [
        await _tried("the journal's volume is writable", asyncio.to_thread(_write_beside, settings.journal.path))
    ]
    results.append(await _portos(settings))
    for name, (plugin, config) in configuration.sinks.items():
        results.append(await _sink(name, plugin, config, settings, create=create))
        if results[-1] and plugin.state is not None and (states := plugin.state(config)) is not None:
            seconds = settings.delivery.connect_seconds + settings.delivery.close_seconds
            results.append(await _tried(f"sink {name} connects for states", _entered(states.connect()), seconds))
    return 0 if all(results) else 1


async def _tried(what: str, trial: Awaitable[object], seconds: float | None = None) -> bool:
    return await _failure(what, trial, seconds) is None


async def _failure(what: str, trial: Awaitable[object], seconds: float | None = None) -> Exception | None:
    """Print what became of a trial, and give the error if there was one."""
    try:
        async with asyncio.timeout(seconds):
            await trial
    except TimeoutError as error:
        _print(f"failed: {what}: no answer within {seconds} s")
        return error
    except BridgeError as error:
        _print(f"failed: {what}: {error}")
        return error
    except OSError as error:
        _print(f"failed: {what}: {error.strerror or error!r}")
        return error
    _print(f"ok: {what}")
    return None


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


async def _sink(name: str, plugin: SinkPlugin[Any], config: SinkConfig, settings: Settings, *, create: bool) -> bool:
    """Connect a sink, then look at what its broker has for the events to come.

    A right that is missing may keep a sink from connecting, and the look tells which one.
    """
    times = settings.delivery
    connecting_seconds = times.connect_seconds + times.close_seconds
    error = await _failure(f"sink {name} connects", _entered(plugin.connect(config)), connecting_seconds)
    forbidden = isinstance(error, Unavailable) and error.reason == "forbidden"
    if plugin.inspect is None or (error is not None and not forbidden):
        return error is None
    look = partial(inspected, plugin.inspect, config, settings, partial(_tell, name), create=create)
    return await _looked(name, look(), connecting_seconds + times.answer_seconds) and error is None


async def _looked(name: str, look: Awaitable[bool], seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await look
    except TimeoutError:
        _print(f"failed: sink {name}: its broker did not tell everything within {seconds} s")
    except BridgeError as error:
        _print(f"failed: sink {name}: {error}")
    return False


def _tell(name: str, finding: Finding) -> None:
    _print(f"{finding.rank}: sink {name}: {finding.text}")


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
