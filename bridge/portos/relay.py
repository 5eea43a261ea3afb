"""One source made of one connection after another, the next subscribed before the last is let go.

A planned end - the token expires, a file has changed, recycling is due, the silence is doubtful - costs no blind
second: the successor is opened beside the connection, then that is left in order and read to its end, then the
successor is read from its subscription. What both heard is recognised by whoever stores it. There are never more than
two connections, and there are two until an event has shown that the first one hears, or the silence has lasted twice as
long as a doubt takes.

Where the hub refuses the second one, the first is left and opened again, which is a window that is told; not so for a
token that expires or a file that has changed, nor where the second one fails for another reason. Used by
`bridge.portos.feed`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from bridge.errors import Unavailable
from bridge.portos.comparison import Comparison, Heard, Verdict
from bridge.portos.doubt import Doubt
from bridge.portos.held import Held, OpenOne, opened
from bridge.portos.session import Session
from bridge.portos.tasks import beside
from bridge.source import Batch, Missed, Source

__all__ = ["Rotation", "relay"]

_log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.25
_STALL_SECONDS: Final = 1.0  # a look that is later than that shows that the process stood still
_REFUSED: Final = frozenset({"refused", "forbidden", "unauthorized"})
_SKEW_SECONDS: Final = 0.2  # an event to both may be heard by the first one before the other knows it is subscribed
_FIRST_RETRY_SECONDS: Final = 0.5
_LAST_RETRY_SECONDS: Final = 30.0
_WHOLE_SECOND: Final = 1.5  # ASP.NET Core cuts the fraction off an expiry, and a look comes late
_TOKEN, _RECYCLING, _DOUBT = "its token expires", "recycling is due", "the silence is doubtful"


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a connection gets a successor, and what is counted of it.

    `renews`: a new token is another one, so that the expiry of the connection's is a reason. `changed` names what a new
    connection would take up, if anything. `recycle_seconds` is the
    longest life of a connection, 0 is any. `beside` is whether a second connection may be opened. `connect_seconds` is
    the deadline of opening one, `close_seconds` that of closing one. `attempt` and `lost` count as a link does; `noted`
    gets why there was no successor.
    """

    renews: bool
    changed: Callable[[], str]
    recycle_seconds: float
    beside: bool
    connect_seconds: float
    close_seconds: float
    attempt: Callable[[str], None]
    lost: Callable[[str], None]
    noted: Callable[[Unavailable], None] = lambda _: None


@asynccontextmanager
async def relay(open_one: OpenOne, rotation: Rotation, doubt: Doubt, leaving: asyncio.Event) -> AsyncIterator[Source]:
    """Open the first connection; leaving closes what is open. `doubt` outlives the relays.

    Raises `Unavailable` as `open_one` does. When `leaving` is set the connection is unsubscribed, and `batches` ends in
    `Unavailable` (reason `planned`) behind the last event it heard.
    """
    made = _Relay(open_one, rotation, doubt)
    try:
        await made.open()
        async with beside(hub_rotation=made.rotate(), hub_stop=made.leave_when(leaving)):
            yield made
    finally:
        await made.close()


class _HandOver:
    """The connection that is to take over, until the one that is read has ended."""

    def __init__(self, held: Held) -> None:
        self.held = held
        self.verdict: Verdict = "undecided"
        self.alone = False
        """Whether it has heard an event, and the connection that is read none, when that was looked at last."""
        self.done = asyncio.Event()


