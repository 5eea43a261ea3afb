"""Where an event goes on MQTT: legal, confined, and never where another one goes by accident."""

import pytest

from bridge.contract import sample
from bridge.errors import Rejected
from bridge.message import (
    DLQ_REDRIVEN,
    GAP_CLOSED,
    GAP_DETECTED,
    LICENCE_ACTIVATED,
    RESOURCES_CHANGED,
    RESYNC_REQUIRED,
    Message,
)
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.layout import Topics


def message(
    resource: str | None = "tickets", resource_id: str | None = "17", event: str = RESOURCES_CHANGED
) -> Message:
    action = "updated" if resource else None
    return Message("id", event, resource, resource_id, None, action, 1.0, None, 2.0, b"{}")


def topics(**settings: object) -> Topics:
    return MqttConfig.model_validate({"url": "mqtt://broker", **settings}).topics


@pytest.mark.parametrize(
    ("template", "topic"),
    [
        ("{base}/resources/{resource}", b"portos/resources/mPOS%20Link"),
        ("{base}/{site}/{resource}/{resource_id}/{action}", b"portos/default/mPOS%20Link/%7Bsite%7D/updated"),
        ("fixed/r-{resource}", b"fixed/r-mPOS%20Link"),
    ],
)
def test_a_template_is_filled_in_once(template: str, topic: bytes) -> None:
    """Names are encoded, and what looks like a placeholder in one is not filled in."""
    assert topics(topic_template=template).of(message("mPOS Link", "{site}")) == topic


def test_the_log_sees_topics_without_ids() -> None:
    """A topic of a resource is no secret, an id may be: its place stays as it is in the template."""
    made = topics(topic_template="{base}/{resource}/{resource_id}/{action}")

    assert made.shown(sample(1, resource="mPOS Link", resource_id="4711")) == (
        "portos/mPOS%20Link/{resource_id}/updated"
    )
    assert topics().shown(sample(1, resource_id="4711")) == "portos/resources/tickets"
    assert made.shown(message(None, None, GAP_DETECTED)) == "portos/bridge/gap"


@pytest.mark.parametrize("name", ["bridge", "state", "licence", "other-events"])
def test_a_name_that_leads_to_a_reserved_topic_is_rejected(name: str) -> None:
    """No resource can speak as the bridge, whatever the template."""
    for template in ("{base}/{resource}", "{base}/{resource}/{resource_id}"):
        with pytest.raises(Rejected, match="reserved topic") as rejection:
            topics(topic_template=template).of(message(name))

        assert rejection.value.reason == "reserved_topic"


def test_a_name_beside_a_reserved_one_is_taken() -> None:
    """Only the reserved level itself is refused."""
    assert topics(topic_template="{base}/{resource}").of(message("bridges")) == b"portos/bridges"


def test_events_without_a_resource_have_topics_of_their_own() -> None:
    """Licences go to `licence`, anything unknown to `other-events`, as on Kafka."""
    topic_of = topics(base_topic="portos/{site}", site="shop").of

    assert topic_of(message(None, None, LICENCE_ACTIVATED)) == b"portos/shop/licence"
    assert topic_of(message(None, None, "portos.unheard.of")) == b"portos/shop/other-events"
    assert topic_of(message(None, None, RESYNC_REQUIRED)) == b"portos/shop/bridge/resync"
    assert topic_of(message(None, None, GAP_DETECTED)) == b"portos/shop/bridge/gap"
    assert topic_of(message(None, None, GAP_CLOSED)) == b"portos/shop/bridge/gap"
    assert topic_of(message(None, None, DLQ_REDRIVEN)) == b"portos/shop/bridge/dlq"


@pytest.mark.parametrize(
    ("allowed", "taken"),
    [
        ("", ["tickets", "orders", "tickets2"]),
        ("portos/resources/tickets", ["tickets"]),
        ("portos/resources/tickets*", ["tickets", "tickets2"]),
        ("portos/resources/orders,portos/resources/t*", ["tickets", "orders", "tickets2"]),
    ],
)
def test_only_what_is_allowed_has_a_topic(allowed: str, taken: list[str]) -> None:
    """Anything else is rejected, with the reason and where it led; what the bridge says itself always has one."""
    made = topics(topic_allow=allowed)
    found = []

    for name in ("tickets", "orders", "tickets2"):
        try:
            made.of(sample(1, resource=name))
            found.append(name)
        except Rejected as refusal:
            assert (refusal.reason, refusal.target) == ("topic_not_allowed", f"portos/resources/{name}")  # noqa: PT017

    assert found == taken
    assert made.of(message(None, None, GAP_DETECTED)) == b"portos/bridge/gap"
