"""One connection to an MQTT broker as a sink: asyncio moves the bytes, paho-mqtt holds the session, the window is ours.

paho-mqtt does what happens rarely and is intricate: CONNECT and CONNACK, keep-alive, DISCONNECT. What happens for every
event, PUBLISH and PUBACK, passes it by (README.md, "Why not publish()"). Everything runs on the event loop, so that an
acknowledgement can never be seen before its packet identifier is known. Opened by `sinks.mqtt.starting`.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from bridge.errors import Rejected, TooLarge, Unavailable
from bridge.message import Message
from bridge.ports import Outcome, Shed, SinkActivity
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.meaning import (
    NO_SUBSCRIBERS,
    connect_refused,
    disconnected,
    ended,
    given_up,
    other_protocol,
    publish_outcome,
)
from sinks.mqtt.records import LARGEST_PACKET_BYTES, acknowledged, fitted, packet_builder, packets
from sinks.mqtt.session import Pipe, Session
from sinks.mqtt.turn import Turns

__all__ = ["MqttSink"]

_TICK_SECONDS = 1.0
_WRITE_BYTES = 65_536
_LAST_PACKET_ID = 0xFFFF
_LARGEST_WINDOW_OF_3_1_1 = 100
"""Of what is not confirmed yet many brokers take no more of a client, and over 3.1.1 they cannot say so."""
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux only


def _shown_topic(config: MqttConfig, message: Message) -> str:
    return config.topics.shown(message)


class _Delivery:
    """One batch on its way: what is not in `outcomes` yet is either in flight or not sent."""

    def __init__(self, batch: Sequence[Message], turns: Turns, finished: asyncio.Future[None]) -> None:
        self.batch = batch
        self.turns = turns
        self.finished = finished
        self.outcomes: dict[int, Outcome] = {}
        self.in_flight: dict[int, int] = {}
        self.shed: dict[int, Shed] = {}

    def on_the_way(self) -> list[Message]:
        return [self.batch[index] for index in self.in_flight.values()]

    def check(self) -> None:
        if len(self.outcomes) == len(self.batch) and not self.finished.done():
            self.finished.set_result(None)


class MqttSink(asyncio.Protocol):
    """A sink over one connection, with a sliding window of publications."""

    packets_of: Callable[[MqttConfig, int], Callable[[Message, int, float], bytes]] = staticmethod(packet_builder)
    """Gives what turns messages into packets, for settings and the largest packet that both sides allow."""
    shown_topic: Callable[[MqttConfig, Message], str] = staticmethod(_shown_topic)
    """Names the topic of a message for the log."""

    def __init__(
        self, config: MqttConfig, loop: asyncio.AbstractEventLoop, activity: SinkActivity | None = None
    ) -> None:
        self._config = config
        self._loop = loop
        self._activity = activity or SinkActivity()
        self._answered = asyncio.Event()
        self._closed = asyncio.Event()
        self._lost: Unavailable | None = None
        self._delivery: _Delivery | None = None
        self._aside: tuple[int, asyncio.Future[int]] | None = None
        self._present = False
        self._last_packet_id = 0
        self._received = b""
        self._paused = False
        self._window = 1
        self._largest_window = config.window_events
        if config.version != "5":
            self._largest_window = min(self._largest_window, _LARGEST_WINDOW_OF_3_1_1)
        self._largest_packet_bytes = LARGEST_PACKET_BYTES
        self._retains = True
        self._packet: Callable[[Message, int, float], bytes]

    async def accepted(self) -> None:
        """Wait until the broker has answered CONNECT; raise `Unavailable` if it refused."""
        await self._answered.wait()
        if self._lost is not None:
            raise self._lost

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Publish a batch, at most a window at once, until all of it is acknowledged or the connection is lost."""
        if self._lost is not None:
            raise self._lost
        # MQTT 3.1.1 cannot refuse a message, so nothing can be taken behind one that is.
        turns = Turns(batch, together=self._config.version != "5")
        delivery = self._delivery = _Delivery(batch, turns, self._loop.create_future())
        self._publish(delivery)
        await delivery.finished
        open_outcome = self._lost
        return [delivery.outcomes.get(index, open_outcome) for index in range(len(batch))]

    async def publish_aside(self, packet_of: Callable[[int], bytes]) -> int:
        """Publish what is no event, between two batches; give the reason code of its PUBACK, or raise `Unavailable`."""
        if self._lost is not None:
            raise self._lost
        self._delivery = None  # where one was cancelled, nothing more of it is sent
        packet_id = self._next_packet_id()
        answered: asyncio.Future[int] = self._loop.create_future()
        self._aside = packet_id, answered
        self._transport.write(packet_of(packet_id))
        return await answered

    async def close(self) -> None:
        """Send DISCONNECT if there is still anyone to send it to, and drop the connection."""
        self._session.leave(with_will=self._present)
        self._pipe.close()
        await self._closed.wait()

    def _publish(self, delivery: _Delivery) -> None:
        """Send as much of a batch as window and transport take now."""
        now = time.time()
        written: list[bytes] = []
        size = 0
        batch, in_flight, turns = delivery.batch, delivery.in_flight, delivery.turns
        while turns.ready and len(in_flight) < self._window and not self._paused:
            index = turns.take()
            packet_id = self._next_packet_id()
            try:
                packet, shed = fitted(self._packet, batch[index], packet_id, now, sheds=self._config.sheds)
            except Rejected as error:
                delivery.outcomes[index] = error
                turns.answered(index)
                continue
            if shed is not None:
                delivery.shed[index] = shed
            in_flight[packet_id] = index
            written.append(packet)
            size += len(packet)
            if size >= _WRITE_BYTES:
                self._transport.write(b"".join(written))  # writelines() of Python 3.12 and 3.13 never asks to pause
                written, size = [], 0
        if written:
            self._transport.write(b"".join(written))
        delivery.check()

    def _next_packet_id(self) -> int:
        self._last_packet_id = self._last_packet_id % _LAST_PACKET_ID + 1
        return self._last_packet_id

    def _confirm(self, delivery: _Delivery | None, packet_id: int, code: int) -> None:
        index = None if delivery is None else delivery.in_flight.pop(packet_id, None)
        if delivery is None or index is None:
            if self._aside is not None and self._aside[0] == packet_id and not self._aside[1].done():
                self._aside[1].set_result(code)
            return  # not ours; a broker that acknowledges what was never sent does no harm
        if code == NO_SUBSCRIBERS:
            self._activity.unheard_events += 1
        outcome = self._outcome(code, delivery.batch[index]) if code else None
        delivery.outcomes[index] = outcome or delivery.shed.get(index)
        if isinstance(outcome, TooLarge):  # it goes again, and the next of its resource must not be before it
            self._lose(Unavailable(f"not confirmed when {outcome}", reason="too_large", at_once=True))
        elif not isinstance(outcome, Unavailable):
            if self._window < self._largest_window:
                self._window += 1
            if delivery.turns.behind:
                delivery.turns.answered(index)
        else:
            text = f"not confirmed when the connection was given up: {outcome}"
            # Only the message that was refused may be buried for it.
            self._lose(Unavailable(text, reason=outcome.reason, hold=outcome.hold, slowly=outcome.slowly))

    def _outcome(self, code: int, message: Message) -> Outcome:
        return publish_outcome(code, partial(self.shown_topic, self._config, message))

    def _blame(self, error: TooLarge) -> None:
        """Note the end of the connection for the size of the only message on its way."""
        if self._delivery is not None:
            self._delivery.outcomes.update(dict.fromkeys(self._delivery.in_flight.values(), error))
        self._lose(Unavailable(str(error), reason="too_large", at_once=True))

    def _lose(self, error: Unavailable) -> None:
        """Note the end of the connection; the first reason is the true one."""
        if self._lost is not None:
            return
        self._lost = error
        self._answered.set()
        if self._delivery is not None and not self._delivery.finished.done():
            self._delivery.finished.set_result(None)
        if self._aside is not None and not self._aside[1].done():
            self._aside[1].set_exception(error)

    # asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send CONNECT over the new connection."""
        self._transport = cast("asyncio.Transport", transport)
        self._socket: socket.socket | None = transport.get_extra_info("socket")
        self._pipe = Pipe(self._transport)
        self._session = session = Session(self._config, self._pipe)
        session.on_connect = self._on_connect
        session.on_disconnect = self._on_disconnect
        self._timer = self._loop.call_later(_TICK_SECONDS, self._tick)
        clean: dict[str, Any] = {"clean_start": True} if self._config.version == "5" else {}
        session.connect(self._config.host, self._config.port, self._config.keepalive_seconds, **clean)

    def data_received(self, data: bytes) -> None:
        """Take acknowledgements, and leave any other packet to paho-mqtt."""
        # Mosquitto leaves Nagle's algorithm on: without our ACK at once the end of a window waits 40 ms for it.
        # The kernel forgets this option at will (tcp(7)), so it is set again and again.
        if _QUICK_ACK is not None and self._socket is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
        try:
            whole, self._received = packets(self._received + data)
        except ValueError as error:
            self._lose(Unavailable(f"the broker does not speak MQTT: {error}", reason="protocol"))
            self._transport.abort()
            return
        delivery = self._delivery
        for packet in whole:
            acknowledgement = acknowledged(packet)
            if acknowledgement is None:
                if not self._answered.is_set() and (foreign := other_protocol(packet)):
                    self._lose(foreign)
                    self._transport.abort()
                    return
                self._pipe.offer(packet)
                self._session.loop_read()
            else:
                self._confirm(delivery, *acknowledgement)
        if delivery is not None and self._lost is None:
            self._publish(delivery)

    def pause_writing(self) -> None:
        """Stop publishing while the broker does not read."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on with the next acknowledgement: what stopped the sink is in flight, so one will come."""
        self._paused = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up what is not confirmed."""
        on_the_way = [] if self._delivery is None else self._delivery.on_the_way()
        alone_bytes = len(on_the_way[0].body) if len(on_the_way) == 1 else 0
        answered, version = self._answered.is_set(), self._config.version
        self._lose(ended(exc, answered=answered, version=version, alone_bytes=alone_bytes))
        self._timer.cancel()
        self._closed.set()

    # paho-mqtt calls these

    def _tick(self) -> None:
        self._timer = self._loop.call_later(_TICK_SECONDS, self._tick)
        self._session.loop_misc()

    def _on_connect(
        self, _client: Client, _userdata: object, _flags: ConnectFlags, code: ReasonCode, limits: Properties | None
    ) -> None:
        if code.is_failure:
            self._lose(connect_refused(code.value, str(code)))
            return
        if getattr(limits, "MaximumQoS", 1) < 1:
            self._lose(Unavailable("the broker takes QoS 0 only, which confirms nothing", reason="protocol", hold=True))
            return
        self._largest_window = min(self._largest_window, getattr(limits, "ReceiveMaximum", self._largest_window))
        own_limit = self._config.max_packet_bytes or LARGEST_PACKET_BYTES
        self._largest_packet_bytes = min(own_limit, getattr(limits, "MaximumPacketSize", own_limit))
        self._retains = bool(getattr(limits, "RetainAvailable", 1))
        self._packet = self.packets_of(self._config, self._largest_packet_bytes)
        self._answered.set()

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: object,
        flags: DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            delivery = self._delivery
            alone = delivery is not None and len(delivery.in_flight) == 1
            match disconnected(code.value, str(code), alone=alone):
                case TooLarge() as error:
                    self._blame(error)
                case error:
                    self._lose(error)
        else:
            self._lose(given_up(code.value, str(code)))
