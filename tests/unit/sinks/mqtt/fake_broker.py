"""A broker that says what it is told to: raw MQTT packets over asyncio, for what no real broker does on demand."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Self

__all__ = ["ACCEPTED", "DISCONNECT", "PINGREQ", "PUBLISH", "FakeBroker", "puback"]

CONNECT, PUBLISH, PINGREQ, DISCONNECT = 1, 3, 12, 14
ACCEPTED = b"\x20\x03\x00\x00\x00"


def puback(packet_id: int, code: int = 0) -> bytes:
    """Write a PUBACK of MQTT 5; success needs no reason code."""
    return b"\x40" + bytes([3 if code else 2]) + packet_id.to_bytes(2, "big") + (bytes([code]) if code else b"")


class FakeBroker(asyncio.Protocol):
    """One listener; every connection is this object, and `answer` gives the bytes that follow a PUBLISH.

    `answer` is given the number of the PUBLISH, from 0, and its packet identifier. All that came in one read is counted
    before any of it is answered, so `peak` is the largest number that was in flight.
    """

    def __init__(
        self,
        *,
        connack: bytes = ACCEPTED,
        answer: Callable[[int, int], bytes] = lambda _number, packet_id: puback(packet_id),
        ping: bytes = b"\xd0\x00",
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._context = context
        self.connack, self.answer, self.ping = connack, answer, ping
        self.connect = b""
        self.bodies: list[bytes] = []
        self.published: list[tuple[int, str, bytes]] = []
        """First byte, topic, and properties with the payload of each PUBLISH."""
        self.disconnects: list[bytes] = []
        self.seen: list[int] = []
        self.peak = 0
        self.connections = 0
        self.closed = asyncio.Event()
        self._received = b""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: self, "127.0.0.1", 0, ssl=self._context)
        self.url = f"{'mqtts' if self._context else 'mqtt'}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        if self.connections and not self.closed.is_set():
            self.transport.abort()
            await self.closed.wait()
        await self._server.wait_closed()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.connections += 1
        self._received = b""
        self.closed.clear()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.closed.set()

    def data_received(self, data: bytes) -> None:
        self._received += data
        packets = self._whole_packets()
        published = [body for first, body in packets if first >> 4 == PUBLISH]
        self.peak = max(self.peak, len(published))
        for first, body in packets:
            kind = first >> 4
            self.seen.append(kind)
            if kind == CONNECT:
                self.connect = body
                self.transport.write(self.connack)
            elif kind == PUBLISH:
                self._take(first, body)
            elif kind == PINGREQ:
                self.transport.write(self.ping)
            elif kind == DISCONNECT:
                self.disconnects.append(body)

    def _take(self, first: int, body: bytes) -> None:
        topic_end = 2 + int.from_bytes(body[:2], "big")
        packet_id = int.from_bytes(body[topic_end : topic_end + 2], "big")
        self.bodies.append(body[topic_end + 2 :])
        self.published.append((first, body[2:topic_end].decode(), self.bodies[-1]))
        answer = self.answer(len(self.bodies) - 1, packet_id)
        if answer and not self.transport.is_closing():
            self.transport.write(answer)

    def _whole_packets(self) -> Sequence[tuple[int, bytes]]:
        found = []
        while len(self._received) > 1:
            length, at = 0, 1
            while at < len(self._received):
                length |= (self._received[at] & 0x7F) << 7 * (at - 1)
                at += 1
                if self._received[at - 1] < 0x80:
                    break
            else:
                break
            if len(self._received) < at + length:
                break
            found.append((self._received[0], self._received[at : at + length]))
            self._received = self._received[at + length :]
        return found
