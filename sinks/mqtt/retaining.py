"""One connection over which states are retained at an MQTT broker, and which knows what the broker still has of them.

A broker that restarts may have lost its retained messages, all or the last: the mark that lies beside them is lost with
them. It is asked for with a subscription, before anything is published.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from bridge.errors import Unavailable
from bridge.ports import StateConnection, StateTopics
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.sink import MqttSink
from sinks.mqtt.starting import opened
from sinks.mqtt.state import mark_of, mark_topic, shown_state_topic, state_packet_builder

__all__ = ["state"]

_MARK_SECONDS = 2.0  # brokers send what is retained right behind the answer; what comes later counts as lost


def state(config: MqttConfig) -> StateTopics | None:
    """Retain states, if there is a topic for them, over a connection with a name of its own."""
    if config.state_topic_template is None:
        return None
    own = {"client_id": f"{config.client_id}-state", "announce": False, "oversize": "dead_letter"}
    mode = "structured" if config.structured else "binary"
    # With another limit what was too large may no longer be.
    target = f"{config.url},{config.base},{config.state_topic_template},{config.site},{mode},{config.max_packet_bytes}"
    return StateTopics(target, partial(_connect, config.model_copy(update=own)))


@asynccontextmanager
async def _connect(config: MqttConfig) -> AsyncIterator[StateConnection]:
    sink = _RetainingMqttSink(config, asyncio.get_running_loop())
    async with opened(config, sink):
        await sink.look()
        yield StateConnection(sink, sink)


class _RetainingMqttSink(MqttSink):
    """Publishes states, and has the mark."""

    packets_of = staticmethod(state_packet_builder)
    shown_topic = staticmethod(shown_state_topic)
    text = ""

    async def look(self) -> None:
        """Read the mark; raise `Unavailable` where the broker retains nothing, or lets nobody see it."""
        if not self._retains:
            raise Unavailable("the broker retains no messages, so it can hold no states", reason="refused", hold=True)
        found = self._loop.create_future()
        subscribed = self._loop.create_future()
        self._session.on_subscribe = partial(_answered, subscribed)
        self._session.on_message = partial(_found, found)
        options: dict[str, Any] = {"qos": 0}
        if self._config.version == "5":
            options = {"options": SubscribeOptions(qos=0, noLocal=True)}
        topic = mark_topic(self._config)
        self._session.subscribe(topic, **options)
        await self._unless_lost(subscribed)
        if subscribed.result():
            text = f"the broker does not let {self._config.client_name} subscribe to {topic}: it needs that right"
            raise Unavailable(text, reason="forbidden", hold=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(_MARK_SECONDS):
                await self._unless_lost(found)
                self.text = found.result()

    async def keep(self, text: str) -> None:
        """Have the mark say something else."""
        (outcome,) = await self.deliver([mark_of(text)])
        if isinstance(outcome, Unavailable):
            raise outcome
        if outcome is not None:
            raise Unavailable(str(outcome), reason="refused", hold=True)

    async def _unless_lost(self, answer: "asyncio.Future[bool] | asyncio.Future[str]") -> None:
        closed = asyncio.ensure_future(self._closed.wait())
        try:
            await asyncio.wait((answer, closed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed.cancel()
        if self._lost is not None:
            raise self._lost


def _answered(
    subscribed: "asyncio.Future[bool]", _client: Client, _data: object, _id: int, codes: list[ReasonCode], _more: object
) -> None:
    if not subscribed.done():
        subscribed.set_result(codes[0].is_failure)


def _found(found: "asyncio.Future[str]", _client: Client, _data: object, message: MQTTMessage) -> None:
    if message.retain and not found.done():
        found.set_result(message.payload.decode(errors="replace"))
