"""What paho-mqtt holds of a connection: CONNECT with the will, keep-alive, DISCONNECT; over a pipe instead of a socket.

Used by `sinks.mqtt.sink`, which owns the transport behind the pipe.
"""

import asyncio

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from bridge.ports import OFFLINE
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.notices import CONTENT_TYPE, notice_topic

__all__ = ["Pipe", "Session"]

_WITH_WILL = 0x04  # 5.0, 3.14.2.1


class Pipe:
    """What paho-mqtt takes for its socket: one packet at a time in, anything out."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._unread = b""

    def offer(self, packet: bytes) -> None:
        """Give the packet that paho-mqtt is to read next."""
        self._unread += packet

    def recv(self, size: int) -> bytes:
        """Read as a socket that never blocks."""
        if not self._unread:
            raise BlockingIOError
        read, self._unread = self._unread[:size], self._unread[size:]
        return read

    def send(self, data: bytes | bytearray) -> int:
        """Send as a socket that takes everything."""
        self._transport.write(data)
        return len(data)

    def close(self) -> None:
        """Close without waiting for a peer that does not read."""
        if self._transport.is_closing():  # that of TLS cannot be asked for its buffer any more
            return
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    def fileno(self) -> int:
        """Say that there is nothing to select on."""
        return -1

    def setblocking(self, _flag: bool) -> None:  # noqa: FBT001 - the signature of a socket
        """Stay as it is."""


class Session(Client):
    """paho-mqtt's client for one connection, on a pipe that is open already."""

    def __init__(self, config: MqttConfig, pipe: Pipe) -> None:
        newest = config.version == "5"
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=config.client_name,
            clean_session=None if newest else True,
            protocol=MQTTProtocolVersion.MQTTv5 if newest else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        self._pipe = pipe
        self._newest = newest
        if config.announce:
            topic = notice_topic(config, OFFLINE.name)
            self.will_set(
                topic, OFFLINE.body, qos=1, retain=OFFLINE.kept, properties=_will_properties() if newest else None
            )
        if config.username:
            self.username_pw_set(config.username, config.password.get_secret_value() if config.password else None)

    def leave(self, *, with_will: bool) -> None:
        """Send DISCONNECT, but over 3.1.1 nothing where the broker is to publish the will: there it would delete it."""
        if not with_will:
            self.disconnect()
        elif self._newest:
            self.disconnect(reasoncode=ReasonCode(PacketTypes.DISCONNECT, identifier=_WITH_WILL))

    def _create_socket(self) -> Pipe:
        return self._pipe


def _will_properties() -> Properties:
    properties = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]  # paho-mqtt leaves it untyped
    properties.ContentType = CONTENT_TYPE
    return properties
