"""The protocol of one bridge and one sink, so small that every order of steps and faults can be tried.

One resource whose changes are versions 1, 2, 3; a hub that keeps nothing; a bridge with its queue, journal and cursor;
a broker with its log. Time is counted in versions: a window `(since, until, place)` says that those above `since`, up
to `until`, may be missing. A fault is a lost connection to the hub, a lost session of the sink, or a kill.
With several at once the promises are not the sum of what is tested one by one; here nothing is left to chance.
"""

from collections import deque
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

__all__ = ["INVARIANTS", "Rules", "Search", "State", "explore"]

Window = tuple[int, int, int]
Item = int | Window


class Rules(NamedTuple):
    """Bounds of the search, and by name what is done wrong, if anything is."""

    versions: int = 3
    faults: int = 2
    window: int = 2
    lag: int = 1
    mutant: str = ""


class State(NamedTuple):
    """Everything there is. Places in the journal are counted from 0; what lies before a cursor is settled."""

    sent: int = 0
    """The hub has made versions up to this one."""
    link: str = "off"  # then `taken` by the hub, `on` when the bridge has heard so
    heard: int = 0
    """The last version heard on this connection: those up to `sent` are on their way."""
    queue: tuple[int, ...] = ()
    window: Window | None = None
    """What has to be told before the next commit's versions."""
    journal: tuple[Item, ...] = ()
    freed: int = 0
    durable: int = 0
    cursor: int = 0
    next: int = 0
    flying: tuple[int, ...] = ()
    """Places that are sent and that the broker has not taken yet."""
    late: tuple[Item, ...] = ()
    """What a lost session has sent and the broker may take yet."""
    firsts: tuple[Item, ...] = ()
    """The broker's log without repeats."""
    last: Item | None = None
    faults: int = 0


def steps(s: State, rules: Rules) -> Iterator[tuple[str, State]]:
    """Give every state that may be the next, with what leads there."""
    yield from _source(s, rules)
    yield from _sink(s, rules)
    if s.faults < rules.faults:
        yield from _faults(s, rules)
    if s.late:
        yield "late append", _appended(s, s.late[0])._replace(late=s.late[1:])


def _source(s: State, rules: Rules) -> Iterator[tuple[str, State]]:
    if s.sent < rules.versions:
        yield "change", s._replace(sent=s.sent + 1)
    told = (_proved(s.journal), s.sent, len(s.journal))
    match s.link:
        case "off" if not s.queue and s.window is None:  # one connection is read to its end, then there is another
            if rules.mutant == "subscribe assumed before it completed":
                yield "assume", s._replace(link="assumed", window=told)
            else:
                yield "subscribe", s._replace(link="taken", heard=s.sent)
        case "assumed":
            yield "take", s._replace(link="on", heard=s.sent)
        case "taken":
            yield "confirm", s._replace(link="on", window=told)
    if s.link in ("taken", "on") and s.heard < s.sent:
        yield "hear", s._replace(heard=s.sent, queue=(*s.queue, *range(s.heard + 1, s.sent + 1)))
    if staged := _staged(s, rules):
        yield "commit", s._replace(journal=s.journal + staged, queue=(), window=None)


def _staged(s: State, rules: Rules) -> tuple[Item, ...]:
    """Give what the next commit writes; before the subscription is confirmed nothing is."""
    if s.link in ("assumed", "taken"):
        return ()
    window: tuple[Item, ...] = () if s.window is None else (s.window,)
    return s.queue + window if rules.mutant == "window told after the first event" else window + s.queue


def _proved(journal: tuple[Item, ...]) -> int:
    """Give the version up to which all is stored or told."""
    return max((item if isinstance(item, int) else item[1] for item in journal), default=0)


def _sink(s: State, rules: Rules) -> Iterator[tuple[str, State]]:
    room = s.next - s.durable < rules.window + rules.lag or rules.mutant == "no send gate"
    readable = s.journal + (_staged(s, rules) if rules.mutant == "send before fsync" else ())
    if s.next < len(readable) and s.next - s.cursor < rules.window and room:
        yield "send", s._replace(next=s.next + 1, flying=(*s.flying, s.next))
    takable = s.flying if rules.mutant == "non-idempotent sink session" else s.flying[:1]
    for place in takable:
        if place < len(readable):
            flying = tuple(other for other in s.flying if other != place)
            yield "append", _appended(s, readable[place])._replace(flying=flying)
    if s.cursor < s.next and s.cursor not in s.flying:
        yield "acknowledge", s._replace(cursor=s.cursor + 1)
    settled = s.next if rules.mutant == "cursor persisted before the acknowledgement" else s.cursor
    if s.durable < settled:
        yield "persist", s._replace(durable=settled, freed=max(s.freed, min(settled, len(s.journal))))
    if rules.mutant == "freed before the cursor is durable" and s.freed < s.cursor:
        yield "free", s._replace(freed=s.cursor)


