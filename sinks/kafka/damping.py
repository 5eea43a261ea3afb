"""Keeps what aiokafka says of connections to one line for each thing it says.

aiokafka 0.14.0 tries a broker that is away dozens of times a second and logs each attempt. What it means to the sink,
the sink reports; what is of interest beside that is which broker, and once. It calls an error what heals, such as a
topic that brokers are about to make: whether somebody must act, the sink says. Used by `sinks.kafka.connection`.
"""

import logging
import time

__all__ = ["LOGGERS", "Damping"]

LOGGERS = ("aiokafka", "aiokafka.cluster", "aiokafka.conn", "aiokafka.producer.producer", "aiokafka.producer.sender")
"""Those of aiokafka: a filter sees no record of a logger below its own."""
_QUIET_SECONDS = 60.0


class Damping(logging.Filter):
    """Lets a line through, as a warning at most, and none like it until it has not been said for a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._said_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is to be logged: a password in plaintext never, since that is said once at start."""
        if record.exc_info:
            return True
        if "in the clear" in str(record.msg):
            return False
        now = time.monotonic()
        self._said_at = {line: at for line, at in self._said_at.items() if now - at < _QUIET_SECONDS}
        line = _line(record)
        new = line not in self._said_at
        self._said_at[line] = now
        if record.levelno > logging.WARNING:
            record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)
        return new and logging.getLogger(record.name).isEnabledFor(record.levelno)


def _line(record: logging.LogRecord) -> str:
    """Give the text, the same for the same brokers in any order."""
    if isinstance(record.args, tuple):
        ordered = (sorted(map(str, one)) if isinstance(one, list) else one for one in record.args)
        return str(record.msg) % tuple(ordered)
    return record.getMessage()
