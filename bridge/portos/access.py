"""What lets the bridge in at Portos: the files of its settings, read for each connection, and a reason for a new one.

What has changed is tried on a connection beside the one there is, so a change that comes to nothing takes none away:
the bridge goes on with what it had, and tries again once the pause for what an operator must mend is over, or the
files hold something else. Used by `bridge.portos.feed`, as `bridge.renewal` is for sinks.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from bridge import log
from bridge.errors import ConfigError, Unavailable
from bridge.portos.auth import Login
from bridge.portos.held import OpenOne
from bridge.portos.session import Session
from bridge.portos.web import HUB, Http, Way, way
from bridge.renewal import Files, Watch, changed, watched
from bridge.settings.core import Auth, Hub
from bridge.settings.loading import reread, secret_values
from bridge.settings.reference import PREFIX

__all__ = ["Access"]

_log = logging.getLogger(__name__)
_LOOK_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 10.0
_AUTH: Final = f"{PREFIX}AUTH__"


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the files held at one time, and what that leads to."""

    contents: Mapping[str, bytes]
    way: Way
    auth: Auth


class Access:
    """Opens connections with what the files hold now; `hold_seconds` is the pause for what an operator must mend.

    `settled` is called once nothing of a change is left to be taken up.
    """

    def __init__(  # noqa: PLR0913 - each is something of its own
        self,
        hub: Hub,
        auth: Auth,
        secret_files: Mapping[str, Path],
        http: Http,
        login: Login,
        open_one: OpenOne,
        hold_seconds: float,
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        self._hub = hub
        self._auth = auth
        self._secret_files = secret_files
        self._files = Files(watched(HUB, hub, secret_files) | watched(_AUTH, auth, secret_files))
        self.changed_since_tried = self._files.changed
        self._http = http
        self._login = login
        self._open_one = open_one
        self._hold_seconds = hold_seconds
        self._settled = settled
        self._clock = asyncio.get_running_loop().time
        self._good: _Reading | None = None
        self._failed: Mapping[str, bytes] = {}
        self._again_at = 0.0
        self._standing: Mapping[str, bytes] = {}

    def changed(self) -> str:
        """Name what a new connection should take up; nothing if there is nothing, or it has just come to nothing."""
        good, now = self._good, self._standing
        return "" if good is None or not now or self._has_failed(now) else changed(good.contents, now)

    async def watch(self) -> None:
        """Look at the files again and again, as long as there are any."""
        watch = Watch[Mapping[str, bytes]]({})
        while self._files.paths:
            now = await self._files.soon(self._files.contents, _ANSWER_SECONDS)
            if now and watch.stands(now):
                self._standing = now
                if self._failed and now != self._failed:
                    self._corrected(now)
            await asyncio.sleep(_LOOK_SECONDS)

    def _corrected(self, now: Mapping[str, bytes]) -> None:
        if self._good is not None and now == self._good.contents:
            text = "%s: as it was again: there is nothing that the connection to the hub has to take up"
            _log.info(text, changed(self._failed, now))
            self._settled()
        self._failed = {}

    @asynccontextmanager
    async def connect(self, leaving: asyncio.Event) -> AsyncIterator[Session]:
        """Open a connection, as `bridge.portos.held.OpenOne`; leaving ends the login too, if there is a newer one.

        Raises `Unavailable` as that does, `at_once` where a change came to nothing and what was before it is left.
        """
        now = await self._files.to_try()
        logged_in_with: Auth | None = None
        try:
            async with AsyncExitStack() as stack:
                try:
                    reading = await self._reading(now)
                    self._http.way = reading.way
                    self._login.use(reading.auth)
                    session = await stack.enter_async_context(self._open_one(leaving))
                except Unavailable as error:
                    raise self._failure(now, error) from None
                self._good, logged_in_with = reading, self._login.logged_in_with
                if reading.contents == now:
                    self._settled()
                yield session
        finally:
            if logged_in_with not in (None, self._login.logged_in_with):
                await self._login.end_former()

    async def _reading(self, now: Mapping[str, bytes]) -> _Reading:
        """Give what to connect with: what was good before, where nothing has changed or the change came to nothing."""
        if self._good and (now == self._good.contents or self._has_failed(now)):
            return self._good
        try:
            return await self._files.at_last(partial(self._read, now))
        except ConfigError as error:
            raise Unavailable("; ".join(error.problems), reason="unauthorized", hold=True) from error

    def _read(self, now: Mapping[str, bytes]) -> _Reading:
        hub, auth = reread(HUB, self._hub, self._secret_files), reread(_AUTH, self._auth, self._secret_files)
        log.redact_for("hub", [*secret_values(hub), *secret_values(auth)])
        return _Reading(now, way(hub), auth)

    def _has_failed(self, now: Mapping[str, bytes]) -> bool:
        return now == self._failed and self._clock() < self._again_at

    def _failure(self, now: Mapping[str, bytes], error: Unavailable) -> Unavailable:
        """Say what follows where no connection was opened: if that is a change's fault, what was before it is used."""
        good = self._good
        if good is None or now == good.contents or self._has_failed(now):
            return error
        self._failed, self._again_at = now, self._clock() + self._hold_seconds
        self._good = replace(good, auth=self._login.logged_in_with or good.auth)  # a login that was taken stays
        self._http.way = good.way
        text = f"{changed(good.contents, now)} changed, and the bridge goes on with what it had, since now: {error}"
        return Unavailable(text, reason=error.reason, hold=error.hold, at_once=True)
