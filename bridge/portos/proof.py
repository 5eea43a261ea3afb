"""Up to when everything that the hub has sent on one connection has been heard.

TCP keeps the order: what was heard proves that nothing is missing of what was sent before it. When that was is told by
the time stamps of events, as far as the two clocks allow; a ping does not tell. Events are many: of them only the last
is kept, and looked at when somebody asks. Pure; times are seconds since the epoch on this machine's clock.
"""

from math import inf
from typing import Final

from bridge.message import Message
from bridge.source import Batch, SourceActivity, Unreadable

__all__ = ["Proof"]

_LONGEST_WAY_SECONDS: Final = 1  # more than that is no way, but two clocks: windows stay right to a second


class Proof:
    """See the module. `longest_delay` is after how long a silence the connection is given up: nothing is later.

    `subscribed_at` is the moment of the subscription, `last_event_at` that of the last event. While `doubted`, pings
    prove nothing; an event ends that.
    """

    def __init__(self, activity: SourceActivity, longest_delay: float, now: float) -> None:
        self.subscribed_at = now
        self.last_event_at: float | None = None
        self.doubted = False
        self._activity = activity
        self._longest_delay = longest_delay
        self._last: Message | Unreadable | None = None
        self._timed: Message | Unreadable | None = None
        self._untimed_until = 0.0
        self._frozen_at: float | None = None
        self._latency = self._way = 0.0
        self._shortest_way = inf

    def event(self, last: Message | Unreadable, now: float) -> None:
        """Note what was heard; of several events the last."""
        self._last, self.last_event_at, self.doubted = last, now, False

    def ping(self, now: float) -> None:
        """Note that something else was heard. It does not say when it was sent: that may be the longest way ago."""
        self._time()
        self._untimed_until = max(self._untimed_until, now - max(self._latency, _LONGEST_WAY_SECONDS))

    def freeze(self) -> None:
        """Prove nothing more: what is heard from now on is dropped, or not all that the hub sends."""
        self._frozen_at = self.heard_until

    def subscribed_until(self, at: float) -> None:
        """Let it be proof that the hub has answered an Unsubscribe that was sent at a moment.

        Of what it had to tell until then nothing is missing.
        """
        if self._frozen_at is not None and not self.doubted:
            pinged = at - max(self._latency, _LONGEST_WAY_SECONDS)
            self._frozen_at = max(self._frozen_at, pinged, min(self.surely_heard_until, at))

    @property
    def heard_until(self) -> float:
        """The moment up to which everything is taken to be heard."""
        if self._frozen_at is not None:
            return self._frozen_at
        surely = self.surely_heard_until
        return surely if self.doubted else max(surely, self._untimed_until)

    @property
    def surely_heard_until(self) -> float:
        """The moment up to which everything has surely been heard: of the last event, or else of the subscription.

        A hub that has forgotten the subscription goes on pinging.
        """
        if self.last_event_at is None:
            return self.subscribed_at
        self._time()
        return max(self.last_event_at - self._latency, self.subscribed_at)

    def sent_at(self, batch: Batch, waiting: float) -> float | None:
        """Say when the hub sent the last of a batch behind which more is waiting, the oldest since that moment.

        None, which proves nothing, where it does not tell.
        """
        self._time()
        last = batch.messages[-1] if batch.messages else None
        if last is None or last.created_at is None or self._shortest_way == inf:
            return None
        offset = self._shortest_way - self._way
        sent_at = max(min(last.created_at - self._activity.clocks_differ_by + offset, waiting), self.subscribed_at)
        return sent_at if self._frozen_at is None else min(sent_at, self._frozen_at)

    def _time(self) -> None:
        """Note how long the last event took from the hub to here, as far as the clocks of both tell.

        What exceeds the shortest way of this connection is lateness whatever the clocks are: the network held it, or we
        did not read. The pings before it were held as well: none of them was sent later than it.
        """
        last = self._last
        if last is self._timed:
            return
        self._timed = last
        if type(last) is not Message or last.created_at is None:
            return
        seconds = last.received_at + self._activity.clocks_differ_by - last.created_at
        if seconds < self._shortest_way:
            seconds = self._shortest_way = max(seconds, -_LONGEST_WAY_SECONDS)
            self._way = min(max(seconds, 0), _LONGEST_WAY_SECONDS)
        self._latency = min(seconds - self._shortest_way, self._longest_delay) + self._way
        self._untimed_until = min(self._untimed_until, last.received_at - self._latency)
