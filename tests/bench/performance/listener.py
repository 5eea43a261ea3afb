"""A reader that only counts, as a process: `python -m tests.bench.performance.listener HOST PORT COUNT`.

What the hub gives to it is what a bridge could get at most. It reads the socket and counts the ends of records; frames
are not taken apart. Prints `subscribed`, then one line of JSON when COUNT records have come or none came for a while.
"""

import http.client
import json
import socket
import sys
import time
from dataclasses import asdict

from tests.bench.subscriber import STALL_SECONDS, Seen

__all__ = ["framed", "main"]

_HUB = "/signalr/v1/mainHub"
_EVERYTHING = {"e": "portos.resources.changed", "r": None}
_READ_BYTES = 1 << 20
_END = b"}\x1e"  # in a frame's head only as the length 32,030
_WAIT_SECONDS = 120


def main() -> int:
    """Log in, subscribe, count, and tell."""
    host, port, count = sys.argv[1:]
    with socket.create_connection((host, int(port)), timeout=10) as link:
        _opened(link, host, int(port))
        for record in (
            {"protocol": "json", "version": 1},
            {"type": 1, "target": "Subscribe", "arguments": [_EVERYTHING], "invocationId": "1"},
        ):
            link.sendall(framed(json.dumps(record).encode() + b"\x1e"))
            link.recv(_READ_BYTES)
        print("subscribed", flush=True)
        print(json.dumps(asdict(_counted(link, int(count)))), flush=True)
    return 0


def framed(data: bytes) -> bytes:
    """Make a WebSocket text frame of a client, with a mask that changes nothing (RFC 6455, 5.2)."""
    if len(data) >= 126:
        return b"\x81\xfe" + len(data).to_bytes(2, "big") + bytes(4) + data
    return bytes([0x81, 0x80 | len(data)]) + bytes(4) + data


def _opened(link: socket.socket, host: str, port: int) -> None:
    """Log in, negotiate, and make the connection a WebSocket."""
    calls = http.client.HTTPConnection(host, port, timeout=10)
    login = json.dumps({"UserName": "950", "Password": "secret", "DeviceName": "BENCH"})
    token = _answer(calls, "/api/auth", login, {"Content-Type": "application/json"})["tokenId"]
    bearer = {"Authorization": f"Bearer {token}"}
    identity = _answer(calls, f"{_HUB}/negotiate?negotiateVersion=1", "", bearer)["connectionToken"]
    calls.close()
    head = (
        f"GET {_HUB}?id={identity} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Authorization: Bearer {token}\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    link.sendall(head.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += link.recv(1)
    if b" 101 " not in answer.split(b"\r\n")[0]:
        raise ConnectionError(f"the hub answered {answer[:80]!r}")


def _answer(calls: http.client.HTTPConnection, path: str, body: str, headers: dict[str, str]) -> dict[str, str]:
    calls.request("POST", path, body, headers)
    answer: dict[str, str] = json.loads(calls.getresponse().read())
    return answer


def _counted(link: socket.socket, count: int) -> Seen:
    seen, rest = Seen(), b""
    link.settimeout(_WAIT_SECONDS)
    while seen.count < count:
        try:
            data = link.recv(_READ_BYTES)
        except TimeoutError:
            break
        if not data:
            raise ConnectionError("the hub closed the connection")
        if found := (rest + data).count(_END):
            link.settimeout(STALL_SECONDS)
            seen.last_at = time.time()
            seen.first_at = seen.first_at or seen.last_at
            seen.count += found
            seen.note(seen.last_at)
        rest = data[-1:]
    if seen.count:
        seen.note(seen.last_at, last=True)
    return seen


if __name__ == "__main__":
    sys.exit(main())
