"""Opens a connection to an MQTT broker as a sink; whether it takes notices is a matter of the settings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge.ports import SinkActivity
from sinks.mqtt.announcing import AnnouncingMqttSink
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.connection import open_connection
from sinks.mqtt.sink import MqttSink

__all__ = ["connect", "opened"]


@asynccontextmanager
async def connect(config: MqttConfig, activity: SinkActivity | None = None) -> AsyncIterator[MqttSink]:
    """Connect for events; see `opened`. What is seen of the broker is written into the activity."""
    kind = AnnouncingMqttSink if config.announce else MqttSink
    sink = kind(config, asyncio.get_running_loop(), activity)
    async with opened(config, sink):
        yield sink


@asynccontextmanager
async def opened(config: MqttConfig, sink: MqttSink) -> AsyncIterator[None]:
    """Connect a sink to the broker; raise `Unavailable` where it is not there or does not want us.

    Cancelling leaves nothing behind. Leaving sends DISCONNECT and does not wait for the broker.
    """
    await open_connection(config, sink)
    try:
        await sink.accepted()
        yield
    finally:
        await sink.close()
