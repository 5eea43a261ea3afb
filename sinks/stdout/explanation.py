"""What the stdout sink would write for a message. Pure; asked by `portos-bridge explain`."""

from bridge.message import Message
from bridge.ports import Explanation
from sinks.stdout.config import StdoutConfig
from sinks.stdout.records import line

__all__ = ["explain"]


def explain(config: StdoutConfig, message: Message) -> Explanation:
    """Give the line, without its end."""
    return Explanation("standard output", line(message, config.site)[:-1])
