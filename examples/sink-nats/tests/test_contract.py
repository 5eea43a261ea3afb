"""The NATS sink keeps the promises of every sink, on a real server that is frozen and killed."""

from collections.abc import AsyncIterator, Sequence

import nats
import pytest
from nats.js.api import DiscardPolicy, StreamConfig

from bridge.contract import LocalBroker, Received, Rig, SinkContract, sample
from bridge.message import Message
from portos_bridge_sink_nats import plugin
from portos_bridge_sink_nats.config import NatsConfig

QUOTA_BYTES = 500_000
LARGEST_BYTES = 1_048_576  # of the server


class NatsRig(Rig):
    """The sink, a server of its own with a stream, and an independent reader."""

    def __init__(self, broker: LocalBroker) -> None:
        self._url = f"nats://{broker.host}:{broker.port}"
        super().__init__(plugin, NatsConfig(servers=(self._url,), window_events=20), broker)

    async def prepare(self) -> None:
        """Make the stream."""
        async with await nats.connect(self._url) as operator:
            stream = StreamConfig("PORTOS", subjects=["portos.>"], discard=DiscardPolicy.NEW)
            await operator.jetstream().add_stream(stream)

    async def received(self) -> Sequence[Received]:
        """Read the stream from its beginning."""
        async with await nats.connect(self._url) as reader:
            stream = reader.jetstream()
            state = (await stream.stream_info("PORTOS")).state
            subscription = await stream.subscribe("portos.>", ordered_consumer=True)
            messages = [await subscription.next_msg(timeout=5) for _ in range(state.messages)]
            return [Received((each.headers or {})["ce-id"], each.data, each.subject) for each in messages]

    def poison(self) -> Message:
        """Give what the server would close the connection for: its headers are what is too much."""
        return sample(1000, body=b"x" * (LARGEST_BYTES - 100))

    async def reluctant(self) -> Message:
        """Let the stream have room for small messages only."""
        async with await nats.connect(self._url) as operator:
            quota = StreamConfig("PORTOS", subjects=["portos.>"], max_bytes=QUOTA_BYTES, discard=DiscardPolicy.NEW)
            await operator.jetstream().update_stream(quota)
        return sample(1000, body=b"x" * QUOTA_BYTES)


class TestNats(SinkContract):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[NatsRig]:
        with LocalBroker("nats-server", "-a", "127.0.0.1", "-p", "{port}", "-js", "-sd", "{folder}") as broker:
            rig = NatsRig(broker)
            await rig.prepare()
            yield rig
