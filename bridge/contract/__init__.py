"""What a sink promises, as tests that anybody can run against their own: half an hour from a sink to its proof.

1. Write a `Rig`: the plugin and its settings, and a reader that asks the broker, never the sink, what it holds.
2. Subclass `SinkContract` in a test file and give it the rig as a pytest fixture named `rig`:

       class AmqpRig(Rig):
           def __init__(self, url: str) -> None:
               super().__init__(plugin, AmqpConfig(url=url, window_events=50))

           async def received(self) -> Sequence[Received]:
               return [Received(id=each.header("id"), body=each.body) for each in await read_queue(self.config.url)]

       class TestAmqp(SinkContract):
           @pytest.fixture
           def rig(self, broker_url: str) -> AmqpRig:
               return AmqpRig(broker_url)

3. `pytest --asyncio-mode=auto test_amqp.py`. It needs pytest and pytest-asyncio, nothing else.

Each test is a promise, runs under deadlines of its own and ends even if the sink never does. What a rig cannot do
(`freeze`, `kill`, `poison`), or a plugin does not offer (`explain`), is skipped with a reason. The fixture may be async
and clean up after itself; each test gets a new rig on an empty place of the broker (a topic prefix or a queue of its
own). A reader that has to listen before the first message, as with MQTT, starts in the fixture.

`bridge.contract.check` holds the same promises as plain functions, for a harness other than pytest; each raises
`BrokenPromise`. `tests/unit/contract` holds sinks that lie, each of which this suite must find out.
"""

from bridge.contract.rig import BrokenPromise, Received, Rig, deliver_all, sample
from bridge.contract.suite import SinkContract

__all__ = ["BrokenPromise", "Received", "Rig", "SinkContract", "deliver_all", "sample"]
