"""Secrets and certificates that change while the bridge runs: read for each connection, and a reason for a new one.

`Renewal` stands between a sink's connections and the loop that keeps them, so that no sink knows of it. Used by
`bridge.service`; what is true of any files also by `bridge.portos.access`.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from bridge import log
from bridge.errors import ConfigError, Unavailable
from bridge.link import Link
from bridge.message import Message
from bridge.ports import Outcome, Sink
from bridge.settings import Part, SinkConfig, TlsFiles
from bridge.settings.loading import reread, secret_values
from bridge.settings.reference import sink_prefix
from bridge.threads import Asking
from bridge.tls import UnusableFile

__all__ = ["Files", "Renewal", "Watch", "changed", "contents", "watched"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0
_ANSWER_SECONDS = 2.0  # for a look between two batches, which wait for it
_LATE_SECONDS = 10.0
_MOST_HANGING = 20  # the last of them is asked after two months, since each waits twice as long as the one before


class Renewal:
    """The files of one sink: those of its secrets (all `secret_files` there are, by variable) and of its TLS."""

    def __init__(self, name: str, config: SinkConfig, secret_files: Mapping[str, Path], link: Link) -> None:
        self._name = name
        self._link = link
        self._config = config
        self._secret_files = secret_files
        self._files = Files(watched(sink_prefix(name), config, secret_files))
        self.changed = self._files.changed

    @asynccontextmanager
    async def connect(self, connect: Callable[[SinkConfig], AbstractAsyncContextManager[Sink]]) -> AsyncIterator[Sink]:
        """Open a connection with what the files hold now; it ends between two batches once they hold something else.

        Raises `Unavailable`, held, where a file is of no use.
        """
        config, renewed = await self.current()
        async with connect(config) as sink:
            yield renewed(sink)

    async def current(self) -> tuple[SinkConfig, Callable[[Sink], Sink]]:
        """Give the settings with what the files hold now, and what ends a connection made with them as `connect` does.

        Raises `Unavailable` as `connect` does.
        """
        try:
            now = await self._files.to_try()
            config = await self._files.at_last(self._read)
        except ConfigError as error:
            raise Unavailable("; ".join(error.problems), reason="unauthorized", hold=True) from error
        log.redact_for(self._name, secret_values(config))
        return config, lambda sink: _Renewed(sink, self._name, self, now, self._link) if now else sink

    async def contents(self) -> Mapping[str, bytes] | None:
        """Give what tells one content of the files from another, by variable; None while they do not answer."""
        return await self._files.soon(self._files.contents, _ANSWER_SECONDS)

    async def problem(self) -> str | None:
        """Say why a connection with what the files hold now would come to nothing; None while they do not answer."""
        return await self._files.soon(self._try, _ANSWER_SECONDS)

    def _read(self) -> SinkConfig:
        return reread(sink_prefix(self._name), self._config, self._secret_files)

    def _try(self) -> str:
        try:
            config = self._read()
            if isinstance(config, TlsFiles):
                config.try_files()
        except ConfigError as error:
            return "; ".join(error.problems)
        except UnusableFile as error:
            return f"{sink_prefix(self._name)}{error.field.upper()} {error}"
        return ""


def watched(prefix: str, part: Part, secret_files: Mapping[str, Path]) -> dict[str, Path]:
    """Name the files of a part of the settings by variable: those of its secrets, and of its TLS if it has any."""
    paths = {variable: path for variable, path in secret_files.items() if variable.startswith(prefix)}
    if isinstance(part, TlsFiles):
        paths |= {f"{prefix}{name.upper()}": value for name, value in part if isinstance(value, Path)}
    return paths


def contents(paths: Mapping[str, Path]) -> dict[str, bytes]:
    """Give what tells one content of files from another, by variable; blocks."""
    return {variable: _content(path) for variable, path in paths.items()}


def changed(before: Mapping[str, bytes], now: Mapping[str, bytes]) -> str:
    """Name the variables whose files hold something else than before."""
    return ", ".join(variable for variable in now if now[variable] != before[variable])


class Watch(Generic[T]):
    """Tells a change that stands from one that is going on: of files that belong together one comes first."""

    def __init__(self, seen: T) -> None:
        self._seen = seen

    def stands(self, now: T) -> bool:
        """Tell whether the files hold what they held at the last look."""
        seen, self._seen = self._seen, now
        return now == seen


def _content(path: Path) -> bytes:
    """Give what tells one content of a file from another, without keeping it."""
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError as error:
        return str(error.errno).encode()


class Files:
    """The files that connections are made with, and what they held when one was tried last.

    They may lie on a mount that hangs: that is told once, and while none answers none is known to have changed.
    """

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self.paths = paths
        self._asking = Asking(_LATE_SECONDS, _MOST_HANGING, growth=2)
        self._silent = False
        self._tried: dict[str, bytes] = {}
        self._watch = Watch(self._tried)

    def contents(self) -> dict[str, bytes]:
        """Give what they hold, as `contents` does; blocks."""
        return contents(self.paths)

    async def to_try(self) -> Mapping[str, bytes]:
        """Give what they hold, for an attempt to connect, under whose deadline it waits for them."""
        self._tried = await self.at_last(self.contents)
        self._watch = Watch(self._tried)
        return self._tried

    async def changed(self) -> str:
        """Name what holds something else than at the last attempt, once that stands: to be asked again and again."""
        if not self.paths:
            return ""
        now = await self.soon(self.contents, _LATE_SECONDS)
        return changed(self._tried, now) if now and self._watch.stands(now) and self._tried else ""

    async def soon(self, question: Callable[[], T], seconds: float) -> T | None:
        """Ask what reads them, by a function that blocks; None where they do not answer within so long."""
        if not self._asking.may_ask():
            return None
        asking = self._ask(question)
        await asyncio.wait((asking,), timeout=seconds)
        return asking.result() if asking.done() else None

    async def at_last(self, question: Callable[[], T]) -> T:
        """Ask as `soon` does, and wait until they answer: to be called under a deadline."""
        await self._asking.turn()
        asking = self._ask(question)
        await asyncio.wait((asking,))
        return asking.result()

    def _ask(self, question: Callable[[], T]) -> "asyncio.Future[T]":
        asking = self._asking.ask(question)
        late = asyncio.get_running_loop().call_later(_LATE_SECONDS, self._late)
        asking.add_done_callback(partial(self._answered, late))
        return asking

    def _late(self) -> None:
        if not self._silent:
            self._silent = True
            text = "no answer for %g s from files that a connection needs, so that none is opened, no change seen: %s"
            _log.error(text, _LATE_SECONDS, self._names())

    def _answered(self, late: asyncio.TimerHandle, _: object) -> None:
        late.cancel()
        if self._silent:
            self._silent = False
            _log.info("files that a connection needs answer again: %s", self._names())

    def _names(self) -> str:
        return ", ".join(f"{path} of {variable}" for variable, path in self.paths.items())


class _Renewed:
    """A sink that has enough of its connection once its files, as they were in `contents`, hold something else."""

    def __init__(self, sink: Sink, name: str, renewal: Renewal, contents: Mapping[str, bytes], link: Link) -> None:
        self._sink = sink
        self._link = link
        link.settled()
        self._name = name
        self._renewal = renewal
        self._contents = self._useless = contents
        self._watch = Watch(contents)
        self._look_at = time.monotonic() + _LOOK_SECONDS

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Deliver, unless the files have changed: then nothing is handed over any more."""
        if time.monotonic() >= self._look_at:
            await self._look()
            self._look_at = time.monotonic() + _LOOK_SECONDS
        return await self._sink.deliver(batch)

    async def _look(self) -> None:
        """Raise `Unavailable` for a change that stands."""
        now = await self._renewal.contents()
        if now is None:
            return
        if now == self._contents != self._useless:
            text = "sink %s: %s as it was again: there is nothing that the connection has to take up"
            _log.info(text, self._name, changed(self._useless, now))
            self._link.settled()
            self._useless = now
        if not self._watch.stands(now) or now in (self._contents, self._useless):
            return
        names = changed(self._contents, now)
        problem = await self._renewal.problem()
        if problem is None:
            return
        if problem:
            text = f"{names} changed, and a new connection would come to nothing: {problem}"
            _log.error("sink %s goes on with what it had: %s", self._name, text)
            self._link.noted(Unavailable(text, reason="unauthorized"))
            self._useless = now
            return
        raise Unavailable(f"{names} changed: a new connection", reason="planned", at_once=True)
