"""The whole oracle on a bridge without a journal: what it loses must be found, or the fault runs prove nothing."""

import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.brokers import Hub, KafkaBroker, MqttBroker
from tests.brokers.process import Program
from tests.chaos.world import FIRST
from tests.oracle.judge import judge
from tests.oracle.kafka import KafkaReader
from tests.oracle.mqtt import MqttReader
from tests.oracle.published import ANYTHING
from tests.support import require, wait_until

pytestmark = [pytest.mark.hub, pytest.mark.kafka, pytest.mark.mqtt, pytest.mark.peers, pytest.mark.slow]

_COUNT = 2000


def test_a_bridge_without_a_journal_is_found_out(
    hub: Hub, faulty_kafka: KafkaBroker, faulty_mqtt: MqttBroker, tmp_path: Path
) -> None:
    """The .NET peer is killed while Kafka is frozen: what MQTT has and Kafka never gets is missing there."""
    broker = f"{faulty_mqtt.host}:{faulty_mqtt.port}"
    command = [require("peers", "TEST_DOTNET_BRIDGE"), "--url", hub.url]
    peer = Program([*command, "--kafka", faulty_kafka.bootstrap, "--mqtt", broker], tmp_path / "peer.log")
    with (
        closing(KafkaReader(faulty_kafka.bootstrap, contents=ANYTHING)) as kafka,
        MqttReader(faulty_mqtt.host, faulty_mqtt.port, client_id="oracle-peer", contents=ANYTHING) as mqtt,
    ):
        peer.start(lambda: "subscribed" in peer.output(), 20)
        hub.burst(_COUNT, rate=400, resources=FIRST)
        wait_until(lambda: mqtt.count() >= _COUNT // 4, 20, "the load has begun")
        wait_until(lambda: kafka.count() >= 1, 20, "Kafka has some of it")
        faulty_kafka.pause()
        frozen = mqtt.count()
        wait_until(lambda: mqtt.count() >= frozen + 400, 20, "MQTT goes on")
        peer.kill()
        killed = time.time()
        faulty_kafka.resume()

        ledger = [change for change in hub.ledger() if change.at < killed + 1]
        verdict = judge([ledger, []], {"kafka": kafka.read(), "mqtt": mqtt.read()}, tail_seconds=1)

    assert len(verdict.sinks["kafka"].missing) >= 300
    assert set(verdict.faults()) == {"kafka"}
