"""A port of this machine that nobody listens on, for what has to be told its port before it starts."""

import socket

__all__ = ["free_port"]


def free_port() -> int:
    """Find one; it is free until somebody takes it."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
