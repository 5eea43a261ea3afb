"""CloudEvents' structured mode, as two SDKs read it from the brokers; `test_main_job` has the binary one."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from bridge.blind import Window, resync_required
from bridge.contract import sample
from bridge.message import STRUCTURED_CONTENT_TYPE, attributes
from bridge.ports import SinkPlugin
from sinks.kafka import KafkaConfig
from sinks.kafka import plugin as kafka
from sinks.mqtt import plugin as mqtt
from sinks.mqtt.config import MqttConfig
from tests.brokers import KafkaBroker, MqttBroker
from tests.oracle.cloudevents import JavaScriptSdk, python_event
from tests.oracle.kafka import KafkaReader
from tests.oracle.mqtt import MqttReader
from tests.oracle.record import Received
from tests.support import until

_EVENTS = [
    *(sample(number, resource=name) for number, name in enumerate(("tickets", "mPOS Link", "účty"))),
    resync_required(Window(1.0, 2.0, "closed"), ("tickets",), "default"),
    msgspec.structs.replace(sample(7), expires_at=9e9, flags=(("versionreset", "true"),)),
]


async def _delivered(plugin: SinkPlugin[Any], config: Any) -> None:
    async with plugin.connect(config) as sink:
        assert await sink.deliver(_EVENTS) == [None] * len(_EVENTS)


async def _from_kafka(broker: KafkaBroker) -> Sequence[Received]:
    prefix = f"ce{uuid4().hex}"
    config = KafkaConfig(
        bootstrap_servers=(broker.bootstrap,),
        topic_template=f"{prefix}.{{resource}}",
        ce_mode="structured",
        site=prefix,
    )
    await _delivered(kafka, config)
    windows = [
        found
        for found in KafkaReader(broker.bootstrap, "portos.bridge.gaps", besides="-").read()
        if found.key == prefix.encode()
    ]
    return [*KafkaReader(broker.bootstrap, prefix).read(), *windows]


async def _from_mqtt(broker: MqttBroker) -> Sequence[Received]:
    base = f"ce{uuid4().hex}"
    config = MqttConfig(url=broker.url, client_id=base, base_topic=base, ce_mode="structured", site=base)
    with MqttReader(broker.host, broker.port, f"{base}/#", client_id=f"{base}-reader") as reader:
        await _delivered(mqtt, config)
        await until(lambda: len(reader.everything()) == len(_EVENTS), 5, "all have arrived")
        return reader.everything()


def _check(found: Sequence[Mapping[str, Any]], site: str) -> None:
    """Hold what an SDK has read against what was sent: every attribute and the data."""
    by_id = {event["id"]: event for event in found}
    assert len(found) == len(_EVENTS)
    for message in _EVENTS:
        event = by_id[message.id]
        assert event["data"] == json.loads(message.body)
        for name, text in attributes(message, site):
            if name != "time":  # which both make a moment of
                assert str(event[name]) == text


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(_from_kafka, marks=pytest.mark.kafka, id="kafka"),
        pytest.param(_from_mqtt, marks=pytest.mark.mqtt, id="mqtt"),
    ],
)
async def test_two_sdks_read_the_structured_mode(
    read: Any, request: pytest.FixtureRequest, pytestconfig: pytest.Config
) -> None:
    received = await read(request.getfixturevalue("kafka_broker" if read is _from_kafka else "mqtt_broker"))
    site = json.loads(received[0].value)["source"].removeprefix("/portos/")
    sdk = JavaScriptSdk(Path(pytestconfig.cache.mkdir("cloudevents-js")))

    assert {found.content_type for found in received} == {STRUCTURED_CONTENT_TYPE}
    _check([python_event(found) for found in received], site)
    _check(sdk.events(received), site)