def _appended(s: State, item: Item) -> State:
    return s._replace(last=item, firsts=s.firsts if item in s.firsts else (*s.firsts, item))


def _faults(s: State, rules: Rules) -> Iterator[tuple[str, State]]:
    landing = tuple(s.journal[place] for place in s.flying) if rules.mutant == "late append" else ()
    if s.link != "off":
        lost = s._replace(link="off", heard=0, faults=s.faults + 1)
        yield "disconnect", lost if s.link == "on" else lost._replace(queue=(), window=None)
    if s.cursor < s.next:
        on = s.next if rules.mutant == "no go-back-N" else s.cursor
        again = s._replace(cursor=on, next=on, flying=(), late=s.late + landing)
        yield "lose the session", again._replace(faults=s.faults + 1)
    gone = s._replace(link="off", heard=0, queue=(), window=None, flying=(), late=s.late + landing, faults=s.faults + 1)
    yield "kill", gone._replace(cursor=s.durable, next=s.durable)


def told(s: State, rules: Rules) -> bool:
    """I1: whatever is not in the journal lies in a window that is."""
    if s.link != "on" or s.queue or s.window is not None:
        return True
    covered = _covered(s.journal)
    return all(version in covered for version in range(1, s.heard + 1))


def durable(s: State, rules: Rules) -> bool:
    """I2: what was committed is at the broker, or still to be read there after a kill."""
    return all(item in s.firsts or place >= s.durable for place, item in enumerate(s.journal))


def in_order(s: State, rules: Rules) -> bool:
    """I3: first occurrences stand in the broker's log as they stand in the journal."""
    firsts = s.firsts
    return [item for item in firsts if item in s.journal] == [item for item in s.journal if item in firsts]


def told_before(s: State, rules: Rules) -> bool:
    """I4: before an event stands all that came before it, or a window in which it may be missing."""
    return _told_before(s.firsts)


def bounded(s: State, rules: Rules) -> bool:
    """I5: a session lost now sends at most W again, a kill at most W + C; more than is sent again does not repeat."""
    return s.next - s.cursor <= rules.window and s.next - s.durable <= rules.window + rules.lag


def newest_last(s: State, rules: Rules) -> bool:
    """I6: when all is settled the broker's last record is the newest."""
    return s.cursor < len(s.journal) or s.cursor < s.next or not s.journal or s.last == s.journal[-1]


def no_false_alarm(s: State, rules: Rules) -> bool:
    """I7: a number that is not in the file is one that a restart knows to be settled; else it would be told as lost."""
    return s.freed <= s.durable


INVARIANTS: dict[str, Callable[[State, Rules], bool]] = {
    "I1": told,
    "I2": durable,
    "I3": in_order,
    "I4": told_before,
    "I5": bounded,
    "I6": newest_last,
    "I7": no_false_alarm,
}


@cache
def _covered(items: tuple[Item, ...]) -> frozenset[int]:
    found: set[int] = set()
    for item in items:
        found |= {item} if isinstance(item, int) else set(range(item[0] + 1, item[1] + 1))
    return frozenset(found)


@cache
def _told_before(log: tuple[Item, ...]) -> bool:
    return all(set(range(1, item)) <= _covered(log[:place]) for place, item in enumerate(log) if isinstance(item, int))


class Search(NamedTuple):
    """What was found: how many states there are, and by invariant the shortest way to one that breaks it.

    `unfinished` are those in which nothing can happen any more and something is not delivered.
    """

    states: int
    broken: dict[str, list[str]]
    unfinished: int


def explore(rules: Rules, until: str = "") -> Search:
    """Visit every state, the nearest first; with `until` no more than it takes to break that invariant."""
    start = State()
    came_from: dict[State, tuple[State, str] | None] = {start: None}
    waiting = deque([start])
    broken: dict[str, list[str]] = {}
    unfinished = 0
    while waiting and until not in broken:
        state = waiting.popleft()
        for name, holds in INVARIANTS.items():
            if name not in broken and not holds(state, rules):
                broken[name] = _way(state, came_from)
        going_on = False
        for step, following in steps(state, rules):
            going_on = going_on or step not in ("disconnect", "lose the session", "kill")
            if following not in came_from:
                came_from[following] = state, step
                waiting.append(following)
        if not going_on and (state.durable < len(state.journal) or state.heard < rules.versions):
            unfinished += 1
    return Search(len(came_from), broken, unfinished)


def _way(state: State, came_from: dict[State, tuple[State, str] | None]) -> list[str]:
    way: list[str] = []
    while (before := came_from[state]) is not None:
        state, step = before
        way.append(step)
    return way[::-1]
