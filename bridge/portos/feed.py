"""From the settings to a source that is read: the login, one connection after another, and an orderly leave.

Used by `bridge.service` and by the command `tail`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

from bridge.deadline import Deadline
from bridge.health import Workers
from bridge.link import Gauges, Link, Times
from bridge.pipeline import keep
from bridge.policy import Pauses
from bridge.portos.access import Access
from bridge.portos.auth import tokens
from bridge.portos.doubt import Doubt, Patience
from bridge.portos.relay import Rotation, relay
from bridge.portos.source import connect
from bridge.portos.tasks import beside
from bridge.portos.web import http_session
from bridge.settings import Settings
from bridge.source import Source, SourceActivity

__all__ = ["feed", "hub_times"]


async def feed(  # noqa: PLR0913 - each is something of its own
    settings: Settings,
    secret_files: Mapping[str, Path],
    activity: SourceActivity,
    link: Link,
    gauges: Gauges,
    read: Callable[[Source, Deadline], Awaitable[object]],
    stop: asyncio.Event,
    read_seconds: float,
    workers: Workers,
) -> bool:
    """Give `read` one connection after another until told to stop; then unsubscribe, let it read to the end, log out.

    `secret_files` are those of the configuration; those of the hub and of the login may change meanwhile.
    `workers` is told of the task that must not end meanwhile.
    False if it has not read all that was heard within `read_seconds` more than closing may take. Raises what `read`
    raises beside `Unavailable`, alone or in a group.
    """
    hub, auth, leaving, reading = settings.hub, settings.auth, asyncio.Event(), asyncio.Lock()

    async def read_alone(source: Source, deadline: Deadline) -> None:
        async with reading:
            await read(source, deadline)

    async with http_session(hub) as http, tokens(hub, auth, activity, http) as login:
        room = settings.journal.memory_max_bytes // 4
        open_one = partial(connect, hub, settings.subscribe, settings.site, login, activity, http, queue_max_bytes=room)
        hold_seconds = settings.delivery.hold_pause_seconds
        access = Access(hub, auth, secret_files, http, login, open_one, hold_seconds, link.settled)
        doubt = Doubt(Patience(hub.doubt_first_seconds, hub.doubt_longest_seconds, hub.doubt_closed_seconds))
        open_source = partial(relay, access.connect, _rotation(settings, gauges, access, link), doubt, leaving)
        async with beside(hub_files=access.watch()), asyncio.TaskGroup() as group:
            source = group.create_task(keep(link, open_source, read_alone, access.changed_since_tried), name="hub")
            workers.add_task(source)
            await stop.wait()
            leaving.set()
            try:
                async with asyncio.timeout(hub.close_seconds + read_seconds), reading:
                    source.cancel()
            except TimeoutError:
                source.cancel()
                return False
    return True


def hub_times(settings: Settings) -> Times:
    """Give the deadlines and pauses of a link to the hub."""
    hub = settings.hub
    whole = hub.connect_seconds + 3 * hub.answer_seconds + 1  # token to upgrade, handshake, one Subscribe an event
    pauses = Pauses(hub.first_pause_seconds, hub.longest_pause_seconds, settings.delivery.hold_pause_seconds)
    return Times(whole, hub.close_seconds + 1, hub.stable_seconds, pauses)


def _rotation(settings: Settings, gauges: Gauges, access: Access, link: Link) -> Rotation:
    hub, auth = settings.hub, settings.auth
    return Rotation(
        renews=auth.scheme != "static",
        changed=access.changed,
        recycle_seconds=hub.recycle_seconds,
        beside=auth.make_before_break,
        connect_seconds=hub_times(settings).connect_seconds,
        close_seconds=hub.close_seconds + 0.5,
        attempt=gauges.attempt,
        lost=gauges.lost,
        noted=link.noted,
    )
