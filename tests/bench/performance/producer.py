"""A bare producer as a process: `python -m tests.bench.performance.producer kafka|mqtt HOST:PORT TOPIC COUNT SIZE`.

What a broker takes from it is what a bridge could bring there at most: librdkafka with the promises of our sink and
batches of the same size; over MQTT packets and little else, with a thousand of them unacknowledged.
"""

import socket
import sys

from confluent_kafka import Producer

from sinks.kafka.config import KafkaConfig
from tests.bench.packets import connect, publish

__all__ = ["main"]

_KEYS = 1_000
_WINDOW = 1_000
_ACKNOWLEDGEMENT_BYTES = 4
_LARGE_BYTES = 8_388_608


def main() -> int:
    """Send all, and end when all is confirmed."""
    kind, address, topic, count, size = sys.argv[1:]
    send = _to_kafka if kind == "kafka" else _to_mqtt
    send(address, topic, int(count), b"x" * int(size))
    return 0


def _to_kafka(address: str, topic: str, count: int, body: bytes) -> None:
    producer = Producer(
        {
            "bootstrap.servers": address,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "batch.size": KafkaConfig.model_fields["batch_bytes"].default,
            "message.max.bytes": _LARGE_BYTES,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    for number in range(count):
        while True:
            try:
                producer.produce(topic, body, f"{number % _KEYS}")
                break
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)
    producer.flush()


def _to_mqtt(address: str, topic: str, count: int, body: bytes) -> None:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.sendall(connect("bench-producer"))
        link.recv(4)
        sent = confirmed = 0
        while confirmed < count * _ACKNOWLEDGEMENT_BYTES:
            upto = min(count, confirmed // _ACKNOWLEDGEMENT_BYTES + max(2, _WINDOW if len(body) < 100_000 else 0))
            link.sendall(b"".join(publish(topic, number % 65_535 + 1, body) for number in range(sent, upto)))
            sent = max(sent, upto)
            confirmed += len(link.recv(1 << 16))


if __name__ == "__main__":
    sys.exit(main())
