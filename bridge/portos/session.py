"""The session on an open WebSocket: handshake, subscriptions, then batches until the connection ends.

Four tasks run beside it: the reader is the only one that ends a connection which the peer has ended, so that nothing
which arrived before is lost; the writer empties the outbox; the pulse pings and notices silence; the last waits for an
orderly stop.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import Final

import aiohttp
from aiohttp import WSMsgType

from bridge.errors import Unavailable
from bridge.message import Message
from bridge.portos.backlog import Backlog
from bridge.portos.notifications import read
from bridge.portos.proof import Proof
from bridge.portos.signalr import HandshakeRefusedError, Hub, InvocationFailedError
from bridge.settings import core
from bridge.source import Batch, SourceActivity, Unreadable

__all__ = ["Session"]

_log = logging.getLogger(__name__)

_TARGET: Final = "OnEvent"
# ASP.NET Core closes a connection that takes nothing for 10 s (TransportSendTimeout). 5 s are promised, and on a busy
# machine a timer is late.
_LONGEST_PAUSE_SECONDS: Final = 4.5
_STALL_SECONDS: Final = 1  # a timer that is later than that shows that the process stood still
_LOST_WHILE_CONNECTING: Final = {"silence": "timeout", "oversize": "protocol", "protocol": "protocol"}


class Session:
    """A `Source`, once subscribed. Its four tasks run beside it; whoever opened the socket closes it.

    `left_in_order`: the hub has answered every Unsubscribe, and nothing that it sent before was missed or dropped.
    `opened_clock` and `event_clock` are when it was opened and last heard an event, on the loop's clock.
    `token_seconds`: how long after the opening the token expires.
    """

    def __init__(
        self,
        hub: core.Hub,
        site: str,
        activity: SourceActivity,
        socket: aiohttp.ClientWebSocketResponse[bool],
        backlog: Backlog,
    ) -> None:
        self._settings = hub
        self._activity = activity
        self._socket = socket
        self._backlog = backlog
        self._hub = Hub(_TARGET, lambda body, now: read(body, site, now), self._deliver, activity.frames)
        self._clock = asyncio.get_running_loop().time
        self.opened_clock = self._heard_at = self._clock()
        self.proof = Proof(activity, hub.silence_seconds + _LONGEST_PAUSE_SECONDS, time.time())
        self.event_clock: float | None = None
        self.left_in_order = False
        self._frame_at = 0.0
        self.token_seconds = inf
        self._subscribed: list[dict[str, object]] = []
        self._ended: Unavailable | None = None
        self._pausing = self._dropping = self._leaving = False
        self._hub.start()

    async def subscribe(self, wanted: Sequence[dict[str, object]]) -> None:
        """Wait for the handshake, then subscribe to one event after the other; raises `Unavailable`."""
        doing = "the handshake"
        try:
            async with asyncio.timeout(self._settings.answer_seconds):
                await self._hub.opened
            for request in wanted:
                doing = f"Subscribe to {request['e']}"
                async with asyncio.timeout(self._settings.answer_seconds):
                    await self._hub.invoke("Subscribe", request)
                self._subscribed.append(request)
            self.proof.subscribed_at = time.time()
        except TimeoutError:
            text = f"the hub did not answer {doing} within {self._settings.answer_seconds:g} s"
            raise Unavailable(text, reason="timeout") from None
        except InvocationFailedError as error:
            if self._ended is None:
                raise Unavailable(f"the hub refused {doing}: {error}", reason="refused") from error
            reason = _LOST_WHILE_CONNECTING.get(self._ended.reason, "refused")
            raise Unavailable(f"during {doing}: {self._ended}", reason=reason, slowly=self._ended.slowly) from error

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield all that came, up to 1,000 at a time, and raise `Unavailable` when the last of it is taken.

        The first batch is empty: from its `proved_at` on, the moment of the last subscription, nothing is missed. The
        last one of a session that is left in order is empty as well: up to its `proved_at`.
        """
        proof = self.proof
        yield Batch((), proved_at=proof.subscribed_at)
        while (batch := await self._backlog.take()) is not None:
            waiting = self._backlog.oldest_at
            yield replace(batch, proved_at=proof.heard_until if waiting is None else proof.sent_at(batch, waiting))
        if self.left_in_order:
            yield Batch((), proved_at=proof.heard_until)
        raise self._ended or Unavailable("the connection has been left", reason="planned")

    @property
    def ended(self) -> Unavailable | None:
        """Why the connection has ended; what it has heard may still be fetched then."""
        return self._ended

    @property
    def listening(self) -> bool:
        """Whether everything that comes is taken, so that a silence is the hub's."""
        return not (self._pausing or self._dropping or self._leaving)

    def doubt(self, *, doubted: bool) -> None:
        """Take pings for no proof while it is doubted that the hub knows of the subscription."""
        if self.proof.doubted != doubted:
            self.proof.doubted = doubted
            self._backlog.wake()

    async def leave(self) -> None:
        """End the session in order, where nobody fetches any more: what was received and not fetched is gone."""
        self._leaving = True
        self._backlog.clear()
        await self._unsubscribe()

    async def leave_when(self, told: asyncio.Event) -> None:
        """End the session in order when told to; what was received until then can still be fetched."""
        await told.wait()
        await self._unsubscribe()

    async def _unsubscribe(self) -> None:
        """Unsubscribe if there is still somebody to hear it, and end the session.

        What comes from now on proves nothing: the hub may have taken back some of the subscriptions, or all.
        """
        asked_at = time.time()
        self.proof.freeze()
        with suppress(TimeoutError, InvocationFailedError):  # the connection ends anyway
            async with asyncio.timeout(self._settings.close_seconds):
                while self._subscribed and self._ended is None:
                    await self._hub.invoke("Unsubscribe", self._subscribed.pop())
                    if not self._dropping:
                        self.proof.subscribed_until(asked_at)
                if self._ended is None:
                    self.left_in_order = not self._dropping
        if self._dropping:
            self._shed()
        self.end(Unavailable("the connection has been left", reason="planned"))

    async def read(self) -> None:
        """Take what the socket has until it ends."""
        while self._ended is None:
            message = await self._socket.receive()
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    self._receive(message.data)
                    if self._backlog.full and not (self._dropping or self._leaving):
                        await self._pause()
                case WSMsgType.ERROR:
                    self.end(self._broken(message.data))
                case WSMsgType.CLOSE:
                    self.end(Unavailable(f"the hub closed the socket, code {message.data}", reason="server_close"))
                case _:
                    self.end(Unavailable("the connection to the hub broke off", reason="network"))

    async def write(self) -> None:
        """Send what is in the outbox; a socket that takes nothing more is for the reader to notice."""
        with suppress(aiohttp.ClientError, OSError):
            while True:
                await self._socket.send_str(await self._hub.outbox.get())

    async def pulse(self) -> None:
        """Ping the hub at its intervals, and end the connection after too long a silence.

        Not counted is the time in which the bridge itself did not read: a pause, or a process that stood still.
        """
        silence, keepalive = self._settings.silence_seconds, self._settings.keepalive_seconds
        ping_at = self._clock() + keepalive
        while self._ended is None:
            wake_at = min(ping_at, self._clock() + silence if self._pausing else self._heard_at + silence)
            await asyncio.sleep(max(wake_at - self._clock(), 0))
            now = self._clock()
            if now - wake_at > _STALL_SECONDS:
                self._heard_at += now - wake_at
            if not self._pausing and now >= self._heard_at + silence:
                self.end(Unavailable(f"nothing came from the hub for {silence:g} s", reason="silence"))
            elif now >= ping_at:
                ping_at = now + keepalive
                if self._hub.opened.done():
                    self._hub.ping()

    def _receive(self, data: bytes) -> None:
        now = time.time()
        self._heard_at = self._clock()
        self._activity.last_frame_at = self._frame_at = now
        self._activity.received_bytes += len(data)
        try:
            self._hub.receive(data, now)
        except HandshakeRefusedError as error:
            self.end(Unavailable(str(error), reason="protocol"))
            return
        if self._dropping and not (self._leaving or self._backlog.full):
            self._shed()
        closing = self._hub.closing
        if self.proof.last_event_at != now and closing is None:  # a Close is no ping: the subscription may be gone
            self.proof.ping(now)
            self._backlog.wake()
        if closing is not None:
            why = f": {closing.error[:200]!r}" if closing.error else ""
            text = f"the hub closed the connection{why}"
            self.end(Unavailable(text, reason="server_close", slowly=not closing.allow_reconnect))

    def _deliver(self, items: Sequence[Message | Unreadable]) -> None:
        if self._leaving:
            return
        self._activity.received += len(items)
        if self._dropping:
            self._activity.dropped += len(items)
            return
        now = self._frame_at
        self.proof.event(items[-1], now)
        self._activity.last_event_at = now
        self.event_clock = self._heard_at
        self._backlog.put(items)

    async def _pause(self) -> None:
        """Let the hub wait until there is room again; after the longest pause go on reading, and drop."""
        self._pausing = True
        try:
            async with asyncio.timeout(_LONGEST_PAUSE_SECONDS):
                await self._backlog.room()
        except TimeoutError:
            self._dropping = True
            self.proof.freeze()
            _log.warning("memory is full: events from the hub are dropped until the journal takes them again")
        finally:
            self._pausing = False
            self._heard_at = self._clock()

    def _shed(self) -> None:
        """Ask for a new connection, and with it a window that tells what was dropped."""
        self.end(Unavailable("there was no memory for what the hub sent", reason="shed", at_once=True))

    def _broken(self, error: BaseException) -> Unavailable:
        code = getattr(error, "code", None)
        if code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
            limit = f"PORTOS_BRIDGE_HUB__MAX_MESSAGE_BYTES={self._settings.max_message_bytes}"
            return Unavailable(f"the hub sent too large a message ({limit}): {error}", reason="oversize")
        return Unavailable(f"the hub sent what is no WebSocket frame (code {code})", reason="protocol")

    def end(self, why: Unavailable) -> None:
        """End the session for the first of its reasons: what waits for an answer fails, what was received is kept."""
        if self._ended is None:
            self._ended = why
            self._hub.stop(str(why))
            self._backlog.close()
