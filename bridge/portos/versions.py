"""What a version says: whether a change of a resource is news, a repeat, stale, or one that shows a gap.

Pure. The rule for one change and what is known of its resource; `bridge.portos.memory` keeps that for all of them.
Portos documents neither that versions grow by one nor what a delete carries (a jump is a suspicion, a fall a reset), so
nothing is dropped here that is not known to have been there before or to be older than what was.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

from bridge.message import VERSION_RESET, Message

__all__ = ["ACTIONS", "UNKNOWN", "Eventful", "Gap", "News", "Repeat", "Seen", "gaps_of", "judge"]

ACTIONS = {"created": 1, "updated": 2, "deleted": 4}
"""A bit an action, so that those of one version are one number; any other is `UNKNOWN`."""
UNKNOWN = 8
_DELETED = ACTIONS["deleted"]

_SHORTLY_SECONDS = 60.0  # how much later than its successor a late version may be stamped, or an old one arrive
_MOST_GAPS = 16  # tracked of one resource; and pieces of one gap: what comes late fills one of few
_MOST_PIECES = 16

Repeat = Literal["exact", "stale"]
"""Why a change is dropped: it was there before, or a newer one was."""


class Gap(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Versions that were jumped over: those between `after`, the last one seen, and `until`, which showed it.

    `missing` has those that have not come late since, as pairs of the first and the last of a run.
    """

    after: int
    until: int
    missing: tuple[tuple[int, int], ...]

    @property
    def events(self) -> int:
        """How many versions were jumped over."""
        return self.until - self.after - 1


class Seen(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is known of a resource: the last version that passed, with which actions, and the newest time of creation.

    `window` is how many blind windows had been told by then.
    """

    version: int
    at: float | None
    actions: int
    window: int


class Eventful(Seen, frozen=True, array_like=True, gc=False):
    """The same of a resource with open gaps, or one whose version went back a short while ago.

    Until `guarded_until`, on the bridge's clock, what was created before `since` is of the time before the reset, in
    which `before` was the highest version.
    """

    gaps: tuple[Gap, ...] = ()
    before: int = 0
    since: float = 0.0
    guarded_until: float = 0.0


class News(msgspec.Struct, frozen=True, gc=False):
    """A change that passes: what is known from now on, and what it shows."""

    seen: Seen
    flag: tuple[str, str] | None = None
    """`versionreset` or `gapfrom` and its value, as the message is to bear it."""
    detected: Gap | None = None
    closed: Gap | None = None


def gaps_of(seen: Seen | None) -> tuple[Gap, ...]:
    """Give the open gaps of a resource."""
    return seen.gaps if isinstance(seen, Eventful) else ()


def judge(message: Message, version: int, seen: Seen, window: int, *, contiguous: bool) -> News | Repeat:
    """Decide about a change of a resource that was seen before.

    In this order: what is of the time before a reset is stale; a higher version is news, and in `contiguous` mode a
    jump is a gap; a lower one fills its gap, or is a reset if it was created later than anything seen, or is stale; the
    same one is an exact repeat unless it comes with another action or was created later.
    """
    if isinstance(seen, Eventful) and _before_the_reset(seen, version, message):
        return "stale"
    if version > seen.version:
        return _advanced(message, version, seen, window, contiguous=contiguous)
    at = message.created_at
    newer = at is not None and seen.at is not None and at > seen.at
    if version == seen.version:
        return _the_same(message, seen, window, newer=newer)
    gap = _gap_with(version, seen) if contiguous else None
    if gap is not None and not (newer and _much_later(at, seen.at)):
        return _filled(gap, version, at, seen)
    return _reset(message, version, seen, window) if newer else "stale"


def _before_the_reset(seen: Eventful, version: int, message: Message) -> bool:
    at = message.created_at
    guarded = message.received_at <= seen.guarded_until
    return guarded and at is not None and at < seen.since and version <= seen.before


def _advanced(message: Message, version: int, seen: Seen, window: int, *, contiguous: bool) -> News:
    gaps = gaps_of(seen)
    gap = None
    if contiguous and version > seen.version + 1:
        gap = Gap(seen.version, version, ((seen.version + 1, version - 1),))
        gaps = (*gaps, gap)[-_MOST_GAPS:]
    at = _newest(message.created_at, seen.at)
    action = ACTIONS.get(message.action or "", UNKNOWN)
    guarded = isinstance(seen, Eventful) and version <= seen.before and message.received_at <= seen.guarded_until
    news: Seen
    if isinstance(seen, Eventful) and guarded:
        news = Eventful(version, at, action, window, gaps, seen.before, seen.since, seen.guarded_until)
    elif gaps:
        news = Eventful(version, at, action, window, gaps)
    else:
        news = Seen(version, at, action, window)
    return News(news, ("gapfrom", str(gap.after)) if gap else None, detected=gap)


def _the_same(message: Message, seen: Seen, window: int, *, newer: bool) -> News | Repeat:
    """Decide about the version that was seen last: each action of it is news once; a delete may be the last of them."""
    at = message.created_at
    action = ACTIONS.get(message.action or "", UNKNOWN)
    if newer and (action != _DELETED or seen.actions & _DELETED):
        return _reset(message, seen.version, seen, window)
    if action & seen.actions:
        return "exact"
    older = at is not None and seen.at is not None and at < seen.at
    if action != _DELETED and (older or seen.actions & _DELETED):
        return "stale"
    actions = seen.actions | action
    return News(msgspec.structs.replace(seen, at=_newest(at, seen.at), actions=actions, window=window))


def _reset(message: Message, version: int, seen: Seen, window: int) -> News:
    """Begin again at a version: the server was restored, or the resource made anew; its gaps will not be filled."""
    at = message.created_at or 0.0  # which is newer than another, so there is one
    before = max(seen.version, seen.before) if isinstance(seen, Eventful) else seen.version
    action = ACTIONS.get(message.action or "", UNKNOWN)
    until = message.received_at + _SHORTLY_SECONDS
    return News(Eventful(version, at, action, window, (), before, at, until), (VERSION_RESET, "true"))


def _filled(gap: Gap, version: int, at: float | None, seen: Seen) -> News:
    """Take a late version out of its gap; the last one closes it."""
    missing = tuple(_without(version, gap))
    rest = Gap(gap.after, gap.until, missing)
    tracked = 0 < len(missing) <= _MOST_PIECES  # in more pieces it is given up: told, and never closed
    gaps = tuple(rest if each is gap else each for each in gaps_of(seen) if each is not gap or tracked)
    return News(msgspec.structs.replace(seen, at=_newest(at, seen.at), gaps=gaps), closed=None if missing else gap)


def _without(version: int, gap: Gap) -> Iterator[tuple[int, int]]:
    for first, last in gap.missing:
        if not first <= version <= last:
            yield first, last
            continue
        if first < version:
            yield first, version - 1
        if version < last:
            yield version + 1, last


def _gap_with(version: int, seen: Seen) -> Gap | None:
    """Find the open gap in which a version is missing."""
    for gap in gaps_of(seen):
        if any(first <= version <= last for first, last in gap.missing):
            return gap
    return None


def _newest(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else max(one, other)


def _much_later(at: float | None, known: float | None) -> bool:
    return at is not None and known is not None and at - known > _SHORTLY_SECONDS
