"""The composition root: builds the parts, wires them, waits for the signal, drains.

Indentation is the shutdown order: leaving a block is the step. Called by the command `run`.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from aiohttp import web

from bridge import clock
from bridge.audit import Audit
from bridge.beginning import Beginning, Face, OpenJournal, served
from bridge.blind import CORRUPTION, JOURNAL_LOST, Sight, Window, corruption
from bridge.copying import copies
from bridge.document_routes import document_routes
from bridge.door import Door
from bridge.draining import drain
from bridge.errors import Rejected
from bridge.gauges import sink_gauges, source_gauges
from bridge.health import Heartbeat, Workers
from bridge.heap import keep_trimmed
from bridge.intake import Intake
from bridge.journal import Journal, Limits, Lost, Stage, capacity, open_journal, within_volume
from bridge.letter_routes import expire, letter_routes
from bridge.link import Link, Times
from bridge.message import Message
from bridge.metrics import Catalogue
from bridge.notation import lag_reading
from bridge.notices import Notices
from bridge.page import page_routes
from bridge.pipeline import Delivery, keep
from bridge.policy import Pauses
from bridge.portos.feed import feed, hub_times
from bridge.portos.gaps import change_of
from bridge.portos.memory import VersionMemory
from bridge.portos.minimisation import minimisation, scope
from bridge.ports import SinkPlugin
from bridge.presence import Presence
from bridge.reload import Reload, Sources
from bridge.renewal import Renewal
from bridge.row_routes import row_routes
from bridge.settings import Settings, SinkConfig
from bridge.settings.core import largest_journal
from bridge.settings.effective import Effective
from bridge.settings.loading import Configuration
from bridge.settings.privacy import EVERYTHING
from bridge.source import SourceActivity
from bridge.state import States
from bridge.status import Status, journal_numbers
from bridge.stopping import hangups, stop_signal, unless
from bridge.threads import renew_helpers, spare

__all__ = ["run"]

_log = logging.getLogger(__name__)

_STORE_SECONDS = 5  # what is received and not stored is bounded by the source's memory: 20 commits


async def run(configuration: Configuration, read: Callable[[], Configuration]) -> int:
    """Bridge until a signal to stop; return the exit status 0. `read` gives the settings as they are on a SIGHUP.

    Raises `StorageFailed`, `JournalOwned` or `ConfigError` where the bridge has to stop, alone or in a group.
    """
    renew_helpers()
    try:
        with hangups() as hangup:
            await _Bridge(configuration).run(stop_signal(), Sources(read, hangup))
    finally:
        renew_helpers()
    return 0


class _Bridge:
    """One bridge's parts, and what is asked of them from outside: checks and status."""

    _face: Face

    def __init__(self, configuration: Configuration) -> None:
        settings = configuration.settings
        self._configuration = configuration
        self._settings = settings
        self._effective = Effective(configuration)
        self._intake: Intake | None = None
        self._stage = Stage()
        self._open = OpenJournal()
        self._started_at = time.time()
        self._activity = SourceActivity()
        self._heartbeat = Heartbeat()
        self._workers = Workers()
        self._catalogue = Catalogue(
            settings.site,
            list(configuration.sinks),
            [name for name in settings.subscribe.resources if name != EVERYTHING],
            settings.metrics.max_resources,
        )
        self._catalogue.configured(self._effective.fingerprint)
        self._sinks = {
            name: (plugin.observed(self._catalogue.sink_activity[name]) if plugin.observed else plugin, config)
            for name, (plugin, config) in configuration.sinks.items()
        }
        self._memory = VersionMemory(settings.version.mode, settings.site, settings.journal.dedupe_seconds)
        self._catalogue.gaps_open.set_function(lambda: self._memory.open_gaps)
        self._catalogue.loop_lag.set_function(lambda: self._heartbeat.worst_lag_seconds)
        self._times = _delivery_times(settings)
        self._source_link = Link("hub", hub_times(settings), source_gauges(self._catalogue))
        self._sink_links = {
            name: Link(f"sink {name}", self._times, sink_gauges(self._catalogue, name)) for name in configuration.sinks
        }
        self._states = States(settings, self._sinks, configuration.secret_files, self._times, change_of)

    async def run(self, stop: asyncio.Event, sources: Sources | None = None) -> None:
        self._face = Beginning(
            self._started_at, stop.is_set, self._heartbeat, self._effective, self._workers, self._stage
        )
        port = served(self._settings, self._catalogue.registry, lambda: self._face, self._routes())
        async with port, asyncio.TaskGroup() as group:
            heartbeat = group.create_task(self._heartbeat.beat(), name="heartbeat")
            self._workers.add_task(heartbeat)
            spared = group.create_task(spare(stop), name="threads of the stop")
            async with unless(stop, self._journal()) as journal:
                if journal is None:
                    _log.warning("the journal is not open yet: it is left as it is, and the next start goes on with it")
                else:
                    with self._open.during(journal):
                        await self._bridge(journal, stop, sources)
            heartbeat.cancel()
            spared.cancel()
        _log.info("stopped in order")

    async def _bridge(self, journal: Journal, stop: asyncio.Event, sources: Sources | None) -> None:
        """Do all that is done with an open journal."""
        async with self._states.jobs(journal) as state_jobs:
            audit = Audit(journal, self._catalogue)
            sight = _sight(journal)
            self._face = status = self._status(journal, sight, stop, audit)
            notices = Notices(self._effective, status, self._catalogue, lambda: self._memory.open_gaps)
            async with asyncio.TaskGroup() as group:
                presences = {name: Presence(name, notices.report(name), stop.is_set) for name in self._sink_links}
                jobs = self._jobs(journal, audit, presences)
                eternal = [group.create_task(job, name=name) for name, job in jobs]
                eternal += [group.create_task(job(), name=name) for name, job in state_jobs.items()]
                if sources is not None:
                    reload = Reload(self._effective, sources, self._catalogue, self._keep)
                    eternal.append(group.create_task(reload.run(), name="settings"))
                self._watch(journal, eternal)
                await self._take_in(journal, sight, stop)
                await self._drain(journal)
                audit.check()
                for task in eternal:
                    task.cancel()

    def _status(self, journal: Journal, sight: Sight, stop: asyncio.Event, audit: Audit) -> Status:
        return Status(
            self._settings,
            self._started_at,
            stop.is_set,
            self._heartbeat,
            self._activity,
            self._source_link,
            self._sink_links,
            journal,
            self._states,
            self._effective,
            self._workers,
            sight,
            lambda: ((self._catalogue.resource(name), at) for name, at in self._memory.told_gaps()),
            lambda: audit.unbalanced,
        )

    def _routes(self) -> Sequence[web.RouteDef]:
        """Give what the admin port serves beside probes, metrics and status."""
        door = Door(self._settings.admin.token)
        return [
            *letter_routes(self._open.journal, self._catalogue, door),
            *row_routes(lambda: self._open.journal().inspection, str(self._settings.journal.path), door),
            *document_routes(self._configuration),
            *page_routes(),
        ]

    def _watch(self, journal: Journal, eternal: Iterable["asyncio.Task[object]"]) -> None:
        """Have `/livez` fail where one of these ends before the bridge does."""
        self._workers.add("thread journal", lambda: journal.alive)
        if self._states.readers:
            self._workers.add("thread state", lambda: self._states.alive)
        for task in eternal:
            self._workers.add_task(task)

    def _jobs(
        self, journal: Journal, audit: Audit, presences: Mapping[str, Presence]
    ) -> Iterator[tuple[str, Coroutine[Any, Any, object]]]:
        """Give what runs as long as the bridge does, by name, but for taking in and for states."""
        yield "clock watch", clock.watch(self._activity)
        yield "journal watch", journal.failed()
        yield "journal shrinking", journal.shrink()
        yield "audit", audit.run()
        yield "heap trimming", keep_trimmed()
        yield "dead letters", expire(journal, self._settings.dlq.keep_seconds)
        for name, presence in presences.items():
            yield f"sink {name}", self._deliver(name, journal, presence)
        seconds = self._settings.delivery.answer_seconds
        yield from copies(self._sinks, self._configuration.secret_files, journal, self._times, seconds)

    @asynccontextmanager
    async def _journal(self) -> AsyncIterator[Journal]:
        journal, delivery = self._settings.journal, self._settings.delivery
        max_bytes = await asyncio.to_thread(within_volume, journal.path, journal.max_bytes, largest_journal)
        limits = Limits(
            capacity(max_bytes),
            journal.memory_max_bytes // 2,
            delivery.cursor_every_events,
            delivery.cursor_every_seconds,
            journal.on_full == "block",
        )
        sinks = [*self._configuration.sinks, *self._states.readers]
        catalogue = self._catalogue
        async with open_journal(
            journal.path,
            sinks,
            max_bytes,
            limits,
            catalogue.commit.observe,
            self._memory,
            self._lost,
            lambda _: catalogue.count_corruption(),
            self._stage,
        ) as opened:
            if max_bytes < journal.max_bytes:
                opened.room.growth = f"make the volume of {journal.path.parent} larger"
            catalogue.watch(
                self._activity, partial(journal_numbers, opened), partial(lag_reading, opened), opened.letters.numbers
            )
            if self._states.readers:
                catalogue.registry.register(self._states.collector(opened))
            yield opened

    def _lost(self, lost: Lost) -> Message:
        """Make what the sinks get in the place of stored events that are lost."""
        window = Window(lost.since, max(lost.until, lost.since or 0.0), CORRUPTION)
        loss, resources = (lost.journal, lost.first), scope(self._effective.configuration.settings).resources
        return corruption(window, lost.events, loss, resources, self._settings.site)

    async def _take_in(self, journal: Journal, sight: Sight, stop: asyncio.Event) -> None:
        """Feed the journal from the hub until told to stop; leaves unsubscribed, with all stored, and logged out."""
        settings, activity, files = self._settings, self._activity, self._configuration.secret_files
        now = self._effective.configuration.settings
        wanted, less = scope(now), minimisation(now)
        intake = self._intake = Intake(
            journal, self._catalogue, self._source_link, activity, self._memory, sight, wanted, less
        )
        gauges = source_gauges(self._catalogue)
        link, workers = self._source_link, self._workers
        if not await feed(settings, files, activity, link, gauges, intake.read, stop, _STORE_SECONDS, workers):
            _log.error("the journal does not take what the hub has sent last in time: some of it is lost")

    def _keep(self, settings: Settings) -> None:
        """Have taken in from now on what is left by filters that have changed."""
        if self._intake is not None:
            self._intake.turn_to(scope(settings), minimisation(settings))

    async def _deliver(self, name: str, journal: Journal, presence: Presence) -> None:
        plugin, config = self._sinks[name]
        link = self._sink_links[name]
        delivery = Delivery(
            name,
            journal,
            self._catalogue,
            link,
            config.window_events,
            self._settings.delivery.answer_seconds,
            partial(_target, plugin, config),
            presence,
            shed=config.sheds,
        )
        renewal = Renewal(name, config, self._configuration.secret_files, link)
        connect = partial(renewal.connect, partial(presence.connect, plugin.connect))
        await keep(link, connect, delivery.run, renewal.changed)

    async def _drain(self, journal: Journal) -> None:
        """Let all readers go on for a while with what is stored."""
        links = self._sink_links | dict.fromkeys(self._states.readers, self._states.feeder)
        await drain(journal, links, self._settings.stop.drain_seconds)


def _target(plugin: SinkPlugin[Any], config: SinkConfig, message: Message) -> str | None:
    """Name the topic that a message would have had, as far as the sink says so."""
    if plugin.explain is None:
        return None
    try:
        return plugin.explain(config, message).topic
    except Rejected as refusal:
        return refusal.target


def _sight(journal: Journal) -> Sight:
    """Begin where the last session has ended."""
    previous = journal.previous
    cause = JOURNAL_LOST if previous.forgotten else "stopped" if previous.clean else "unclean_start"
    return Sight(previous.proved_at, cause)


def _delivery_times(settings: Settings) -> Times:
    delivery = settings.delivery
    pauses = Pauses(delivery.first_pause_seconds, delivery.longest_pause_seconds, delivery.hold_pause_seconds)
    return Times(delivery.connect_seconds, delivery.close_seconds, delivery.stable_seconds, pauses)
