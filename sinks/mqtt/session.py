"""What paho-mqtt holds of a connection: CONNECT and CONNACK, keep-alive, DISCONNECT; over a pipe instead of a socket.

Used by `sinks.mqtt.sink`, which owns the transport behind the pipe.
"""

import asyncio

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from sinks.mqtt.config import MqttConfig

__all__ = ["Pipe", "Session"]


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
        if config.username:
            self.username_pw_set(config.username, config.password.get_secret_value() if config.password else None)

    def _create_socket(self) -> Pipe:
        return self._pipe
