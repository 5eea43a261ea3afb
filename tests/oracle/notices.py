"""An independent MQTT 5 consumer of what the bridge says of itself: what is published now, and what the broker kept."""

import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.support import wait_until

__all__ = ["Heard", "NoticeReader", "kept"]

_STORE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Heard:
    """One message; `kept` says that it was published to be retained."""

    topic: str
    payload: bytes
    kept: bool
    qos: int
    content_type: str | None
    expiry_seconds: int | None
    attributes: dict[str, str]
    at: float = field(default_factory=time.time)

    @property
    def document(self) -> Any:
        """What the payload says."""
        return json.loads(self.payload)


class NoticeReader:
    """Hears everything below a base topic until it is left; comes back by itself, and anew, to a broker that restarts.

    What is published meanwhile keeps the flag it came with (Retain As Published), and so tells what the broker keeps.
    """

    def __init__(self, host: str, port: int, base: str) -> None:
        self._address = (host, port)
        self._base = base
        self._heard: list[Heard] = []
        self._lock = threading.Lock()
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 1)

    def __enter__(self) -> Self:
        self._client.connect(*self._address, clean_start=True)
        self._client.loop_start()
        wait_until(self._subscribed.is_set, 10, "the reader of notices has subscribed")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if not reason.is_failure:
            client.subscribe(f"{self._base}/#", options=SubscribeOptions(qos=1, retainAsPublished=True))

    def _on_subscribe(self, _client: Client, _data: Any, _mid: int, _reasons: Any, _properties: Any) -> None:
        self._subscribed.set()

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        properties: Any = message.properties
        expiry = getattr(properties, "MessageExpiryInterval", None)
        heard = Heard(
            topic=message.topic.removeprefix(f"{self._base}/"),
            payload=message.payload,
            kept=message.retain,
            qos=message.qos,
            content_type=getattr(properties, "ContentType", None),
            expiry_seconds=expiry,
            attributes=dict(getattr(properties, "UserProperty", [])),
        )
        with self._lock:
            self._heard.append(heard)

    def heard(self, *topics: str) -> list[Heard]:
        """Give what has come so far, in its order; of these topics alone, if any are named."""
        with self._lock:
            return [each for each in self._heard if not topics or each.topic in topics]

    def states(self) -> list[str]:
        """Give the words of the state that have come so far."""
        return [each.document["state"] for each in self.heard("bridge/state")]

    def wait_for_state(self, state: str, seconds: float) -> None:
        """Wait until that is the newest word."""
        wait_until(lambda: self.states()[-1:] == [state], seconds, f"the state is {state}")


def kept(host: str, port: int, base: str) -> dict[str, Heard]:
    """Give what the broker has kept below a base topic, by topic, as whoever subscribes now gets it."""
    with NoticeReader(host, port, base) as reader:
        time.sleep(_STORE_SECONDS)
        return {each.topic: each for each in reader.heard() if each.kept}
