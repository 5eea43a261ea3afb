"""The main job on real parts: what the hub sends arrives in Kafka and over MQTT, once, in order, byte for byte."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from tests.brokers import Change, Hub, KafkaBroker, MqttBroker, start_hub, start_simulator
from tests.chaos.world import FIRST, opened
from tests.oracle.cloudevents import JavaScriptSdk, python_event
from tests.oracle.hub import HubRecorder
from tests.oracle.judge import Judgement
from tests.oracle.kafka import KafkaReader
from tests.oracle.record import Received, identity_of
from tests.support import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.mqtt, pytest.mark.slow, pytest.mark.timeout(240)]

_BURST, _LATER = 10_000, 200
_ONE_CONNECTION = {"HUB__DOUBT_FIRST_SECONDS": "300", "HUB__DOUBT_LONGEST_SECONDS": "300"}  # also in the silences
_MARKS = len(FIRST)
_SAMPLE = 200


@dataclass(frozen=True, slots=True)
class Job:
    """What a run left behind: the hub's ledger, the judge's verdict, and all that was received."""

    ledger: Sequence[Change]
    recorded: int
    verdict: Judgement
    kafka: Sequence[Received]
    mqtt: Sequence[Received]
    metrics: Mapping[tuple[str, str], float]


def _lag(metrics: Mapping[tuple[str, str], float], sink: str) -> float:
    return metrics["portos_bridge_sink_lag_events", f'sink="{sink}"']


def _run(hub: Hub, kafka: KafkaBroker, mqtt: MqttBroker) -> Job:
    with opened(hub, kafka, mqtt, _ONE_CONNECTION) as world, HubRecorder(hub, FIRST) as recorder:
        load = world.load(_BURST, rate=1000)
        hub.wait_burst(load.number, 60)
        world.arrived(_BURST, 60)
        later = world.load(_LATER)
        hub.wait_burst(later.number, 20)
        world.arrived(_BURST + _LATER)
        wait_until(lambda: not any(_lag(world.bridge.metrics(), sink) for sink in ("kafka", "mqtt")), 10, "all settled")
        metrics = world.bridge.metrics()
        world.finish(later)
        wait_until(lambda: len(recorder.read()) >= _BURST + _LATER + _MARKS, 10, "the second subscriber has it all")
        verdict = world.judge(sent=recorder.by_identity(), connections=2)
        recorded = len(recorder.read())
        return Job(world.lives[-1], recorded, verdict, world.kafka_reader.read(), world.mqtt_reader.read(), metrics)


@pytest.fixture(scope="module", params=[pytest.param("real", marks=pytest.mark.hub), "simulated"])
def job(request: pytest.FixtureRequest, kafka_broker: KafkaBroker, mqtt_broker: MqttBroker) -> Iterator[Job]:
    """10,000 changes at 1,000/s, silence, and 200 more, bridged to both brokers while a second subscriber listens."""
    hub = start_hub() if request.param == "real" else start_simulator("--rate", "0")
    try:
        yield _run(hub, kafka_broker, mqtt_broker)
    finally:
        hub.close()


def test_every_change_arrives_in_both_brokers_once(job: Job) -> None:
    """The hub sent all of them to both subscribers; none is missing, repeated, disordered, altered or invented."""
    assert {change.sent_to for change in job.ledger} == {2}
    assert job.recorded == len(job.ledger) == _BURST + _LATER + _MARKS
    assert job.verdict.faults() == {}
    assert job.verdict.accepted == len(job.ledger)
    assert {name: sink.repeated for name, sink in job.verdict.sinks.items()} == {"kafka": 0, "mqtt": 0}


def test_a_change_goes_to_the_topic_of_its_resource_under_its_id(job: Job) -> None:
    """Consumers find a resource by its topic, and its changes in one partition."""
    identities = [(record, identity_of(record.value)) for record in job.kafka]

    assert all(found and record.topic.endswith(f".{found.resource}") for record, found in identities)
    assert all(found and record.key == found.id.encode() for record, found in identities)
    assert {message.topic.split("/", 1)[1] for message in job.mqtt} == {f"resources/{name}" for name in FIRST}


def test_the_lag_is_zero_once_all_is_delivered(job: Job) -> None:
    """The bridge's own figures agree with the oracle when nothing is on its way."""
    for sink in ("kafka", "mqtt"):
        label = f'sink="{sink}"'
        assert job.metrics["portos_bridge_sink_lag_events", label] == 0
        assert job.metrics["portos_bridge_sink_lag_seconds", label] == 0
        delivered = job.metrics["portos_bridge_sink_delivered_events_total", label]
        assert delivered == _BURST + _LATER + 1, "one is the window before the first start"


def _check(event: Mapping[str, object], received: Received) -> None:
    """Hold an event as an SDK read it against what the notification says."""
    notification = json.loads(received.value)
    payload = notification["p"]
    assert event["type"] == notification["e"]
    assert event["source"] == "/portos/default"
    assert event["subject"] == f"{payload['n']}/{payload['i']['i']}"
    assert event["resourcename"] == payload["n"]
    assert event["resourceid"] == payload["i"]["i"]
    assert event["resourceversion"] == str(payload["i"]["v"])
    assert event["resourceaction"] == "updated"
    assert received.content_type == "application/json"


def test_the_python_sdk_reads_headers_and_user_properties(job: Job) -> None:
    """CloudEvents' own Python SDK makes a valid event of what either broker holds."""
    for received in (*job.kafka[:_SAMPLE], *job.mqtt[:_SAMPLE]):
        event = python_event(received)

        _check(event, received)
        assert event["datacontenttype"] == "application/json"
        assert event["data"] == json.loads(received.value)
        assert event["time"] == datetime.fromisoformat(json.loads(received.value)["ca"])


def test_the_javascript_sdk_reads_headers_and_user_properties(job: Job, pytestconfig: pytest.Config) -> None:
    """CloudEvents' own JavaScript SDK makes a valid event of what either broker holds, by the broker's own binding."""
    sdk = JavaScriptSdk(Path(pytestconfig.cache.mkdir("cloudevents-js")))
    messages = [*job.kafka[:_SAMPLE], *job.mqtt[:_SAMPLE]]

    events = sdk.events(messages)

    assert len(events) == 2 * _SAMPLE
    for event, received in zip(events, messages, strict=True):
        _check(event, received)
        if received.key:  # the SDK's MQTT binding (10.0.0) takes neither the Content Type nor JSON apart
            assert event["datacontenttype"] == "application/json"
        data = event["data"] if received.key else json.loads(event["data"])
        assert data == json.loads(received.value)


@pytest.mark.hub
def test_an_activated_licence_goes_to_its_own_topics(
    hub: Hub, kafka_broker: KafkaBroker, mqtt_broker: MqttBroker
) -> None:
    """The other event of Portos arrives as well, byte for byte, where a consumer of licences looks for it."""
    with opened(hub, kafka_broker, mqtt_broker) as world, HubRecorder(hub, FIRST) as recorder:
        hub.licence()
        wait_until(lambda: world.mqtt_reader.count() == 1, 10, "the licence over MQTT")
        with closing(KafkaReader(kafka_broker.bootstrap, "portos.licence")) as licences:
            wait_until(lambda: recorder.read()[0] in {record.value for record in licences.read()}, 20, "it is in Kafka")

        message = world.mqtt_reader.read()[0]
        assert message.topic.endswith("/licence")
        assert message.attributes["type"] == "portos.licence.activated"
        assert [message.value] == recorder.read()
