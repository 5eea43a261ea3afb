"""What the probes answer while hub or brokers are down: no outage elsewhere restarts the pod.

Kafka is away for 15 s; `make test-kubernetes KAFKA_OUTAGE_SECONDS=600` is the long form.
"""

import os
import time
from collections.abc import Iterator

import pytest

from tests.kubernetes.shop import Shop
from tests.support import wait_until

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(1800)]

_KAFKA_OUTAGE_SECONDS = float(os.environ.get("KAFKA_OUTAGE_SECONDS") or 15)
_NOTICED_SECONDS = 45  # a probe that fails twice, 5 s apart, after the bridge has seen the end of the connection


def seen(shop: Shop, seconds: float) -> Iterator[tuple[bool, bool, bool, int]]:
    """Look once a second, or sixty times if that is less: alive, ready, ready in Kubernetes' eyes, restarts."""
    over = time.monotonic() + seconds
    while time.monotonic() < over:
        release = shop.release
        yield release.alive(), release.ready(), release.is_ready(), release.restarts()
        time.sleep(max(1.0, seconds / 60))


def test_a_kafka_outage_changes_neither_readiness_nor_liveness(shop: Shop) -> None:
    """The pod stays ready, MQTT goes on, and what waited is at Kafka afterwards."""
    restarts = shop.release.restarts()

    with shop.load(), shop.kafka_away():
        looks = set(seen(shop, _KAFKA_OUTAGE_SECONDS))
        waiting = shop.release.metrics()["portos_bridge_sink_lag_events", 'sink="kafka"']

    assert looks == {(True, True, True, restarts)}
    assert waiting > 1000
    assert shop.judge().problems == []


def test_an_mqtt_outage_changes_neither_readiness_nor_liveness(shop: Shop) -> None:
    restarts = shop.release.restarts()

    with shop.load(), shop.mqtt_away():
        looks = set(seen(shop, 5))

    assert looks == {(True, True, True, restarts)}
    assert shop.judge().problems == []


def test_a_hub_outage_ends_readiness_and_no_pod(shop: Shop) -> None:
    """/readyz is 503 while the hub is away, Kubernetes sees it, and nobody restarts anything."""
    release, restarts = shop.release, shop.release.restarts()

    with shop.load():
        with shop.hub_away():
            wait_until(lambda: not release.is_ready(), _NOTICED_SECONDS, "the pod is not ready")
            looks = set(seen(shop, 5))
        release.wait_ready()

    assert looks == {(True, False, False, restarts)}
    assert shop.judge().problems == []
