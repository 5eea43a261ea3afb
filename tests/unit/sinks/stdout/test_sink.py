"""The stdout sink over real pipes and files: the contract of sinks, and what a stuck or closed reader does."""

import asyncio
import base64
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from bridge.contract import Received, Rig, SinkContract, sample
from bridge.errors import Unavailable
from bridge.ports import SinkPlugin
from sinks.stdout.config import StdoutConfig
from sinks.stdout.explanation import explain
from sinks.stdout.sink import connect, connect_to
from tests.support import until


class Line(msgspec.Struct):
    id: str
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    data_base64: str = ""


class Pipe:
    """A pipe whose reader is a thread that can be stopped and can go away."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        self._may_read = threading.Event()
        self._may_read.set()
        self._gone = False
        self._received = b""
        self._thread = threading.Thread(target=self._read, name="pipe reader", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._gone and (data := os.read(self._reading, 65_536)):
            self._received += data
            self._may_read.wait()
        os.close(self._reading)

    def stop(self) -> None:
        self._may_read.clear()

    def leave(self) -> None:
        self._gone = True
        os.write(self.writing, b"\n")  # wakes the reader
        self._thread.join(5)

    def close(self) -> None:
        self._may_read.set()
        os.close(self.writing)
        self._thread.join(5)

    def lines(self) -> Sequence[Line]:
        whole = self._received[: self._received.rfind(b"\n") + 1]
        return [msgspec.json.decode(each, type=Line) for each in whole.split(b"\n") if each]


class StdoutRig(Rig):
    def __init__(self, pipe: Pipe) -> None:
        super().__init__(
            SinkPlugin(StdoutConfig, lambda config: connect_to(config, pipe.writing), explain),
            StdoutConfig(window_events=20),
        )
        self._pipe = pipe

    async def received(self) -> Sequence[Received]:
        return [
            Received(each.id, base64.b64decode(each.data_base64) if each.data is msgspec.UNSET else bytes(each.data))
            for each in self._pipe.lines()
        ]

    async def kill(self) -> None:
        self._pipe.leave()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


class TestStdout(SinkContract):
    @pytest.fixture
    def rig(self, pipe: Pipe) -> StdoutRig:
        return StdoutRig(pipe)


async def test_a_stuck_reader_holds_up_the_sink_and_nothing_else(pipe: Pipe) -> None:
    """While nobody reads, the event loop runs on, and the delivery can be given up."""
    batch = [sample(number, body=b'"%b"' % (b"x" * 50_000)) for number in range(20)]
    pipe.stop()

    async with connect_to(StdoutConfig(), pipe.writing) as sink:
        delivery = asyncio.create_task(sink.deliver(batch), name="deliver")
        await asyncio.sleep(0.2)
        stuck = not delivery.done()
        delivery.cancel()
        await asyncio.wait({delivery}, timeout=5)

    assert stuck
    assert delivery.cancelled()


async def test_a_reader_that_is_gone_ends_the_sink() -> None:
    """A broken pipe never heals, so attempts are held; what was taken before counts."""
    reading, writing = os.pipe()
    try:
        async with connect_to(StdoutConfig(), writing) as sink:
            first = await sink.deliver([sample(1)])
            os.close(reading)
            second = await sink.deliver([sample(2), sample(3)])
    finally:
        os.close(writing)

    assert first == [None]
    assert [(type(outcome), outcome.reason, outcome.hold) for outcome in second] == [
        (Unavailable, "server_close", True)
    ] * 2


async def test_a_long_line_cut_by_a_reader_that_left_is_not_confirmed() -> None:
    """A line counts when the last piece of it was taken, not the first."""
    reading, writing = os.pipe()
    try:
        async with connect_to(StdoutConfig(), writing) as sink:
            delivery = asyncio.create_task(sink.deliver([sample(1, body=b'"%b"' % (b"x" * 500_000))]), name="deliver")
            await asyncio.sleep(0.1)
            os.close(reading)
            outcomes = await delivery
    finally:
        os.close(writing)

    assert [type(outcome) for outcome in outcomes] == [Unavailable]


async def test_nothing_watches_a_descriptor_that_is_not_written_to(pipe: Pipe) -> None:
    """Between writes the event loop is left in peace: a writable pipe would wake it again and again."""
    async with connect_to(StdoutConfig(), pipe.writing) as sink:
        await sink.deliver([sample(1)])

        assert not asyncio.get_running_loop().remove_writer(sink._descriptor)


async def test_a_line_above_the_pipe_s_unit_arrives_whole(pipe: Pipe) -> None:
    """Long and short lines keep their order and their bytes."""
    batch = [sample(number, body=b'"%b"' % (b"x" * size)) for number, size in enumerate([10, 300_000, 10, 4096, 3000])]

    async with connect_to(StdoutConfig(), pipe.writing) as sink:
        assert await sink.deliver(batch) == [None] * 5
    await until(lambda: len(pipe.lines()) == 5, 5, "all lines were read")

    assert [bytes(each.data) for each in pipe.lines()] == [event.body for event in batch]


async def test_a_file_is_written_as_well(tmp_path: Path) -> None:
    """Standard output may be a regular file, which is always writable."""
    target = tmp_path / "events"
    with target.open("wb") as file:
        async with connect_to(StdoutConfig(), file.fileno()) as sink:
            assert await sink.deliver([sample(1), sample(2)]) == [None, None]

    assert len(target.read_bytes().splitlines()) == 2


async def test_a_full_disk_is_no_bug() -> None:
    """What the operating system refuses to take is not delivered, and the reason says so."""
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        async with connect_to(StdoutConfig(), full) as sink:
            outcomes = await sink.deliver([sample(1)])
    finally:
        os.close(full)

    assert outcomes[0].reason == "refused"


async def test_a_closed_descriptor_is_unavailable() -> None:
    """A bridge started without standard output says so when it connects."""
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)

    with pytest.raises(Unavailable):
        async with connect_to(StdoutConfig(), writing):
            pytest.fail("connected")


async def test_a_bridge_started_without_standard_output_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a shell closed the descriptor (`>&-`), Python has no `sys.stdout`: an operator must act, it is no bug."""
    monkeypatch.setattr(sys, "stdout", None)

    with pytest.raises(Unavailable, match="closed") as refused:
        async with connect(StdoutConfig()):
            pytest.fail("connected")

    assert refused.value.hold
