"""A sink of portos-bridge: events as messages of a NATS JetStream stream."""

from bridge.ports import SinkPlugin
from portos_bridge_sink_nats.config import NatsConfig
from portos_bridge_sink_nats.records import explain
from portos_bridge_sink_nats.sink import connect

__all__ = ["plugin"]

plugin = SinkPlugin(config=NatsConfig, connect=connect, explain=explain)
