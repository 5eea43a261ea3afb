"""The stdout sink: every event as a line of JSON, for a look at what flows and for the demo."""

from bridge.ports import SinkPlugin
from sinks.stdout.config import StdoutConfig
from sinks.stdout.explanation import explain
from sinks.stdout.sink import connect

__all__ = ["plugin"]

plugin = SinkPlugin(config=StdoutConfig, connect=connect, explain=explain)
