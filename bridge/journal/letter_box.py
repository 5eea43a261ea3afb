"""Dead letters as far as memory knows them: what waits for the next transaction, what is kept, what is overtaken.

Used by `bridge.journal.log`, filled from the disk by `bridge.journal.opening`. Nothing here costs anything on the way
of an event while a sink has no letters.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bridge.journal.letter import LETTER_BYTES, DeadLetter, Edits, Letter, Overtaking
from bridge.journal.letter_table import MOST_KEYS, Kept, Key
from bridge.journal.reader import Page
from bridge.journal.room import Room
from bridge.labels import LETTER_REASONS, SOURCE, known
from bridge.message import VERSION_RESET, Message

__all__ = ["LetterBox"]

_log = logging.getLogger(__name__)
_SHARE = 4  # one part in 4 of the journal's capacity is for letters at most
_REMAINDER = 8  # beyond its share, letters without their event may take this part of it more


@dataclass(slots=True)
class _Pile:
    """The letters of one sink, those on their way to the disk included.

    `keys` has, by resource and id, the highest version and the last sequence number of those that a newer version may
    overtake; `ids` counts in how many keys an id stands, since a page is held against ids alone in a fifth of the time.
    `any_key`: there are too many to know, so that any event may overtake one; the disk knows. `marked` are the numbers
    of those to be sent again, `reasons` count the letters by words of a closed set. `shed` and `expired` count since
    the start.
    """

    data_bytes: int = 0
    shed: int = 0
    expired: int = 0
    keys: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    ids: dict[str | None, int] = field(default_factory=dict)
    any_key: bool = False
    marked: set[int] = field(default_factory=set)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def events(self) -> int:
        """How many letters there are."""
        return self.reasons.total()

    def count(self, reason: str, events: int) -> None:
        """Count letters more, or less, that are there for a reason."""
        self.reasons[known(reason, LETTER_REASONS)] += events

    def know(self, resource: str, resource_id: str, version: int, seq: int) -> None:
        """Learn what a letter is about."""
        if self.any_key:
            return
        key = resource, resource_id
        if (before := self.keys.get(key)) is None:
            if len(self.keys) >= MOST_KEYS:
                self.forget_all()
                self.any_key = True
                return
            self.ids[resource_id] = self.ids.get(resource_id, 0) + 1
            self.keys[key] = version, seq
        else:
            self.keys[key] = max(version, before[0]), max(seq, before[1])

    def forget_all(self) -> None:
        """Forget all of them."""
        self.keys.clear()
        self.ids.clear()
        self.any_key = False

    def forget(self, key: tuple[str, str]) -> None:
        """Forget it: no letter of it can be overtaken any more."""
        del self.keys[key]
        self.ids[key[1]] -= 1
        if not self.ids[key[1]]:
            del self.ids[key[1]]


class LetterBox:
    """See the module.

    Beyond `most_bytes` an event's letter keeps what it is about and why it is there, but not the event; an unreadable
    record is counted by the metrics alone, and so is everything a little further on. So a hub or a broker that spoils
    everything cannot fill the journal with what is never delivered. Where events have filled it a letter loses its
    event as well: what is kept free behind them is for the sinks' places first.
    """

    def __init__(self, kept: Mapping[str, Kept], keys: Iterable[Key], room: Room) -> None:
        self.room = room
        self.most_bytes = room.capacity_bytes // _SHARE
        self.given_bytes = 0
        """How much data was ever put here; what of it is on disk is told by `stored`."""
        self._stored_bytes = 0
        self._piles = {sink: _Pile(data_bytes=one.data_bytes, marked=set(one.marked)) for sink, one in kept.items()}
        for sink, one in kept.items():
            for reason, events in one.reasons.items():
                self._piles[sink].count(reason, events)
        for sink, resource, resource_id, version, seq in keys:
            self._pile(sink).know(resource, resource_id, version, seq)
        self._bytes = sum(one.data_bytes + LETTER_BYTES * one.events for one in kept.values())
        self._told = False
        self._waiting: list[DeadLetter] = []
        self._edits = Edits()

    def __bool__(self) -> bool:
        return bool(self._waiting or self._edits)

    def settle(self, sink: str, page: Page, count: int, buried: Mapping[int, DeadLetter]) -> None:
        """Keep what a sink has refused of the first `count` of a page, and note which letters the others overtake."""
        pile = self._piles.get(sink)
        if not buried and (pile is None or not (pile.keys or pile.any_key)):
            return
        pile = self._pile(sink)
        settled = page.messages[:count]
        ids = [message.resource_id for message in settled]
        if not buried and not pile.any_key and pile.ids.keys().isdisjoint(ids):
            return
        for index, message in enumerate(settled):
            if (letter := buried.get(index)) is not None:
                self.add(letter)
            elif pile.any_key or message.resource_id in pile.ids:
                self._overtaken(pile, sink, message, page.seqs[index])

    def _overtaken(self, pile: _Pile, sink: str, message: Message, seq: int) -> None:
        resource, resource_id, version = message.resource, message.resource_id, message.version
        if resource is None or resource_id is None or version is None:
            return
        known = pile.keys.get((resource, resource_id))
        if known is None and not pile.any_key:
            return
        reset = any(name == VERSION_RESET for name, _ in message.flags)
        self._edits.overtaken.append(Overtaking(sink, resource, resource_id, version, seq, reset=reset))
        if known is not None and version >= known[0] and seq > known[1]:
            pile.forget((resource, resource_id))

    def add(self, letter: DeadLetter) -> bool:
        """Put a dead letter behind those that wait; False if it is not kept at all."""
        pile = self._pile(letter.sink)
        capped = self._bytes + len(letter.data) + LETTER_BYTES > self.most_bytes
        if capped or len(letter.data) > self.room.for_letters - (self.given_bytes - self._stored_bytes):
            self._tell_shed(capped=capped)
            pile.shed += 1
            if letter.sink == SOURCE or self._bytes > self.most_bytes + self.most_bytes // _REMAINDER:
                return False
            letter = replace(letter, data=b"")
        self.given_bytes += len(letter.data)
        pile.count(letter.reason, 1)
        pile.data_bytes += len(letter.data)
        self._bytes += len(letter.data) + LETTER_BYTES
        resource, resource_id, version, seq = letter.resource, letter.resource_id, letter.version, letter.seq
        if resource is not None and resource_id is not None and version is not None and seq is not None:
            pile.know(resource, resource_id, version, seq)
        self._waiting.append(letter)
        return True

    def withdraw(self, letters: Iterable[DeadLetter]) -> None:
        """Forget letters of the source that were taken and could not be stored: what is set aside found no room."""
        for letter in letters:
            pile = self._pile(letter.sink)
            pile.count(letter.reason, -1)
            pile.data_bytes -= len(letter.data)
            self._bytes -= len(letter.data) + LETTER_BYTES

    def take(self) -> tuple[list[DeadLetter], Edits | None]:
        """Give what waits to whoever writes it."""
        letters, edits = self._waiting, self._edits or None
        self._waiting = []
        if edits is not None:
            self._edits = Edits()
        return letters, edits

    def stored(self, given_bytes: int) -> None:
        """Note that what was put here up to then is on disk, where the journal counts it among what is in use."""
        self._stored_bytes = max(self._stored_bytes, given_bytes)

    def mark(self, letters: Iterable[Letter]) -> None:
        """Note that letters are to be sent again."""
        for letter in letters:
            self._pile(letter.kept.sink).marked.add(letter.number)

    def unmark(self, letter: Letter) -> bool:
        """Note that a letter is not to be sent again any more; False if it was not to be."""
        marked = self._pile(letter.kept.sink).marked
        if letter.number not in marked:
            return False
        marked.remove(letter.number)
        return True

    def unmark_all(self, sink: str) -> None:
        """Note that no letter of a sink is to be sent again."""
        self._pile(sink).marked.clear()

    def remove(self, letter: Letter, *, expired: bool = False) -> None:
        """Note that a letter is not kept any more."""
        pile = self._pile(letter.kept.sink)
        pile.marked.discard(letter.number)
        pile.count(letter.kept.reason, -1)
        pile.data_bytes -= letter.size
        pile.expired += expired
        self._bytes -= letter.size + LETTER_BYTES
        if not pile.events:
            pile.forget_all()
        if self._bytes < self.most_bytes // 2:
            self._told = False

    def refused_again(self, letter: Letter, reason: str) -> None:
        """Note that a letter that was sent again stays, for a reason that may be another."""
        pile = self._pile(letter.kept.sink)
        pile.count(letter.kept.reason, -1)
        pile.count(reason, 1)

    def marked(self, sink: str) -> int:
        """Tell how many letters of a sink are to be sent again."""
        pile = self._piles.get(sink)
        return 0 if pile is None else len(pile.marked)

    def numbers(self, sink: str) -> Mapping[str, int]:
        """Tell the `events`, `bytes` and `marked` of a sink, and since the start those `shed` and `expired`.

        `bytes` is what counts against `most_bytes`, or nobody could see that near its limit.
        """
        pile = self._piles.get(sink) or _Pile()
        return {
            "events": pile.events,
            "bytes": pile.data_bytes + LETTER_BYTES * pile.events,
            "marked": len(pile.marked),
            "shed": pile.shed,
            "expired": pile.expired,
        }

    def reasons(self, sink: str) -> Mapping[str, int]:
        """Tell how many letters of a sink are kept for which reason, of those that any is kept for."""
        pile = self._piles.get(sink)
        return {} if pile is None else {reason: events for reason, events in pile.reasons.items() if events}

    def _pile(self, sink: str) -> _Pile:
        return self._piles.setdefault(sink, _Pile())

    def _tell_shed(self, *, capped: bool) -> None:
        if not self._told:
            self._told = True
            full = "have used up their quarter of the journal" if capped else "find the journal full"
            _log.error(
                "the dead letters %s: what comes now is kept without its event, or not at all; see"
                " `portos-bridge dlq list`, then `dlq retry` or `dlq purge`",
                full,
            )
