"""What is remembered of every resource: the version that was seen last, so that each change can be judged by it.

Pure. `bridge.intake` gives it every batch before it is stored; the journal keeps what it records, in the transaction
that deletes the messages in which it could be read again. The rule for one change is `bridge.portos.versions`.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from math import inf
from typing import Literal

import msgspec

from bridge.journal.memory import Recorded
from bridge.message import Message
from bridge.portos.gaps import body_shed, change_of, gap_closed, gap_detected
from bridge.portos.generations import Generations, bounded
from bridge.portos.record import Recorder
from bridge.portos.repeats import Repeats
from bridge.portos.versions import ACTIONS, UNKNOWN, Gap, News, Seen, gaps_of, judge
from bridge.settings.privacy import same_name
from bridge.sieve import Jump, Sifted

__all__ = ["Mode", "VersionMemory"]

Mode = Literal["monotonic", "contiguous", "off"]

_MOST_IDS = 100_000  # about 200 bytes each
_MOST_OPEN_GAPS = 10_000
_REPEAT_SECONDS = 60.0  # without a version: longer than two connections overlap, shorter than a state takes to recur
_Touched = tuple[str, str | None, Seen | None]
_code = ACTIONS.get


class VersionMemory:
    """See the module. The clock is the messages' `received_at`: the same messages lead to the same memory.

    A resource that does not change is remembered for `keep_seconds` at least, unless half of `max_ids` others have come
    since; in `contiguous` mode without the limit in time, since a jump must not be missed. A gap that stays open is
    tracked as long.
    """

    def __init__(self, mode: Mode, site: str, keep_seconds: float, max_ids: int = _MOST_IDS) -> None:
        self._contiguous, self._off = mode == "contiguous", mode == "off"
        self._site = site
        self._keep_seconds = keep_seconds
        self._known = Generations(max_ids)
        repeat_seconds = min(keep_seconds, _REPEAT_SECONDS)
        self._repeats = Repeats(repeat_seconds)
        self._recorder = Recorder(self._known, self._repeats, repeat_seconds)
        self._most_changed = 2 * max_ids
        self._changed: list[_Touched] = []
        self._touched: list[_Touched] = []
        self._remembered: list[str] = []
        self._open: OrderedDict[tuple[str, str | None, int], float] = OrderedDict()
        self._window = 0
        self._window_id: str | None = None
        self._window_ids: dict[str, str] = {}  # by resource, no more than are subscribed
        self._now = 0.0

    def __len__(self) -> int:
        return len(self._known)

    @property
    def open_gaps(self) -> int:
        """How many gaps are told and not closed, as far as they are tracked."""
        return len(self._open)

    def told_gaps(self) -> Iterator[tuple[str, float]]:
        """Name the resource of each of them, and when it was told, in seconds since the epoch; oldest first."""
        return ((resource, at) for (resource, _, _), at in self._open.items())

    def window(self, identity: str, resources: Sequence[str] = ()) -> None:
        """Note that a blind window is told before the next batch: what was jumped over may have been sent in it."""
        self._window += 1
        self._window_id = identity
        if not resources:
            self._window_ids.clear()
        self._window_ids |= dict.fromkeys(map(same_name, resources), identity)

    def sift(self, messages: Sequence[Message]) -> Sifted:
        """Drop what was there before, flag what a version says, and put the events that tell of gaps in their places.

        All that passes counts as seen; `forget` takes that back.
        """
        out = Sifted([])
        touched = self._touched = []
        self._remembered = []
        passed, young, window, contiguous = out.messages.append, self._known.young, self._window, self._contiguous
        for message in messages:
            version = message.version
            if version is None or self._off:
                self._sift_by_content(message, out)
                continue
            resource, resource_id = message.resource or "", message.resource_id
            ids = young.get(resource)
            if (
                ids is not None
                and (seen := ids.get(resource_id)) is not None
                and type(seen) is Seen
                and (version == seen.version + 1 or (version > seen.version and not contiguous))
            ):
                at, known_at = message.created_at, seen.at
                if at is None or (known_at is not None and known_at > at):
                    at = known_at
                touched.append((resource, resource_id, seen))
                ids[resource_id] = Seen(version, at, _code(message.action or "", UNKNOWN), window)
                passed(message)
            else:
                self._sift_by_rule(message, version, out)
        if messages:
            self._end_of_batch(messages[-1].received_at)
        return out

    def _sift_by_content(self, message: Message, out: Sifted) -> None:
        if self._repeats.repeats(message):
            out.exact += 1
        else:
            self._remembered.append(message.id)
            out.messages.append(message)

    def _sift_by_rule(self, message: Message, version: int, out: Sifted) -> None:
        resource, resource_id = bounded(message.resource or "", message.resource_id)
        seen = self._known.find(resource, resource_id)
        if seen is None:  # the first sight of a resource is no gap, whatever its version: nobody knows where it began
            action = _code(message.action or "", UNKNOWN)
            self._touched.append((resource, resource_id, None))
            self._known.add(resource, resource_id, Seen(version, message.created_at, action, self._window))
            out.messages.append(message)
            return
        news = judge(message, version, seen, self._window, contiguous=self._contiguous)
        if news == "exact":
            out.exact += 1
        elif news == "stale":
            out.stale += 1
        else:
            self._pass(message, resource, resource_id, seen, news, out)

    def _pass(  # noqa: PLR0913 - the change, what was known before, and what follows
        self, message: Message, resource: str, resource_id: str | None, seen: Seen, news: News, out: Sifted
    ) -> None:
        self._touched.append((resource, resource_id, seen))
        self._put(resource, resource_id, seen, news.seen, message.received_at)
        if news.flag is not None:
            message = msgspec.structs.replace(message, flags=(*message.flags, news.flag))
        if news.detected is not None:
            self._tell(message, news.detected, seen, out)
        out.messages.append(message)
        if news.closed is not None:
            out.closed += 1
            out.messages.append(gap_closed(message, news.closed, self._site))

    def _window_of(self, resource: str | None) -> str | None:
        return self._window_ids.get(same_name(resource or ""), self._window_id)

    def _tell(self, shown_by: Message, gap: Gap, seen: Seen, out: Sifted) -> None:
        """Put the event that tells of a gap before the message that shows it."""
        cause, window = (
            ("window", self._window_of(shown_by.resource)) if seen.window < self._window else ("version", None)
        )
        out.messages.append(gap_detected(shown_by, gap, self._site, cause, window))
        out.gaps.append(Jump(shown_by.resource or "", gap.events, cause))

    def _put(self, resource: str, resource_id: str | None, before: Seen | None, after: Seen | None, at: float) -> None:
        """Remember something else of a resource, and which of its gaps are open now."""
        self._known.put(resource, resource_id, after)
        was, now = gaps_of(before), gaps_of(after)
        if not was and not now:
            return
        for gap in was:
            self._open.pop((resource, resource_id, gap.until), None)
        for gap in now:
            self._open[resource, resource_id, gap.until] = at
        while len(self._open) > _MOST_OPEN_GAPS or self._expired(at):
            self._give_up(*next(iter(self._open)))

    def _expired(self, now: float) -> bool:
        return bool(self._open) and now - next(iter(self._open.values())) > self._keep_seconds

    def _give_up(self, resource: str, resource_id: str | None, until: int) -> None:
        """Track a gap no longer: what comes late is stale from now on, and the gap is never told as closed."""
        del self._open[resource, resource_id, until]
        seen = self._known.find(resource, resource_id)
        if seen is not None:
            gaps = tuple(gap for gap in gaps_of(seen) if gap.until != until)
            self._known.replace(resource, resource_id, msgspec.structs.replace(seen, gaps=gaps))

    def _end_of_batch(self, now: float) -> None:
        self._now = now
        self._changed += self._touched
        if len(self._changed) > self._most_changed:  # nobody records
            self._changed = list({touched[:2]: touched for touched in self._changed}.values())[-self._most_changed :]
        if self._known.turn(now, inf if self._contiguous else self._keep_seconds):
            for resource, resource_id, until in list(self._open):
                if self._known.find(resource, resource_id) is None:
                    del self._open[resource, resource_id, until]

    def shed(self, sifted: Sifted) -> None:
        """Put in the place of each change that is larger an event that tells of it; it counts as seen all the same."""
        for index, message in enumerate(sifted.messages):
            if message.resource is None:  # a licence, or the bridge's own
                continue
            told = body_shed(message, self._site)
            if len(told.body) < len(message.body):
                sifted.messages[index] = told
                sifted.gaps.append(Jump(message.resource, 1, "shed"))
                sifted.shed += 1

    def forget(self) -> None:
        """Take back all that the last batch changed: it was not stored, so that a repeat of it is news."""
        for resource, resource_id, before in reversed(self._touched):
            self._put(resource, resource_id, self._known.find(resource, resource_id), before, self._now)
        self._changed += self._touched  # a record may have been made in between
        self._repeats.forget(self._remembered)

    def record(self, upto: int) -> Recorded:
        """Write down what changed since the last record, for the journal; see `bridge.journal.memory`."""
        changed, self._changed = self._changed, []
        return self._recorder.record(upto, {(resource, identity): None for resource, identity, _ in changed}, self._now)

    def restore(self, records: Sequence[bytes | None]) -> None:
        """Remember what was written down; nothing if the versions are not to be looked at now."""
        self._recorder.restore(records)
        if self._off:
            self._known.clear()
        for _, resource, resource_id, seen in self._known.walk():
            gaps = gaps_of(seen)
            if gaps and not self._contiguous:
                self._known.replace(resource, resource_id, msgspec.structs.replace(seen, gaps=()))
            for gap in gaps if self._contiguous else ():
                self._open[resource, resource_id, gap.until] = self._known.since or 0.0

    def learn(self, messages: Sequence[Message]) -> None:
        """Remember stored messages that no record covers, by what they were judged to be when they came."""
        self.sift([change_of(message) or message for message in messages])
