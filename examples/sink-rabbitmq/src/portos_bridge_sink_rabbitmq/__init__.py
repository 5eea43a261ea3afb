"""A sink of portos-bridge: events as messages of a RabbitMQ exchange."""

from bridge.ports import SinkPlugin
from portos_bridge_sink_rabbitmq.config import RabbitConfig
from portos_bridge_sink_rabbitmq.records import explain
from portos_bridge_sink_rabbitmq.sink import connect

__all__ = ["plugin"]

plugin = SinkPlugin(config=RabbitConfig, connect=connect, explain=explain)
