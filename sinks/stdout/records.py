"""What a message becomes on standard output: a line with a CloudEvents event in JSON, the notification as its `data`.

Pure.
"""

from bridge.message import Message, structured

__all__ = ["line"]


def line(message: Message, site: str) -> bytes:
    """Write a message as one line."""
    return structured(message, site) + b"\n"
