"""A quick MQTT subscriber as a process: `python -m tests.bench.subscriber HOST PORT FILTER WARM COUNT SAMPLED`.

Prints `subscribed`, then `warm` when WARM messages have come, then one line of JSON when COUNT more have come or
nothing has come for a while: their number, the moments of the first and of the last, and the latencies if SAMPLED is 1.
"""

import json
import socket
import sys
import time
from dataclasses import asdict, dataclass, field

from tests.bench.packets import connect, created_at, publications, publish, subscribe

__all__ = ["Seen", "ceiling", "main"]

_READ_BYTES = 1 << 20
_APART_SECONDS = 0.001
STALL_SECONDS = 10.0


@dataclass(slots=True)
class Seen:
    """What came after the warm-up; latencies in seconds."""

    count: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    latencies: list[float] = field(default_factory=list)
    curve: list[tuple[float, int]] = field(default_factory=list)
    """How many had come at a moment, taken at most once a millisecond."""

    def note(self, now: float, *, last: bool = False) -> None:
        """Add a point to the curve if it is time for one, or if it is the last."""
        if last or not self.curve or now - self.curve[-1][0] >= _APART_SECONDS:
            self.curve.append((now, self.count))


def main() -> int:
    """Subscribe, count, and tell."""
    host, port, topic_filter, warm, count, sampled = sys.argv[1:]
    with socket.create_connection((host, int(port)), timeout=10) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.sendall(connect(f"bench-{time.monotonic_ns()}"))
        if link.recv(4)[3:] != b"\x00":
            raise ConnectionError("the broker refused the subscriber")
        link.sendall(subscribe(topic_filter))
        if link.recv(5)[:1] != b"\x90":
            raise ConnectionError("the broker refused the subscription")
        print("subscribed", flush=True)
        print(json.dumps(asdict(_watch(link, int(warm), int(count), sampled=sampled == "1"))), flush=True)
    return 0


def _watch(link: socket.socket, warm: int, count: int, *, sampled: bool) -> Seen:
    link.settimeout(None)
    seen, number, rest = Seen(), 0, b""
    while number < warm + count:
        try:
            data = rest + link.recv(_READ_BYTES)
        except TimeoutError:
            break
        now = time.time()
        if len(data) == len(rest):
            raise ConnectionError("the broker closed the connection")
        found, acknowledgements, used = publications(data)
        rest = data[used:]
        if not found:
            continue
        link.sendall(acknowledgements)
        fresh = found[max(warm - number, 0) :]
        if number < warm <= number + len(found):
            print("warm", flush=True)
            link.settimeout(STALL_SECONDS)
        number += len(found)
        if fresh:
            seen.first_at = seen.first_at or now
            seen.last_at = now
            seen.count += len(fresh)
            if sampled:
                seen.latencies += [now - created_at(data, start, end) for start, end in fresh]
            seen.note(now)
    if seen.count:
        seen.note(seen.last_at, last=True)
    return seen


def ceiling(size: int = 1000, count: int = 20_000) -> float:
    """Tell how many messages a second the subscriber's own code takes, without a socket."""
    data = publish("portos/resources/tickets", 1, b"x" * size) * count
    started, at = time.perf_counter(), 0
    while at < len(data):
        at += publications(data[at : at + 65_536])[2]
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    sys.exit(main())
