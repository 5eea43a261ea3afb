"""Opens a connection to an MQTT broker as a sink; whether it takes notices is a matter of the settings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sinks.mqtt.announcing import AnnouncingMqttSink
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.connection import open_connection
from sinks.mqtt.sink import MqttSink

__all__ = ["connect"]


@asynccontextmanager
async def connect(config: MqttConfig) -> AsyncIterator[MqttSink]:
    """Connect to the broker; raise `Unavailable` where it is not there or does not want us.

    Cancelling leaves nothing behind. Leaving sends DISCONNECT and does not wait for the broker.
    """
    loop = asyncio.get_running_loop()
    sink = AnnouncingMqttSink(config, loop) if config.announce else MqttSink(config, loop)
    await open_connection(config, sink)
    try:
        await sink.accepted()
        yield sink
    finally:
        await sink.close()
