"""What a sink promises, as tests that anybody can run against their own: half an hour from a sink to its proof.

1. Write a `Rig`: the plugin and its settings, and a reader that asks the broker, never the sink, what it holds.
2. Subclass `SinkContract` in a test file and give it the rig as a pytest fixture named `rig`:

       class AmqpRig(Rig):
           def __init__(self, broker: LocalBroker) -> None:
               self._url = f"amqp://{broker.host}:{broker.port}"
               super().__init__(plugin, AmqpConfig(url=self._url, window_events=50), broker)

           async def received(self) -> Sequence[Received]:
               return [Received(id=each.header("id"), body=each.body) for each in await read_queue(self._url)]

       class TestAmqp(SinkContract):
           @pytest.fixture
           def rig(self) -> Iterator[AmqpRig]:
               with LocalBroker("amqp-broker", "--port", "{port}", "--data", "{folder}") as broker:
                   yield AmqpRig(broker)

3. `pytest --asyncio-mode=auto test_amqp.py`. It needs pytest and pytest-asyncio, nothing else.

Each test is a promise, runs under deadlines of its own and ends even if the sink never does. What a rig cannot do
(`freeze` and `kill` without a `LocalBroker`, `poison`, `reluctant`), or a plugin does not offer (`explain`), is skipped
with a reason. The fixture may be async and clean up after itself; each test gets a new rig on an empty place of the
broker: a broker of its own, a topic prefix or a queue. A reader that has to listen before the first message, as with
MQTT, starts in the fixture.

`bridge.contract.check` holds the same promises as plain functions, for a harness other than pytest; each raises
`BrokenPromise`. `tests/unit/contract` holds sinks that lie, each of which this suite must find out. A walk through all
of it is in `docs/writing-a-sink.md`.
"""

from bridge.contract.broker import LocalBroker
from bridge.contract.rig import BrokenPromise, Received, Rig, deliver_all, sample
from bridge.contract.suite import SinkContract

__all__ = ["BrokenPromise", "LocalBroker", "Received", "Rig", "SinkContract", "deliver_all", "sample"]
