"""The trials of `portos-bridge check --connect`: everything that the bridge will need, once, leaving nothing behind."""

import asyncio
import os
from collections.abc import Awaitable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from bridge import log
from bridge.errors import BridgeError
from bridge.ports import SinkPlugin
from bridge.settings import SinkConfig
from bridge.settings.loading import Configuration

__all__ = ["try_everything"]


async def try_everything(configuration: Configuration) -> int:
    """Try the journal's folder and each sink; print a line each, and give 1 if any failed."""
    trials = [("journal", _journal(configuration.settings.journal.path))]
    trials += [(f"sink {name}", _sink(plugin, config)) for name, (plugin, config) in configuration.sinks.items()]
    results = [await _tried(what, trial) for what, trial in trials]
    return 0 if all(results) else 1


async def _tried(what: str, trial: Awaitable[None]) -> bool:
    try:
        await trial
    except (BridgeError, OSError) as error:
        print(f"failed: {what}: {log.redacted(str(error))}")  # noqa: T201 - the command's output
        return False
    print(f"ok: {what}")  # noqa: T201 - the command's output
    return True


async def _journal(path: Path) -> None:
    await asyncio.to_thread(_write_beside, path)


def _write_beside(path: Path) -> None:
    """Write beside the journal and never to it: it may belong to a bridge that runs."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    with NamedTemporaryFile(dir=folder, prefix=".portos-bridge-check-") as file:
        file.write(b"\0")
        file.flush()
        os.fsync(file.fileno())


async def _sink(plugin: SinkPlugin[Any], config: SinkConfig) -> None:
    async with plugin.connect(config):
        pass
