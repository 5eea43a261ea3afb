"""Dead letters of one sink that are copied to its broker as well, for whoever looks there.

The letter in the journal comes first and stays what counts: it is on disk, and the sink's cursor behind it, before
anything is copied. Copies have a connection of their own, so that nothing about them stops an event, and each letter
remembers that it was copied; after a kill a copy may come twice. Used by `bridge.service`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from bridge import __version__
from bridge.deadline import Deadline
from bridge.errors import Unavailable
from bridge.journal import Edits, Journal, Letter
from bridge.link import UNCOUNTED, Link, Times
from bridge.message import Message, rfc3339
from bridge.pipeline import keep
from bridge.policy import judge
from bridge.ports import DLQ_FLAGS, Outcome, Sink, SinkPlugin
from bridge.renewal import Renewal
from bridge.settings import SinkConfig

__all__ = ["Copying", "copies"]

_log = logging.getLogger(__name__)
_IDLE_SECONDS = 2.0
_MOST_LETTERS = 50
_LONGEST_HEADER = 1_000


def copies(
    sinks: Mapping[str, tuple[SinkPlugin[Any], SinkConfig]],
    secret_files: Mapping[str, Path],
    journal: Journal,
    times: Times,
    answer_seconds: float,
) -> Iterator[tuple[str, Coroutine[Any, Any, NoReturn]]]:
    """Give what copies the dead letters of each sink that says where to, by name; to be run as long as the bridge."""
    for name, (plugin, config) in sinks.items():
        if plugin.copies is not None and plugin.copies(config) is not None:
            link = Link(f"copies of dead letters of sink {name}", times, UNCOUNTED)
            renewal = Renewal(name, config, secret_files, link)
            copying = Copying(name, journal, link, answer_seconds, config.window_events)
            connect = partial(renewal.connect, partial(_connect, plugin))
            yield f"copies {name}", keep(link, connect, copying.run, renewal.changed)


@asynccontextmanager
async def _connect(plugin: SinkPlugin[Any], config: SinkConfig) -> AsyncIterator[Sink]:
    connect = None if plugin.copies is None else plugin.copies(config)
    if connect is None:  # what its files hold does not make it so
        raise Unavailable("there is nowhere to copy dead letters to", reason="unexpected")
    async with connect() as sink:
        yield sink


class Copying:
    """See the module; one for all connections."""

    def __init__(self, name: str, journal: Journal, link: Link, answer_seconds: float, window_events: int) -> None:
        self._name = name
        self._journal = journal
        self._link = link
        self._answer_seconds = answer_seconds
        self._page_letters = min(window_events, _MOST_LETTERS)

    async def run(self, sink: Sink, deadline: Deadline) -> None:
        """Copy what is not copied yet, and what is buried from now on, until the connection is of no more use."""
        while True:
            letters = await self._journal.desk.uncopied(self._name, self._page_letters)
            if letters:
                await self._copy(sink, deadline, letters)
                continue
            await asyncio.sleep(_IDLE_SECONDS)
            await self._deliver(sink, deadline, [])

    async def _copy(self, sink: Sink, deadline: Deadline, letters: list[Letter]) -> None:
        events = [(letter, letter.event) for letter in letters]
        ready = [(letter, _flagged(letter, event)) for letter, event in events if event is not None]
        done = [letter.number for letter, event in events if event is None]  # damaged: there is nothing to copy
        error = None
        if ready:
            outcomes = await self._deliver(sink, deadline, [event for _, event in ready])
            verdict = judge(outcomes, len(ready), 0)
            done += [letter.number for letter, _ in ready[: verdict.settled]]
            error = verdict.error
            for index, why in verdict.buried.items():
                text = "%s: dead letter %d is in the journal only, its copy is not taken: %s"
                _log.warning(text, self._link.name, ready[index][0].number, why)
        if done:
            await self._journal.edit(Edits(copied=done))
        if error is not None:
            raise error
        self._link.proved()

    async def _deliver(self, sink: Sink, deadline: Deadline, batch: list[Message]) -> list[Outcome]:
        with deadline.within(self._answer_seconds, "copying"):
            return list(await sink.deliver(batch))


def _flagged(letter: Letter, event: Message) -> Message:
    """Give an event with all that is known of its letter beside it."""
    kept = letter.kept
    known = {
        "reason": kept.reason,
        "stage": kept.stage,
        "error": kept.error[:_LONGEST_HEADER],
        "attempts": str(kept.attempts),
        "first-failed-at": rfc3339(kept.first_at),
        "last-failed-at": rfc3339(kept.last_at),
        "sink": kept.sink,
        "target": kept.target or "",
        "event-id": event.id,
        "bridge-version": __version__,
    }
    flags = tuple((DLQ_FLAGS + name, text) for name, text in known.items())
    return msgspec.structs.replace(event, flags=(*event.flags, *flags))
