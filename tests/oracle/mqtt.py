"""An independent MQTT 5 consumer with a session that outlives its connections."""

import threading
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Self

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.oracle.publication import Publication, publication
from tests.oracle.published import NOTIFICATIONS, check
from tests.oracle.record import Identity, Received, identities
from tests.support import wait_until

__all__ = ["MqttReader"]

_OWN_LEVEL = "/bridge/"
_NOTICES = tuple(f"{_OWN_LEVEL}{name}" for name in ("state", "info", "health"))
_LONGEST_SECONDS = 600.0
_POLL_SECONDS = 0.05


class _Client(Client):
    """paho-mqtt's client, but for PUBLISH, which it reads too slowly (`tests.oracle.publication`)."""

    def __init__(self, client_id: str, take: Callable[[Publication], None]) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5)
        self._take = take

    def _handle_publish(self) -> MQTTErrorCode:
        try:
            read = publication(self._in_packet["command"] & 0x0F, bytes(self._in_packet["packet"]))
        except ValueError:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        self._take(read)
        return self._send_puback(read.packet_id) if read.packet_id else MQTTErrorCode.MQTT_ERR_SUCCESS


class MqttReader:
    """Collects everything a broker publishes below some filters, in the order of arrival, until it is left.

    The session is kept by the broker (Session Expiry one hour): what is published while the reader is away comes when
    it is back, and comes flagged when it comes again. Where a broker is killed take QoS 0, which our own brokers queue
    as well: a reader that still owes acknowledgements to a dead broker drops what it had not yet read from the socket.

    Leaving it is an AssertionError when something arrived that is no published event; `contents` are what
    `EVENT__CONTENT` may have been.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *filters: str,
        client_id: str = "oracle",
        qos: int = 1,
        retained: bool = False,
        contents: Sequence[str] = NOTIFICATIONS,
    ) -> None:
        self._contents = contents
        self._wrong: list[str] = []
        self._qos = qos
        self._retained = retained
        self._filters = filters or ("portos/#",)
        self._found: list[Received] = []
        self._own: list[Received] = []
        self._notices: list[Received] = []
        self._everything: list[Received] = []
        self._lock = threading.Lock()
        self._subscribed = threading.Event()
        self._client = _Client(client_id, self._on_message)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.reconnect_delay_set(1, 1)
        self._address = (host, port)

    def __enter__(self) -> Self:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        properties.SessionExpiryInterval = 3600
        self._client.connect(*self._address, clean_start=False, properties=properties)
        self._client.loop_start()
        wait_until(self._subscribed.is_set, 10, "the oracle has subscribed")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        if kind is None:
            assert not self._wrong, f"{len(self._wrong)} messages are no published events: {self._wrong[0]}"

    def _on_connect(self, client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if not reason.is_failure:
            client.subscribe([(name, _options(self._qos, retained=self._retained)) for name in self._filters])

    def _on_subscribe(self, _client: Client, _data: Any, _mid: int, _reasons: Any, _properties: Any) -> None:
        self._subscribed.set()

    def _on_message(self, read: Publication) -> None:
        received = Received(
            stream="mqtt",
            topic=read.topic,
            key=None,
            value=read.payload,
            attributes=read.attributes,
            content_type=read.content_type,
            at=time.time(),
            redelivered=read.again,
        )
        try:
            check(received, self._contents)
        except AssertionError as error:  # which would end the thread of the client, and nothing else
            self._wrong.append(str(error))
        with self._lock:
            if read.topic.endswith(_NOTICES):
                self._notices.append(received)
                return
            self._everything.append(received)
            (self._own if _OWN_LEVEL in read.topic else self._found).append(received)

    def wait_for(self, wanted: AbstractSet[Identity], since: int = 0, quiet_seconds: float = 60) -> None:
        """Wait until all of these have arrived, behind the first `since`, for as long as others do.

        A busy reader may be far behind its broker: what is not there yet is lost only when no other change comes for
        `quiet_seconds`, or when there is no end of them for ten minutes.
        """
        missing, at = set(wanted), since
        begun = heard = time.monotonic()
        while missing:
            with self._lock:
                come = self._found[at:]
            at += len(come)
            missing -= identities(come)
            now = time.monotonic()
            heard = now if come else heard
            if missing and (now - heard > quiet_seconds or now - begun > _LONGEST_SECONDS):
                few = sorted(missing)[:3]
                text = f"{len(missing)} changes have not arrived over MQTT, among them {few}, and"
                raise AssertionError(f"{text} {now - heard:.1f} s without any other, after {at} in {now - begun:.0f} s")
            time.sleep(_POLL_SECONDS)

    def read(self) -> list[Received]:
        """Give what has arrived so far, but not the bridge's own events."""
        with self._lock:
            return list(self._found)

    def take(self) -> list[Received]:
        """Give what `read` gives and forget all that has arrived: for runs that no memory could hold."""
        with self._lock:
            taken, self._found, self._own, self._everything = self._found, [], [], []
            return taken

    def own(self) -> list[Received]:
        """Give the bridge's own events that have arrived so far, but not its notices."""
        with self._lock:
            return list(self._own)

    def notices(self) -> list[Received]:
        """Give what the bridge says of itself, which is no event, as far as it has arrived."""
        with self._lock:
            return list(self._notices)

    def everything(self) -> list[Received]:
        """Give both kinds of events in the order in which they have arrived so far."""
        with self._lock:
            return list(self._everything)

    def last(self, number: int) -> list[Received]:
        """Give the last few that have arrived so far."""
        with self._lock:
            return self._found[-number:]

    def count(self) -> int:
        """Count what has arrived so far."""
        with self._lock:
            return len(self._found)


def _options(qos: int, *, retained: bool) -> Any:
    from paho.mqtt.subscribeoptions import SubscribeOptions

    # Retained messages of an earlier run are none of this one's, unless they are what is asked for.
    never, at_once = SubscribeOptions.RETAIN_DO_NOT_SEND, SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE
    return SubscribeOptions(qos=qos, retainHandling=at_once if retained else never)
