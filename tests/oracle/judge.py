"""The judge: the hub's ledger against what independent consumers received. Pure.

A hub that sends and forgets knows only what it wrote to a socket. While its connection to the bridge is sound, all of
that must arrive. When a connection ends, the last of what was sent on it may never have been read: such a loss is a
tail of that connection's run, no longer than `tail_seconds`, and counted as `lost_on_the_wire`, nothing else.
What arrived anywhere, or stood in the journal of a killed bridge, was accepted, and must arrive in every sink.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.brokers import Change
from tests.oracle.record import Identity, Received, identities, identity_of, identity_of_change

__all__ = ["Judgement", "SinkJudgement", "judge", "judge_accepted"]

_BLUR_SECONDS = 0.01


@dataclass(slots=True)
class SinkJudgement:
    """What one sink's consumer shows."""

    missing: list[Identity] = field(default_factory=list)
    """Accepted or sent over a sound connection, but never received here."""
    repeated: int = 0
    """Records of a change that was received before, redeliveries of the broker left out."""
    disordered: list[tuple[Identity, Identity]] = field(default_factory=list)
    """A newer change of a resource that came first, and the older one that came after it."""
    scattered: list[str] = field(default_factory=list)
    """Resources in more than one stream, where order means nothing."""
    renamed: list[Identity] = field(default_factory=list)
    """Changes whose event id differs from record to record, or is that of another change."""
    altered: list[Identity] = field(default_factory=list)
    """Changes whose bytes are not those that the hub sent."""
    invented: list[bytes] = field(default_factory=list)
    """Records that are no change of the ledger."""

    def faults(self) -> dict[str, tuple[int, Sequence[object]]]:
        """Give what must never happen, and the first few instances of it; empty is a pass. Repeats are the caller's."""
        found: dict[str, Sequence[object]] = {
            "missing": self.missing,
            "disordered": self.disordered,
            "scattered": self.scattered,
            "renamed": self.renamed,
            "altered": self.altered,
            "invented": self.invented,
        }
        return {name: (len(items), items[:3]) for name, items in found.items() if items}


@dataclass(slots=True)
class Judgement:
    """The verdict over one run, possibly over several lives of the hub."""

    accepted: int
    lost_on_the_wire: int
    sinks: dict[str, SinkJudgement]

    def faults(self) -> dict[str, dict[str, tuple[int, Sequence[object]]]]:
        """Give each sink's faults; empty is a pass."""
        return {name: sink.faults() for name, sink in self.sinks.items() if sink.faults()}


def judge(
    lives: Sequence[Sequence[Change]],
    received: Mapping[str, Sequence[Received]],
    *,
    sent: Mapping[Identity, bytes] | None = None,
    journaled: Iterable[bytes] = (),
    tail_seconds: float = 0.0,
    connections: int = 1,
    subscribed: Sequence[Sequence[float]] = (),
) -> Judgement:
    """Hold the ledgers of the hub's lives against what arrived.

    `sent` are the bytes as another subscriber saw them, `journaled` the bodies found in the journal of a killed bridge.
    `tail_seconds` is 0 where no connection ended. `connections` is to how many subscribers a change goes while the
    bridge is among them. `subscribed` are the moments, a list for each life, at which the bridge subscribed on a new
    connection: what was sent before went to the old one, though the hub may not have noticed its end yet.
    """
    arrived = {name: identities(records) for name, records in received.items()}
    anywhere = set().union(*arrived.values(), filter(None, map(identity_of, journaled)))
    lost = _tails(lives, anywhere, tail_seconds, connections, subscribed)
    told = {identity_of_change(c) for life in lives for c in life if c.sent_to >= connections}
    due = (told | (anywhere & _all(lives))) - lost
    sinks = {name: _judge_sink(records, lives, due, sent or {}) for name, records in received.items()}
    return Judgement(len(due), len(lost), sinks)


