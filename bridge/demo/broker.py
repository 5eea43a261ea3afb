"""An MQTT broker inside the demo, and a subscriber at it that knows nothing of the bridge.

The broker is amqtt, the extra `demo`; it speaks MQTT 3.1.1, over which an event is one JSON document. The subscriber is
what a consumer would write.
"""

import hashlib
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from bridge.demo.port import free_port
from bridge.errors import ConfigError

__all__ = ["Arrivals", "broker", "subscriber"]


class _Event(msgspec.Struct):
    """What the subscriber reads of a CloudEvent: the notification, byte for byte."""

    data: msgspec.Raw


@dataclass
class Arrivals:
    """What arrived: of each notification its SHA-256 in hexadecimal and the moment; of each told window its data."""

    notifications: list[tuple[str, float]] = field(default_factory=list)
    windows: list[bytes] = field(default_factory=list)

    def take(self, topic: str, payload: bytes) -> None:
        """Take what was published, but for what the bridge says of itself besides windows."""
        if "/bridge/" in topic and not topic.endswith("/bridge/resync"):
            return
        data = bytes(msgspec.json.decode(payload, type=_Event).data)
        if topic.endswith("/bridge/resync"):
            self.windows.append(data)
        else:
            self.notifications.append((hashlib.sha256(data).hexdigest(), time.time()))


@asynccontextmanager
async def broker() -> AsyncIterator[int]:
    """Run a broker on a free port of this machine, and give the port."""
    try:
        from amqtt.broker import Broker  # noqa: PLC0415 - only the demo needs the extra
    except ImportError as error:
        raise ConfigError(["the demo's broker is missing: install the extra, portos-bridge[demo]"]) from error
    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.ERROR)
    port = free_port()
    plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    running = Broker({"listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}, "plugins": plugins})
    await running.start()
    try:
        yield port
    finally:
        await running.shutdown()


@contextmanager
def subscriber(port: int, topic: str) -> Iterator[Arrivals]:
    """Subscribe to a topic, and collect what arrives."""
    arrivals = Arrivals()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="demo-subscriber")
    client.on_connect = lambda connected, *_: connected.subscribe(topic, qos=1)
    client.on_message = lambda _, __, message: arrivals.take(message.topic, bytes(message.payload))
    client.connect_async("127.0.0.1", port)
    client.loop_start()
    try:
        yield arrivals
    finally:
        client.disconnect()
        client.loop_stop()
