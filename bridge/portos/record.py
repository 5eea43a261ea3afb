"""What is written down of the version memory, so that a restart does not forget it.

Pure. Each record holds what changed since the one before, and a slice of all the rest, so that after some records, a
round, everything has been written anew and those before are of no more use. So the whole is never written at once, and
what is written is bounded by what is known and not by how often it changes. Used by `bridge.portos.memory`.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice

import msgspec

from bridge.journal.memory import Recorded
from bridge.portos.generations import Generation, Generations, Name
from bridge.portos.repeats import Repeats
from bridge.portos.versions import Eventful, Gap, Seen

__all__ = ["Recorder"]

_FORMAT = 1
_LEAST_WALKED = 64  # a slice is as much as what changed, but not less than a page of the disk

_Line = tuple[str, str | None, Seen]


class _State(msgspec.Struct, array_like=True, gc=False):
    """What was written of a `Seen`, or of an `Eventful`, which has more; the window belongs to another life."""

    version: int
    at: float | None
    actions: int
    window: int
    gaps: tuple[Gap, ...] | None = None
    before: int = 0
    since: float = 0.0
    guarded_until: float = 0.0

    def seen(self) -> Seen:
        if self.gaps is None:
            return Seen(self.version, self.at, self.actions, 0)
        return Eventful(self.version, self.at, self.actions, 0, self.gaps, self.before, self.since, self.guarded_until)


class _Record(msgspec.Struct, array_like=True, gc=False):
    """One record: the number and beginning of the young generation, and what belongs to which."""

    format: int
    number: int
    since: float | None
    young: list[tuple[str, str | None, _State]]
    old: list[tuple[str, str | None, _State]]
    repeats: list[tuple[str, float]]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Record).decode


class Recorder:
    """Writes records of two generations and of the repeats without a version, and reads them back."""

    def __init__(self, generations: Generations, repeats: Repeats, repeat_seconds: float) -> None:
        self._generations = generations
        self._repeats = repeats
        self._repeat_seconds = repeat_seconds
        self._walk: Iterator[tuple[Generation, str, str | None, Seen]] | None = None
        self._round_from = self._keep_from = 0
        self._round_since = 0.0

    def record(self, upto: int, changed: Collection[Name], now: float) -> Recorded:
        """Write down what changed, as the record of everything up to a sequence number, and a slice of the rest."""
        generations = self._generations
        if self._walk is None:
            self._walk, self._round_from, self._round_since = generations.walk(), upto, now
        young, old = self._changes(changed)
        room = max(len(changed) // 2, _LEAST_WALKED)
        walked = 0
        for generation, resource, resource_id, seen in islice(self._walk, room):
            walked += 1
            if generation is generations.young:
                young.append((resource, resource_id, seen))
            elif generation is generations.old:
                old.append((resource, resource_id, seen))
        repeats = self._repeats.take_fresh()
        data = _encode((_FORMAT, generations.number, generations.since, young, old, repeats))
        # What has no version is in one record only, so a round must last as long as its repeats are looked for.
        lasted = not len(self._repeats) or now - self._round_since >= self._repeat_seconds
        if walked < room and lasted:
            self._walk, self._keep_from = None, self._round_from
        return Recorded(upto, data, self._keep_from)

    def _changes(self, changed: Iterable[Name]) -> tuple[list[_Line], list[_Line]]:
        """Look up what became of these: what was seen since the generation turned is young, all else old or gone."""
        young: list[_Line] = []
        old: list[_Line] = []
        for resource, resource_id in changed:
            for generation, lines in ((self._generations.young, young), (self._generations.old, old)):
                ids = generation.get(resource)
                if ids is not None and (seen := ids.get(resource_id)) is not None:
                    lines.append((resource, resource_id, seen))
                    break
        return young, old

    def restore(self, records: Sequence[bytes | None]) -> None:
        """Read records back, oldest first; one that is lost (None) takes with it all that came before it.

        Otherwise a resource would be remembered at an older version than it had, and what is known be taken for news.
        """
        generations = self._generations
        for data in records:
            record = _read(data)
            if record is None:
                generations.clear()
                continue
            if record.number != generations.number:
                generations.start(record.number, record.since)
            generations.since = record.since
            for resource, resource_id, state in record.young:
                generations.put(resource, resource_id, state.seen())
            for resource, resource_id, state in record.old:
                generations.put_old(resource, resource_id, state.seen())
            self._repeats.restore(record.repeats)


def _read(data: bytes | None) -> _Record | None:
    if data is None:
        return None
    try:
        record = _decode(data)
    except msgspec.DecodeError:  # of another release
        return None
    return record if record.format == _FORMAT else None
