"""The state topics of all sinks that have some: one store, what feeds it, and one publisher a sink.

Made by `bridge.service`, which runs the jobs of it beside the sinks. Where no sink has state topics there are none, and
no file is opened.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

from bridge.errors import Unavailable
from bridge.journal import Journal, within_volume
from bridge.link import UNCOUNTED, Link, Times
from bridge.message import Message
from bridge.pipeline import keep
from bridge.ports import SinkPlugin, StateConnection
from bridge.renewal import Renewal
from bridge.settings import Settings, SinkConfig
from bridge.state.feeding import READER, Feeding
from bridge.state.numbers import Numbers, Publication
from bridge.state.publishing import Publishing
from bridge.state.scrape import StateAtScrape
from bridge.state.store import StateStore

__all__ = ["States"]

_PART_OF_A_VOLUME = 10

Plugged = Mapping[str, tuple[SinkPlugin[Any], SinkConfig]]


class States:
    """See the module; `links` are the publishers' connections by sink, `feeder` is that of what feeds the store.

    `change_of` is that of `bridge.state.row.state_of`.
    """

    def __init__(
        self,
        settings: Settings,
        sinks: Plugged,
        secret_files: Mapping[str, Path],
        times: Times,
        change_of: Callable[[Message], Message | None],
    ) -> None:
        self._settings = settings
        self._secret_files = secret_files
        self._change_of = change_of
        found = {name: plugin.state and plugin.state(config) for name, (plugin, config) in sinks.items()}
        # Hashed, since there may be a password in the address of a broker.
        self._targets = {name: sha256(one.target.encode()).hexdigest() for name, one in found.items() if one}
        self._sinks = {name: sinks[name] for name in self._targets}
        self.numbers = Numbers({name: Publication() for name in self._sinks})
        self.links = {name: Link(f"states of sink {name}", times, UNCOUNTED) for name in self._sinks}
        self.feeder = Link("state store", times, UNCOUNTED)
        self._store: StateStore | None = None

    @property
    def readers(self) -> Sequence[str]:
        """Name what reads the journal for them, beside the sinks."""
        return (READER,) if self._sinks else ()

    @property
    def alive(self) -> bool:
        """Whether the store's thread runs, as far as it has been needed."""
        return self._store is None or self._store.alive

    def collector(self, journal: Journal) -> StateAtScrape:
        """Make what exports the numbers; only where there is a reader."""
        connected = {name: partial(getattr, link, "connected") for name, link in self.links.items()}
        waiting = partial(journal.lag, READER)
        return StateAtScrape(self.numbers, connected, lambda: waiting().events, lambda: self.feeder.held)

    @asynccontextmanager
    async def jobs(self, journal: Journal) -> AsyncIterator[Mapping[str, Callable[[], Coroutine[Any, Any, NoReturn]]]]:
        """Give what is to be run for ever, by name; leaving gives the store's file back."""
        if not self._sinks:
            yield {}
            return
        path = self._settings.journal.path.with_suffix(".state.db")
        max_bytes = within_volume(path, self._settings.state.max_bytes, lambda size: size // _PART_OF_A_VOLUME)
        store = self._store = StateStore(path, max_bytes, self._targets, self.numbers)
        versioned = self._settings.version.mode != "off"
        feeding = Feeding(journal, store, self.feeder, self._change_of, versioned=versioned)
        try:
            yield {
                "state store": partial(keep, self.feeder, store.opened, feeding.run),
                **{f"states {name}": partial(self._publish, name, store) for name in self._sinks},
            }
        finally:
            await store.close()

    async def _publish(self, name: str, store: StateStore) -> NoReturn:
        plugin, config = self._sinks[name]
        link = self.links[name]
        answer_seconds = self._settings.delivery.answer_seconds
        publishing = Publishing(name, store, link, config.window_events, answer_seconds)
        renewal = Renewal(name, config, self._secret_files, link)
        await keep(link, partial(_connected, renewal, plugin), publishing.run, renewal.changed)


@asynccontextmanager
async def _connected(renewal: Renewal, plugin: SinkPlugin[Any]) -> AsyncIterator[StateConnection]:
    config, renewed = await renewal.current()
    topics = plugin.state and plugin.state(config)
    if not topics:  # what its files hold does not make it so
        raise Unavailable("there is nowhere to publish states to", reason="unexpected")
    async with topics.connect() as connection:
        yield StateConnection(renewed(connection.sink), connection.mark)
