"""The journal against a model of it: whatever is done to both in whatever order, they say the same.

A state machine for hypothesis. What happens: events and records that are none come in commits of all sizes, two sinks
read, settle and bury, dead letters are sent again and thrown away, time passes, the disk is slow or has no room, sinks
are switched off and on, the process ends in order or not. Run by `tests.unit.model.test_machine`.
"""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from bridge.errors import Rejected
from bridge.journal import Buried, Page
from bridge.message import RESOURCES_CHANGED, VERSION_RESET, Message
from bridge.source import Unreadable
from tests.unit.model.pair import KEYS, LARGE_BYTES, SINKS, any_sink, sinks
from tests.unit.model.post import Post

__all__ = ["SINKS", "JournalMachine"]

body_bytes = st.sampled_from([0, 10, 10, 10, 300, 300, 5_000, 20_000])
change = st.tuples(st.sampled_from(KEYS), st.sampled_from([None, -3, 0, 1, 1, 1]), body_bytes)
limits = st.sampled_from([1, 2, 5, 30])
parts = st.sampled_from([0, 1, 2, 100, 100])
refused = st.sampled_from([set(), set(), {0}, {1}, {0, 2}])


class JournalMachine(Post):
    """See the module."""

    @precondition(lambda self: "append" not in self.busy)
    @rule(
        changes=st.lists(change, max_size=12),
        unreadable=st.lists(st.sampled_from([1, 3_000]), max_size=2),
        proved=st.booleans(),
    )
    def append(
        self, changes: Sequence[tuple[str, int | None, int]], unreadable: Sequence[int], *, proved: bool
    ) -> None:
        messages = [self._message(*one) for one in changes]
        records = [Unreadable("json", "cut", self._body(size), 5.0) for size in unreadable]
        at = self.stage.journal.head + len(messages) + 1.0 if proved else None
        ledger = self.stage.journal.ledger
        ledger.received += len(messages)
        self.busy.add("append")

        def then(stored: bool) -> None:  # noqa: FBT001 - what `append` returns
            self.busy.remove("append")
            if stored:
                self.crowd()
                self.plain.append(messages, [record.body for record in records], at)
            else:
                ledger.dropped += len(messages)
                assert self.stage.full or self.max_bytes < LARGE_BYTES, "refused, and there is room"

        self.stage.run(self.stage.journal.append(messages, records, at), then)

    def _message(self, key: str, step: int | None, size: int) -> Message:
        """Make an event: mostly a newer version of something, sometimes an older one, or one without."""
        self.number += 1
        version = None if step is None else self.number + step * 3
        flags = ((VERSION_RESET, "true"),) if step == 0 else ()
        body, at = self._body(size), 100.0 + self.number
        identity = f"id-{self.number}"
        return Message(identity, RESOURCES_CHANGED, "tickets", key, version, "updated", None, None, at, body, flags)

    def _body(self, size: int) -> bytes:
        self.number += 1
        return (b"%d " % self.number) * (size // 4) + b"%d" % self.number

    # what a sink does

    @precondition(lambda self: self.free)
    @rule(sink=any_sink, limit=limits)
    def read(self, sink: str, limit: int) -> None:
        """A page begins where the sink is; a second one is the same, or goes on."""
        if sink not in self.free:
            return
        self.busy.add(sink)

        def then(page: Page) -> None:
            self.busy.remove(sink)
            if not page.messages:
                assert any(letter.marked for letter in self.plain.places[sink].letters), "nothing, and no letter is due"
                return
            cursor, count = self.plain.places[sink].cursor, len(page.messages)
            assert list(page.messages) == self.plain.unsettled(sink)[:count]
            assert list(page.seqs) == list(range(cursor + 1, cursor + 1 + count))
            assert count <= limit
            behind = page.seqs[-1] - max(self.stage.on_disk.get(sink, 0), self.begins[sink])
            assert behind <= limit + self.limits.cursor_every_events, "a crash would repeat more than it may"
            self.pages[sink] = page
            self.redrives[sink].handed_to = max(self.redrives[sink].handed_to, page.seqs[-1])

        self.stage.read(sink, limit, then)

    @precondition(lambda self: self.pages.keys() & self.free)
    @rule(sink=any_sink, part=parts, refused=refused)
    def settle(self, sink: str, part: int, refused: set[int]) -> None:
        if sink not in self.pages.keys() & self.free:
            return
        page = self.pages.pop(sink)
        count = min(part, len(page.messages))
        buried = {index: f"reason {index}" for index in refused if index < count}
        account = self.stage.journal.ledger.sinks[sink]
        account.dead_lettered += len(buried)
        account.delivered += count - len(buried)
        self.crowd()
        self.plain.settle(sink, count, buried)
        self.busy.add(sink)

        def then(_: None) -> None:
            self.busy.remove(sink)
            if buried:
                self.plain.places[sink].durable()

        why = {index: Buried(Rejected(reason, reason=reason), 1) for index, reason in buried.items()}
        self.stage.run(self.stage.journal.settle(sink, page, count, why), then)

    @precondition(lambda self: "kafka" in self.free)
    @rule(limit=limits, part=parts, refused=refused)
    def kafka_delivers(self, limit: int, part: int, refused: set[int]) -> None:
        """Read and settle, as mostly."""
        self.deliver("kafka", limit, part, refused)

    @precondition(lambda self: "mqtt" in self.free)
    @rule(limit=limits, part=parts, refused=refused)
    def mqtt_delivers(self, limit: int, part: int, refused: set[int]) -> None:
        """Read and settle, as mostly."""
        self.deliver("mqtt", limit, part, refused)

    def deliver(self, sink: str, limit: int, part: int, refused: set[int]) -> None:
        """Read and settle."""
        self.read(sink, limit)
        self.settle(sink, part, refused)

    @rule(state=st.sampled_from(["slow", "full disk", "full file", "well"]))
    def disk(self, state: str) -> None:
        """Let nothing reach it, let it have no room, or let it be well again."""
        match state:
            case "slow":
                self.stage.hold()
            case "full disk" | "full file":
                self.stage.full = state.removeprefix("full ")
            case _:
                self.stage.heal()

    @rule(what=st.sampled_from(["0.3 s", "1.1 s", "1.1 s", "shrink", "look", "drain"]))
    def idle(self, what: str) -> None:
        """Nothing comes: time passes, the file shrinks, somebody looks at the dead letters, the sinks keep up."""
        if what == "drain":
            self._drain()
        elif what.endswith(" s"):
            self._wait(float(what.removesuffix(" s")))
        elif not self.well:
            return
        elif what == "shrink":
            self.stage.shrink()
            self.durable()
        else:
            self.learn()

    def _wait(self, seconds: float) -> None:
        self.stage.skip(seconds)
        if seconds > self.limits.cursor_every_seconds and self.well:
            self.durable()

    def _drain(self) -> None:
        """Settle everything; there is room then, whatever there was before."""
        self.stage.heal()
        for sink in self.sinks:
            while sink in self.free and self.plain.unsettled(sink):
                self.read(sink, 30)
                self.settle(sink, 100, set())
        self._wait(1.1)
        before = len(self.plain.stored)

        self.append([("a", 1, 10)], [], proved=False)

        assert len(self.plain.stored) > before, "all is settled, and there is no room"

    @rule(sinks=sinks, how=st.sampled_from(["in order", "in order", "killed", "killed after the commit"]))
    def restart(self, sinks: Sequence[str], how: str) -> None:
        """After an orderly end nothing comes again; after a kill, what was asked of the disk is there or is not."""
        if how == "in order":
            self.stage.heal()
            self.durable()
            self.stage.close()
        else:
            self.stage.kill(after_commit=how != "killed")
        self.open(sinks, clean=how == "in order")

    def teardown(self) -> None:
        """Whatever was, in the end everything arrives."""
        try:
            if self.sinks:
                self.restart(SINKS, "in order")
                self._drain()
                self.restart(SINKS, "in order")
                self.agrees()
        finally:
            self.stage.end()
