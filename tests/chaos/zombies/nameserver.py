"""A name server that knows one name (RFC 1035), and may fall silent; and a script whose program asks it.

It listens on port 53 of a loopback address of its own, and a program asks it that runs in a mount namespace of its own
with another `/etc/resolv.conf`: both need root.
"""

import shlex
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Self

from tests.support import unavailable, write_program

__all__ = ["NameServer", "asking"]

_ADDRESS = "127.0.0.53"
_HEADER_BYTES = 12
_A, _IN = 1, 1


class NameServer:
    """Answers every question for an address (A) with the same one, and every other one with nothing."""

    def __init__(self, answer: str) -> None:
        self._answer = socket.inet_aton(answer)
        self.silent = False
        self.answered_at = 0.0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._thread = threading.Thread(target=self._serve, name="name server", daemon=True)

    def __enter__(self) -> Self:
        try:
            self._socket.bind((_ADDRESS, 53))
        except OSError as error:
            unavailable("unshare", f"needs root and port 53 of {_ADDRESS}: {error}")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                question, asker = self._socket.recvfrom(512)
                if not self.silent:
                    self._socket.sendto(self._reply(question), asker)
                    self.answered_at = time.monotonic()
            except OSError:  # it is closed
                return

    def _reply(self, question: bytes) -> bytes:
        end = question.index(0, _HEADER_BYTES) + 1 + 4  # the name ends with an empty label, then type and class
        kind = int.from_bytes(question[end - 4 : end - 2])
        found = kind == _A
        header = question[:2] + b"\x81\x80\0\1" + (b"\0\1" if found else b"\0\0") + bytes(4)
        record = b"\xc0\x0c" + bytes((0, _A, 0, _IN)) + bytes(4) + b"\0\4" + self._answer
        return header + question[_HEADER_BYTES:end] + (record if found else b"")


def asking(folder: Path, program: str) -> str:
    """Write a console script that runs a program as one that asks our name server; gives its path."""
    resolver = folder / "resolv.conf"
    resolver.write_text(f"nameserver {_ADDRESS}\n")
    mount = f"mount --bind {shlex.quote(str(resolver))} /etc/resolv.conf"
    tried = subprocess.run(["unshare", "--mount", "sh", "-c", mount], capture_output=True, text=True, check=False)
    if tried.returncode:
        unavailable("unshare", f"needs root and util-linux: {tried.stderr.strip()}")
    script = f'#!/bin/sh\nexec unshare --mount sh -c \'{mount} && exec "$0" "$@"\' {program} "$@"\n'
    return write_program(folder / "asking", script)
