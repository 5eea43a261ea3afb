"""The settings of the stdout sink: there are none but those of every sink.

Pure.
"""

from bridge.settings import SinkConfig

__all__ = ["StdoutConfig"]


class StdoutConfig(SinkConfig):
    """Nothing to set; `WINDOW_EVENTS` bounds how many lines are written at once."""