def judge_accepted(
    lives: Sequence[Sequence[Change]],
    received: Mapping[str, Sequence[Received]],
    *,
    sent: Mapping[Identity, bytes] | None = None,
    journaled: Iterable[bytes] = (),
) -> Judgement:
    """Judge as `judge` does, where what was lost before it was accepted has a judge of its own (`oracle.coverage`)."""
    arrived = [identities(records) for records in received.values()]
    due = set().union(*arrived, filter(None, map(identity_of, journaled))) & _all(lives)
    return Judgement(
        len(due), 0, {name: _judge_sink(records, lives, due, sent or {}) for name, records in received.items()}
    )


def _all(lives: Sequence[Sequence[Change]]) -> set[Identity]:
    return {identity_of_change(change) for life in lives for change in life}


def _tails(
    lives: Sequence[Sequence[Change]],
    anywhere: set[Identity],
    tail_seconds: float,
    connections: int,
    subscribed: Sequence[Sequence[float]],
) -> set[Identity]:
    """Find what was sent last on a connection that ended, and arrived nowhere.

    A run is a stretch of the ledger without a change that went to fewer subscribers than there should be, and without
    a new subscription; the last run of the last life ends with the test and not with a connection, so nothing of it may
    be lost.
    """
    lost: set[Identity] = set()
    for number, life in enumerate(lives):
        moments = subscribed[number] if number < len(subscribed) else ()
        starts = {_start(life, anywhere, moment) for moment in moments}
        for run in _runs(life, connections, starts, ended=number < len(lives) - 1):
            for change in reversed(run):
                if identity_of_change(change) in anywhere or run[-1].at - change.at > tail_seconds:
                    break
                lost.add(identity_of_change(change))
    return lost if tail_seconds > 0 else set()


def _start(life: Sequence[Change], anywhere: set[Identity], moment: float) -> int:
    """Find the first change that went to a new connection: after the last loss around the moment of its subscription.

    The ledger's times are those after the sending, cut to milliseconds, so that the moment alone does not tell.
    """
    lost = [
        index
        for index, change in enumerate(life)
        if abs(change.at - moment) <= _BLUR_SECONDS and identity_of_change(change) not in anywhere
    ]
    if lost:
        return lost[-1] + 1
    return next((index for index, change in enumerate(life) if change.at >= moment), len(life))


def _runs(life: Sequence[Change], connections: int, starts: set[int], *, ended: bool) -> list[list[Change]]:
    runs: list[list[Change]] = [[]]
    for index, change in enumerate(life):
        if index in starts and runs[-1]:
            runs.append([])
        if change.sent_to >= connections:
            runs[-1].append(change)
        elif runs[-1]:
            runs.append([])
    if not ended:
        runs.pop()
    return [run for run in runs if run]


def _judge_sink(
    records: Sequence[Received], lives: Sequence[Sequence[Change]], due: set[Identity], sent: Mapping[Identity, bytes]
) -> SinkJudgement:
    verdict = SinkJudgement()
    known = _all(lives)
    event_ids: dict[Identity, str | None] = {}
    owners: dict[str, Identity] = {}
    newest: dict[tuple[str, str], Identity] = {}
    streams: dict[tuple[str, str], str] = {}
    for record in records:
        identity = identity_of(record.value)
        if identity is None or identity not in known:
            verdict.invented.append(record.value[:200])
            continue
        if identity in sent and sent[identity] != record.value:
            verdict.altered.append(identity)
        event_id = record.attributes.get("id")
        if event_id is not None and owners.setdefault(event_id, identity) != identity:
            verdict.renamed.append(identity)
        if streams.setdefault(identity[:2], record.stream) != record.stream:
            verdict.scattered.append("/".join(identity[:2]))
        if identity in event_ids:
            verdict.repeated += not record.redelivered
            if event_ids[identity] != event_id:
                verdict.renamed.append(identity)
            continue
        event_ids[identity] = event_id
        before = newest.get(identity[:2])
        if before is not None and before.version > identity.version:
            verdict.disordered.append((before, identity))
        else:
            newest[identity[:2]] = identity
    verdict.missing = sorted(due - set(event_ids))
    return verdict