class _Relay:
    """The connection that is read, and its successor while there is one."""

    def __init__(self, open_one: OpenOne, rotation: Rotation, doubt: Doubt) -> None:
        self._open_one = open_one
        self._rotation = rotation
        self._doubt = doubt
        self._clock = asyncio.get_running_loop().time
        self._current = Held(open_one)
        self._next: _HandOver | None = None
        self._retiring: asyncio.Task[None] | None = None
        self._breaking = self._stopping = False

    async def open(self) -> None:
        """Wait for the first connection."""
        await self._current.opened()
        self._doubt.opened(self._clock())

    async def close(self) -> None:
        """Close what is open."""
        ending = [held.close(self._rotation.close_seconds) for held in self._open()]
        await asyncio.gather(*ending, *([self._retiring] if self._retiring else []))

    def _open(self) -> list[Held]:
        return [self._current, *([self._next.held] if self._next else [])]

    async def batches(self) -> AsyncIterator[Batch]:
        """Read one connection to its end, then its successor; ends as the last one does."""
        proved_at = 0.0
        missed: Missed | None = None
        while True:
            session = self._current.session
            try:
                async for batch in session.batches():
                    behind = batch.proved_at is not None and batch.proved_at < proved_at
                    if behind or missed:
                        yield replace(batch, proved_at=proved_at if behind else batch.proved_at, missed=missed)
                        missed = None
                    else:
                        yield batch
            except Unavailable as error:
                hand_over = self._next
                if hand_over is None:
                    if self._breaking:
                        raise Unavailable(str(error), reason=error.reason, at_once=True) from None
                    raise
                missed = self._missed(session, hand_over, error)
                proved_at = 0.0 if missed else session.proof.heard_until
                self._take_over(hand_over, error)

    async def rotate(self) -> None:
        """Give every connection a successor when it is time; never returns."""
        retry_at, pause = 0.0, _FIRST_RETRY_SECONDS
        async for now in self._looks():
            why = self._reason(now)
            if why is None or now < retry_at:
                continue
            if await self._succeed(why):
                pause = _FIRST_RETRY_SECONDS
            else:
                retry_at, pause = self._clock() + pause, min(2 * pause, _LAST_RETRY_SECONDS)

    async def leave_when(self, told: asyncio.Event) -> None:
        """Leave in order, with all that was heard, when told to."""
        await told.wait()
        self._stopping = True
        for held in self._open():
            held.leaving.set()

    async def _looks(self) -> AsyncIterator[float]:
        """Give the time again and again, but not after the process stood still: what was heard is to be read first."""
        looked_at = self._clock()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = self._clock()
            if now - looked_at > _LOOK_SECONDS + _STALL_SECONDS:
                self._doubt.interrupted(now)
            elif not self._stopping:
                yield now
            looked_at = now

    def _reason(self, now: float) -> str | None:
        """Say why the connection needs a successor just now."""
        session, rotation = self._current.session, self._rotation
        if self._breaking:
            return None
        if session.ended or not session.listening:
            self._doubt.interrupted(now)
            return None
        doubtful = self._doubtful(now, session)
        age = now - session.opened_clock
        if rotation.renews and rotation.beside and age >= _token_due(session.token_seconds):
            return _TOKEN
        if rotation.beside and (names := rotation.changed()):
            return f"{names} changed"
        if rotation.recycle_seconds and age >= rotation.recycle_seconds:
            return _RECYCLING
        return _DOUBT if doubtful and self._doubt.may_act(now) else None

    def _doubtful(self, now: float, session: Session) -> bool:
        """Look at the silence of the connection that is read."""
        doubtful = self._doubt.ask(now, session.event_clock)
        session.doubt(doubted=self._doubt.unexplained(now))
        return doubtful

    async def _succeed(self, why: str) -> bool:
        """Open a successor and let the connection go; False where there is none and the connection stays."""
        current = self._current
        if why == _DOUBT:
            self._doubt.acted(self._clock())
        try:
            successor = await self._opened_beside()
        except Unavailable as error:
            self._rotation.attempt(error.reason)
            if why not in (_RECYCLING, _DOUBT) or error.reason not in _REFUSED:
                if why != _DOUBT:  # a doubt may be over before another connection is opened, by which this is settled
                    self._rotation.noted(error)
                though = (
                    f", though {why}" if why in (_TOKEN, _RECYCLING, _DOUBT) else ""
                )  # else the error names the files
                _log.warning("no second connection to the hub%s: %s (%s)", though, error, error.reason)
                return False
            return self._break(why, error)
        self._rotation.attempt("ok")
        if self._stopping:
            await successor.close(self._rotation.close_seconds)
            return True
        self._next = hand_over = _HandOver(successor)
        hand_over.verdict = await self._compared(current.session, successor.session, why)
        useless = current.session.ended is None and successor.session.event_clock is None
        if hand_over.verdict == "undecided" and useless:
            ended = await self._given_up(successor)
            return self._break(why, ended) if why == _DOUBT else False
        if hand_over.verdict == "deaf":
            self._doubt.was_right()
        current.leaving.set()
        await hand_over.done.wait()
        _log.info("a new connection to the hub has taken over, since %s", why)
        return True

    def _break(self, why: str, error: Unavailable) -> bool:
        """Leave the connection that is read, and with it the relay, which costs a window."""
        _log.warning("the hub is left and connected again, since %s and there is no second one: %s", why, error)
        self._doubt.found_nothing(self._clock())
        self._breaking = True
        self._current.leaving.set()
        return True

    async def _given_up(self, successor: Held) -> Unavailable:
        """Close a successor that has ended first and heard nothing; say why it has ended."""
        ended = successor.session.ended or Unavailable("the second connection has ended", reason="other")
        self._next = None
        self._rotation.lost(ended.reason)
        _log.warning("the second connection to the hub has ended: %s (%s)", ended, ended.reason)
        await successor.close(self._rotation.close_seconds)
        return ended

    async def _opened_beside(self) -> Held:
        """Open a second connection, once there is only one."""
        if not self._rotation.beside:
            raise Unavailable("AUTH__MAKE_BEFORE_BREAK is off", reason="refused")
        if self._retiring:
            await self._retiring
        return await opened(self._open_one, self._rotation.connect_seconds, self._rotation.close_seconds)

    def _patience(self, why: str) -> float:
        """Say for how many seconds two connections may be compared: not longer than the first one's token is good."""
        patience, session = 2 * self._doubt.seconds, self._current.session
        if why == _DOUBT:
            return patience
        return min(patience, session.token_seconds - (self._clock() - session.opened_clock) - _WHOLE_SECOND)

    async def _compared(self, older: Session, newer: Session, why: str) -> Verdict:
        """Compare two connections until one of them hears something; say whether the older one hears less.

        Whatever the newer one is for: a connection that has been deaf must not be let go as if it had heard everything.
        """
        comparison = Comparison(self._clock(), self._patience(why))
        since = newer.proof.subscribed_at - _SKEW_SECONDS
        async for now in self._looks():
            doubtful = self._doubtful(now, older)
            heard, newly = _heard(older, since), _heard(newer, since)
            if self._next is not None:
                self._next.alone = newly.event and heard.listening and not heard.event
            verdict = comparison.look(now, heard, newly, doubtful=doubtful)
            if verdict == "silence" and why == _DOUBT:
                self._doubt.found_nothing(now)
            if verdict is not None:
                return verdict
        raise AssertionError("it looks for ever")

    def _missed(self, session: Session, hand_over: _HandOver, error: Unavailable) -> Missed | None:
        """Say what may be missing between a connection that has ended and the one that was opened beside it.

        One that is doubted, or has not heard what its successor has, may have been deaf as long as no comparison has
        shown that it was not.
        """
        proof, subscribed_at = session.proof, hand_over.held.session.proof.subscribed_at
        alone = hand_over.alone and not _heard(session, subscribed_at - _SKEW_SECONDS).event
        doubted = hand_over.verdict == "undecided" and (alone or (proof.doubted and session.left_in_order))
        if hand_over.verdict == "deaf" or doubted:
            return Missed("deaf", proof.surely_heard_until)
        if session.left_in_order or proof.heard_until >= subscribed_at:
            return None
        return Missed("silence" if error.reason == "planned" else error.reason)  # it did not answer our leaving

    def _take_over(self, hand_over: _HandOver, error: Unavailable) -> None:
        """Go on with the successor and close the connection that has ended."""
        closing = self._current.close(self._rotation.close_seconds)
        self._retiring = asyncio.create_task(closing, name="hub connection, closing")
        self._rotation.lost(error.reason)
        self._current, self._next = hand_over.held, None
        self._doubt.opened(self._clock())
        hand_over.done.set()


def _heard(session: Session, since: float) -> Heard:
    event_at = session.proof.last_event_at
    return Heard(event_at is not None and event_at >= since, session.listening, session.ended is not None)


def _token_due(seconds: float) -> float:
    """Say at which age a connection whose token is good for so long gets a successor."""
    return max(0.5 * seconds, min(0.8 * seconds, seconds - _WHOLE_SECOND))
