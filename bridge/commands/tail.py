"""`portos-bridge tail`: show what the hub says, as it would leave the shop, without journal or sinks.

It reconnects as `run` does. Events go to standard output, a line each; what it could not see, and the log, to standard
error.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bridge import log
from bridge.blind import Sight, Window, cause_of, resync_required
from bridge.commands.configuration import configured
from bridge.commands.output import write
from bridge.deadline import Deadline
from bridge.errors import ConfigError, Unavailable
from bridge.health import Workers
from bridge.link import UNCOUNTED, Link
from bridge.message import OWN_EVENTS, Message, rfc3339, structured
from bridge.portos.feed import feed, hub_times
from bridge.portos.memory import VersionMemory
from bridge.portos.minimisation import bridged, minimisation
from bridge.scope import Minimisation
from bridge.settings import Settings
from bridge.settings.privacy import EVERYTHING, same_name
from bridge.sieve import Sieve
from bridge.source import Batch, Source, SourceActivity
from bridge.stopping import STOP_SIGNALS, stop_signal

__all__ = ["tail"]

_WRITE_SECONDS = 1


def tail(resources: Sequence[str], *, as_json: bool) -> int:
    """Show the events of all that is subscribed, or of some of it, until a signal or the end of whoever reads them."""
    configuration = configured()
    settings = _narrowed(configuration.settings, resources)
    site, files = settings.site, configuration.secret_files
    asyncio.run(_tail(settings, files, (lambda message: structured(message, site)) if as_json else _line))
    return 0


def _narrowed(settings: Settings, resources: Sequence[str]) -> Settings:
    """Subscribe to these resources alone; they have to be among those that the settings let out."""
    if not resources:
        return settings
    allowed, excluded = settings.subscribe.resources, set(map(same_name, settings.filter.exclude_resources))
    problems = [
        f"--resource {name}: is not among what SUBSCRIBE__RESOURCES names and FILTER__EXCLUDE_RESOURCES leaves"
        for name in resources
        if (name not in allowed and EVERYTHING not in allowed) or same_name(name) in excluded
    ]
    if problems:
        raise ConfigError(problems)
    narrow = settings.subscribe.model_copy(update={"resources": tuple(dict.fromkeys(resources)), "licence": False})
    return settings.model_copy(update={"subscribe": narrow})


async def _tail(settings: Settings, files: Mapping[str, Path], written: Callable[[Message], bytes]) -> None:
    stop = stop_signal((*STOP_SIGNALS, signal.SIGHUP))  # whose terminal is gone has nobody to show it to
    memory = VersionMemory(settings.version.mode, settings.site, settings.journal.dedupe_seconds)
    resources, site = bridged(settings), settings.site
    shown = _Tail(
        minimisation(settings), memory, lambda window: resync_required(window, resources, site).id, written, stop
    )
    link = Link("hub", hub_times(settings), UNCOUNTED)
    await feed(settings, files, SourceActivity(), link, UNCOUNTED, shown.read, stop, _WRITE_SECONDS, Workers())


class _Tail:
    """What is done with a source's batches: all that the intake does, but the journal."""

    def __init__(
        self,
        steps: Minimisation,
        sieve: Sieve,
        identity: Callable[[Window], str],
        written: Callable[[Message], bytes],
        stop: asyncio.Event,
    ) -> None:
        self._steps = steps
        self._sieve = sieve
        self._identity = identity
        self._written = written
        self._stop = stop
        self._sight = Sight(None, "first_start")

    async def read(self, source: Source, _: Deadline) -> None:
        """Write batch after batch; the source goes on when a batch is written."""
        cause = "other"
        try:
            async for batch in source.batches():
                await self._show(batch)
        except Unavailable as error:
            cause = cause_of(error.reason)
            raise
        finally:
            self._sight.lost(cause)

    async def _show(self, batch: Batch) -> None:
        if batch.missed is not None:
            self._sight.lost(cause_of(batch.missed.cause), batch.missed.since)
        window = self._sight.window(time.time() if batch.proved_at is None else batch.proved_at)
        if window is not None:
            self._sight.told(window)
            self._sieve.window(self._identity(window))
            _tell(window)
        for record in batch.unreadable:
            print(f"unreadable ({record.reason}): {log.one_line(record.text)}", file=sys.stderr)  # noqa: T201 - output
        try:
            await write(b"".join(self._written(message) + b"\n" for message in self._left(batch.messages)))
        except BrokenPipeError:  # whoever read has seen enough: what still comes is read to its end and thrown away
            self._stop.set()
        if batch.proved_at is not None:
            self._sight.proved(batch.proved_at)

    def _left(self, messages: Sequence[Message]) -> Sequence[Message]:
        steps = self._steps
        left = [message for message in messages if steps.filtered is None or steps.filtered(message) is None]
        news = self._sieve.sift(left).messages
        if (reduced := steps.reduced) is None:
            return news
        return [message if message.event.startswith(OWN_EVENTS) else reduced(message) for message in news]


def _tell(window: Window) -> None:
    if window.since is None:  # it began to look just now
        return
    text = f"blind from {rfc3339(window.since)} to {rfc3339(window.until)} ({window.cause}): what was sent is not shown"
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the command's output


def _line(message: Message) -> bytes:
    """Write an event for a person: when, what, and the content, on one line that cannot speak to the terminal."""
    at = rfc3339(message.received_at if message.created_at is None else message.created_at)
    if message.resource is None:
        what = message.event
    else:
        version = "" if message.version is None else f" v{message.version}"
        what = f"{message.resource} {message.resource_id}{version} {message.action}"
    return log.one_line(f"{at} {what} {message.body.decode(errors='backslashreplace')}").encode(errors="replace")
