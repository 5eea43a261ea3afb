"""What a check says of rights that nobody can ask an MQTT broker for."""

import pytest

from bridge.message import LICENCE_ACTIVATED, RESOURCES_CHANGED, RESYNC_REQUIRED, example
from sinks.mqtt import plugin
from sinks.mqtt.config import MqttConfig

EVENTS = [example(RESOURCES_CHANGED, "tickets"), example(LICENCE_ACTIVATED), example(RESYNC_REQUIRED)]
ALWAYS = ["portos/bridge/resync", "portos/licence"]
NOTICES = [f"portos/bridge/{kind}" for kind in ("health", "info", "state")]


@pytest.mark.parametrize(
    ("settings", "topics"),
    [
        ({}, [*ALWAYS, *NOTICES, "portos/resources/tickets"]),
        ({"announce": False}, [*ALWAYS, "portos/resources/tickets"]),
        (
            {"announce": False, "topic_template": "{base}/by-id/{resource}/{resource_id}"},
            [*ALWAYS, "portos/by-id/tickets/{resource_id}"],
        ),
        (
            {"announce": False, "state_topic_template": "{base}/state/{resource}/{resource_id}"},
            [*ALWAYS, "portos/bridge/marker", "portos/resources/tickets", "portos/state/tickets/{resource_id}"],
        ),
        ({"announce": False, "topic_allow": "portos/resources/orders"}, ALWAYS),
    ],
    ids=["all", "no notices", "by id", "states", "not allowed"],
)
async def test_the_rights_that_cannot_be_tried_are_named(settings: dict[str, object], topics: list[str]) -> None:
    config = MqttConfig.model_validate({"url": "mqtt://broker", **settings})
    assert plugin.inspect is not None

    (finding,) = [finding async for finding in plugin.inspect(config, EVENTS, create=False)]

    assert finding.rank == "warning"
    assert finding.text.partition("it needs the right to ")[2] == ", ".join(sorted(topics))
