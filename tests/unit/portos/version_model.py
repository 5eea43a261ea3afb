"""The version memory as one would write it with all the room and time in the world, and a hub that does its worst.

The model knows every version that passed, by sets and lists, and nothing of generations, records or batches.
"""

from dataclasses import dataclass, field

import msgspec

from bridge.message import Message
from tests.unit.portos.changes import change, unversioned

__all__ = ["Hub", "Model"]

SHORTLY = 60.0
MOST_GAPS = 16


@dataclass
class Hole:
    after: int
    until: int
    missing: set[int]


@dataclass
class Life:
    """What became of one resource since its versions began, or began again."""

    top: int
    newest: float | None
    actions: dict[int, set[str | None]]
    window: int
    holes: list[Hole] = field(default_factory=list)
    highest_before: int | None = None
    began: float = 0.0
    heard: float = 0.0


class Model:
    def __init__(self, *, contiguous: bool) -> None:
        self.contiguous = contiguous
        self.lives: dict[tuple[str | None, str | None], Life] = {}
        self.contents: dict[str, float] = {}
        self.windows = 0

    def open_gaps(self) -> int:
        return sum(len(life.holes) for life in self.lives.values())

    def outcome(self, message: Message) -> list[object]:  # noqa: PLR0911 - as many as there are outcomes
        """Say in short what becomes of a message, as `tests.unit.portos.changes.told` does; `-` and `<` are dropped."""
        if message.version is None:
            known = self.contents.get(message.id)
            if known is not None and message.received_at - known <= SHORTLY:
                return ["-"]
            self.contents[message.id] = message.received_at
            return [None]
        key, version, at = (message.resource, message.resource_id), message.version, message.created_at
        life = self.lives.get(key)
        if life is None:
            self.lives[key] = Life(version, at, {version: {message.action}}, self.windows)
            return [version]
        later = at is not None and life.newest is not None and at > life.newest
        of_the_life_before = (
            life.highest_before is not None
            and version <= life.highest_before
            and at is not None
            and at < life.began
            and message.received_at <= life.heard + SHORTLY
        )
        if of_the_life_before:
            return ["<"]
        if version > life.top:
            return self._higher(life, message, version)
        if version == life.top:
            return self._the_top_again(life, message, later=later)
        return self._lower(life, message, version, later=later)

    def _higher(self, life: Life, message: Message, version: int) -> list[object]:
        jumped = set(range(life.top + 1, version)) if self.contiguous else set()
        told: list[object] = [version]
        if jumped:
            cause = "window" if life.window < self.windows else "version"
            told = [(cause, life.top, version, *sorted(jumped)), (version, ("gapfrom", str(life.top)))]
            life.holes = [*life.holes, Hole(life.top, version, jumped)][-MOST_GAPS:]
        if life.highest_before is not None and (
            version > life.highest_before or message.received_at > life.heard + SHORTLY
        ):
            life.highest_before = None
        life.top, life.window = version, self.windows
        life.actions[version] = {message.action}
        self._aged(life, message)
        return told

    def _the_top_again(self, life: Life, message: Message, *, later: bool) -> list[object]:
        actions = life.actions[life.top]
        deleting = message.action == "deleted"
        if later and not (deleting and "deleted" not in actions):
            return self._reset(life, message, life.top)
        if message.action in actions:
            return ["-"]
        at, newest = message.created_at, life.newest
        if not deleting and ("deleted" in actions or (at is not None and newest is not None and at < newest)):
            return ["<"]
        actions.add(message.action)
        life.window = self.windows
        self._aged(life, message)
        return [message.version]

    def _lower(self, life: Life, message: Message, version: int, *, later: bool) -> list[object]:
        hole = next((hole for hole in life.holes if version in hole.missing), None)
        at = message.created_at or 0.0
        if self.contiguous and hole is not None and not (later and at - (life.newest or 0.0) > SHORTLY):
            hole.missing.remove(version)
            self._aged(life, message)
            if hole.missing:
                return [version]
            life.holes.remove(hole)
            return [version, ("late", hole.after, hole.until)]
        return self._reset(life, message, version) if later else ["<"]

    def _reset(self, life: Life, message: Message, version: int) -> list[object]:
        life.highest_before = max(life.top, life.highest_before if life.highest_before is not None else life.top)
        life.began, life.heard = message.created_at or 0.0, message.received_at
        life.top, life.newest, life.window = version, message.created_at, self.windows
        life.actions, life.holes = {version: {message.action}}, []
        return [(version, ("versionreset", "true"))]

    @staticmethod
    def _aged(life: Life, message: Message) -> None:
        times = [at for at in (life.newest, message.created_at) if at is not None]
        life.newest = max(times, default=None)


@dataclass
class Hub:
    """Three resources, whose changes are sent, withheld, sent late, repeated, and counted anew."""

    clock: float = 1000.0
    versions: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(3), 0))
    sent: list[Message] = field(default_factory=list)
    withheld: list[Message] = field(default_factory=list)

    def does(self, what: str, which: int, number: int) -> list[Message]:  # noqa: C901, PLR0911 - a list of deeds
        """Do one thing; give what is sent for it."""
        match what:
            case "next":
                return self._sends(self._changes(which))
            case "timeless":
                return self._sends(_without_time(self._changes(which)))
            case "jump":
                self.withheld += (self._changes(which) for _ in range(number + 1))
                return self._sends(self._changes(which))
            case "touched":
                self.versions[which] -= 1
                self.clock -= number / 4
                sent = self._sends(self._changes(which, ("created", "unknown")[number % 2]))
                self.clock += number / 4
                return sent
            case "late" if self.withheld:
                return self._sends(self.withheld.pop(-1 - number // 2 % len(self.withheld)))
            case "repeat" if self.sent:
                return self._sends(self.sent[-1 - number**2 % len(self.sent)], again=True)
            case "reset":
                self.versions[which] = max(self.versions[which] - 1 - number, 0)
                return self._sends(self._changes(which))
            case "deleted":
                self.versions[which] -= number % 2
                return self._sends(self._changes(which, "deleted"))
            case "anew":
                self.versions[which] = 0
                return self._sends(self._changes(which, "created"))
            case "content":
                return [unversioned(str(number), self.clock)]
            case "wait":
                self.clock += (0.001, 0.001, 1.0, 1.0, 31.0, 200.0)[number]
        return []

    def _changes(self, which: int, action: str = "updated") -> Message:
        self.versions[which] += 1
        return change(self.versions[which], self.clock, action, resource_id=str(which))

    def _sends(self, message: Message, *, again: bool = False) -> list[Message]:
        if not again:
            self.sent.append(message)
        return [_received(message, self.clock)]


def _received(message: Message, at: float) -> Message:
    return msgspec.structs.replace(message, received_at=at)


def _without_time(message: Message) -> Message:
    return msgspec.structs.replace(message, created_at=None)
