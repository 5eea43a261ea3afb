"""The judge of what a bridge admits to have missed: the hub's lives against the windows it told. Pure.

**What was missed** is every change of the ledgers that arrived nowhere, neither at a consumer nor in the journal of a
killed bridge, whether the hub sent it to nobody or to a connection that nobody read to its end. Each must lie inside a
told window, on every sink.

**The true blind time** that a window stands for begins with the last change that the bridge proved to have: of all that
arrived, the latest that stands before the window in the stream, taken at the moment at which the hub wrote it (the
notification's own `ca`, which is before the sending). It ends with the confirmed subscription: the last that the hub
had logged when the window ended. Pings can prove more than changes do, and the hub keeps no record of them: under a
steady load of 200 changes/s that is 5 ms, and it makes windows shorter, never longer, so that what a window exceeds is
counted against it in full: the time from its `from` to the last proved change, and from the subscription to its `to`.

**The order**: what the hub sent before that subscription stands before the window, what it sent after stands after it.
MQTT has one stream, in which the position tells; Kafka keeps the order of a partition only, so there the
`recordedtime` of the records tells, the moment at which the bridge read what they hold. A window is recorded at its
end, so that by this time what came between the subscription and the end, while it was being confirmed, may precede it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf

from tests.brokers import Change
from tests.oracle.life import Life
from tests.oracle.record import Identity, Received, created_at, identities, identity_of, identity_of_change
from tests.oracle.window import Window, is_window, moment, read_window, windows

__all__ = ["Coverage", "Missed", "judge_coverage"]

_CUT_SECONDS = 0.002
"""Both sides write milliseconds: one cuts, the other rounds."""
_STAMP_SECONDS = 0.01
"""The hub stamps a change a little after it has decided to whom it goes."""
_THAW_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Missed:
    """A change that arrived nowhere and lies in no window, and by how much it misses the next one."""

    change: Change
    outside_seconds: float


@dataclass(slots=True)
class Coverage:
    """What a run came to, and what must never happen; keys are sinks."""

    changes: int = 0
    to_nobody: int = 0
    """Changes that the hub sent to no connection."""
    unread: int = 0
    """Changes that were sent and arrived nowhere."""
    told: list[Window] = field(default_factory=list)
    proved: dict[Window, float | None] = field(default_factory=dict)
    """When the hub wrote the last change that stands before a window."""
    excess: float = 0.0
    """By how many seconds the worst window exceeds the true blind time."""
    uncovered: dict[str, list[Missed]] = field(default_factory=dict)
    unreadable: dict[str, list[str]] = field(default_factory=dict)
    """Windows that break the format."""
    one_sided: list[str] = field(default_factory=list)
    """Windows that are not the same on every sink."""
    twice: dict[str, list[str]] = field(default_factory=dict)
    """Windows that overlap, or came again though the bridge was not killed since."""
    too_long: list[str] = field(default_factory=list)
    disordered: dict[str, list[str]] = field(default_factory=dict)
    untold: list[float] = field(default_factory=list)
    """Subscriptions, made while no other was held, that no window includes."""

    def faults(self) -> dict[str, tuple[int, Sequence[object]]]:
        """Give what must never happen, and the first few instances of it; empty is a pass."""
        found: dict[str, Sequence[object]] = {
            f"{kind} {sink}": items
            for kind in ("uncovered", "unreadable", "twice", "disordered")
            for sink, items in getattr(self, kind).items()
        }
        found |= {"one-sided": self.one_sided, "too long": self.too_long, "untold": self.untold}
        return {name: (len(items), items[:3]) for name, items in found.items() if items}


def judge_coverage(
    lives: Sequence[Life],
    received: Mapping[str, Sequence[Received]],
    *,
    journaled: Iterable[bytes] = (),
    kills: Sequence[float] = (),
    stalls: Sequence[tuple[float, float]] = (),
    longest_excess: float = 1.0,
) -> Coverage:
    """Judge the windows among what arrived; see the module.

    `kills` are the moments at which the bridge was killed, `stalls` the times in which the hub was frozen: a change
    that it stamps right after one may have been on its way before it. Windows are judged in length where one stream
    holds everything, as MQTT's does.
    """
    verdict = Coverage()
    arrived = {name: identities(records) for name, records in received.items()}
    anywhere = set().union(*arrived.values(), filter(None, map(identity_of, journaled)))
    missed = [c for life in lives for c in life.ledger if identity_of_change(c) not in anywhere]
    verdict.changes = sum(len(life.ledger) for life in lives)
    verdict.to_nobody = sum(change.sent_to == 0 for life in lives for change in life.ledger)
    verdict.unread = sum(change.sent_to > 0 for change in missed)
    sent = {identity_of_change(change): change.at for life in lives for change in life.ledger}
    subscribed = sorted(subscription.since for life in lives for subscription in life.subscriptions)
    for name, records in received.items():
        told = list(dict.fromkeys(windows(records)))
        verdict.told = max(verdict.told, told, key=len)
        verdict.uncovered[name] = [
            Missed(change, _outside(change.at, told))
            for change in missed
            if not any(_inside(at, told, _STAMP_SECONDS) for at in _moments(change, stalls))
        ]
        verdict.unreadable[name] = _unreadable(records)
        verdict.twice[name] = _again(windows(records), kills) + _overlapping(told)
        stream = _Stream(records, sent)
        verdict.disordered[name] = [text for window in told for text in stream.disorder(window, subscribed)]
        if stream.single:
            verdict.proved = {window: stream.proved(window) for window in told}
            exceeding = {window: _excess(window, at, subscribed) for window, at in verdict.proved.items()}
            verdict.excess = max([verdict.excess, *exceeding.values()])
            verdict.too_long += [f"{w}: {s:.3f} s too long" for w, s in exceeding.items() if s > longest_excess]
    verdict.one_sided = _one_sided([windows(records) for records in received.values()])
    verdict.untold = [at for life in lives for at in _broken(life) if not _inside(at, verdict.told, _CUT_SECONDS)]
    return verdict


def _inside(at: float, told: Sequence[Window], late: float) -> bool:
    return any((w.since is None or w.since - _CUT_SECONDS <= at) and at <= w.until + late for w in told)


def _moments(change: Change, stalls: Sequence[tuple[float, float]]) -> list[float]:
    """Give the moments at which a change may have been sent: of its stamp, or of the freeze in the midst of sending."""
    return [change.at, *(frozen for frozen, thawed in stalls if frozen <= change.at <= thawed + _THAW_SECONDS)]


def _outside(at: float, told: Sequence[Window]) -> float:
    distances = [max((-inf if w.since is None else w.since) - at, at - w.until) for w in told]
    return min(distances, default=inf)


def _unreadable(records: Iterable[Received]) -> list[str]:
    found = []
    for record in filter(is_window, records):
        try:
            read_window(record)
        except ValueError as error:
            found.append(str(error))
    return found


def _again(told: Sequence[Window], kills: Sequence[float]) -> list[str]:
    """Find windows with more copies than kills can explain, each of which may repeat what was not yet settled."""
    allowed = {window: 1 + sum(kill >= window.until for kill in kills) for window in told}
    return [f"{window}: {told.count(window)} times" for window, most in allowed.items() if told.count(window) > most]


def _overlapping(told: Sequence[Window]) -> list[str]:
    inorder = sorted(told, key=lambda window: window.until)
    return [
        f"{window} overlaps {before}"
        for before, window in pairwise(inorder)
        if window.since is None or window.since < before.until - _CUT_SECONDS
    ]


def _one_sided(told: Sequence[Sequence[Window]]) -> list[str]:
    everywhere = set.intersection(*map(set, told)) if told else set()
    return sorted({str(window) for one in told for window in one if window not in everywhere})


def _ended_by(window: Window, subscribed: Sequence[float]) -> float | None:
    """Find the subscription that a window ends with: the last one in it."""
    since = -inf if window.since is None else window.since
    within = [at for at in subscribed if since - _CUT_SECONDS <= at <= window.until + _CUT_SECONDS]
    return max(within, default=None)


def _excess(window: Window, proved_at: float | None, subscribed: Sequence[float]) -> float:
    ended = _ended_by(window, subscribed)
    if ended is None:
        return inf
    early = 0.0 if window.since is None or proved_at is None else max(proved_at - window.since, 0)
    return early + max(window.until - ended, 0)


def _broken(life: Life) -> list[float]:
    """Find the moments at which there was a subscription again after there had been none."""
    return [
        one.since
        for one in life.subscriptions
        if not any(other is not one and other.held(one.since) for other in life.subscriptions)
    ]


class _Stream:
    """A sink's records by their order: the position, or the time of recording where there are many streams."""

    def __init__(self, records: Sequence[Received], sent: Mapping[Identity, float]) -> None:
        self.single = len({record.stream for record in records}) == 1
        self._places: dict[Window, float] = {}
        self._changes: dict[Identity, tuple[float, float, float]] = {}  # its place, written after, sent before
        for position, record in enumerate(records):
            place = float(position) if self.single else _recorded(record)
            if is_window(record):
                for window in windows([record]):
                    self._places.setdefault(window, place)
            elif (identity := identity_of(record.value)) is not None and identity in sent:
                at = sent[identity]
                self._changes.setdefault(identity, (place, min(created_at(record.value), at), at))

    def disorder(self, window: Window, subscribed: Sequence[float]) -> list[str]:
        """Say what stands on the wrong side of a window."""
        ended, here = _ended_by(window, subscribed), self._places[window]
        if ended is None:
            return []
        heard = ended if self.single else window.until  # until it ends a window may hold what was heard after all
        late = [i for i, (place, _, at) in self._changes.items() if place > here and at < ended - _STAMP_SECONDS]
        early = [i for i, (place, at, _) in self._changes.items() if place < here and at > heard + _STAMP_SECONDS]
        found = [f"{window}: {len(late)} from before it stand behind it, such as {late[0]}"] if late else []
        return found + ([f"{window}: {len(early)} from after it stand before it, such as {early[0]}"] if early else [])

    def proved(self, window: Window) -> float | None:
        """Give the moment of the latest change that stands before a window."""
        return max((at for place, at, _ in self._changes.values() if place < self._places[window]), default=None)


def _recorded(record: Received) -> float:
    try:
        return moment(record.attributes.get("recordedtime"))
    except ValueError:
        return 0.0
