"""The MQTT sink: publishes every event with QoS 1, over MQTT 5 or 3.1.1."""

from dataclasses import replace
from functools import partial

from bridge.ports import SinkActivity, SinkPlugin
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.description import describe
from sinks.mqtt.explanation import explain
from sinks.mqtt.inspection import inspect
from sinks.mqtt.retaining import state
from sinks.mqtt.starting import connect

__all__ = ["plugin"]


def _observed(activity: SinkActivity) -> SinkPlugin[MqttConfig]:
    return replace(plugin, connect=partial(connect, activity=activity))


plugin = SinkPlugin(
    config=MqttConfig,
    connect=connect,
    explain=explain,
    inspect=inspect,
    describe=describe,
    state=state,
    observed=_observed,
)
