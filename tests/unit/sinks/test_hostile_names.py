"""No name that a hub sends, and no template that is taken at start, leads an event where it does not belong.

The judge here knows what Kafka and MQTT take and nothing of how templates are checked. With `TEST_NIGHTLY=1` (`make
nightly`) there are more than 328,000 names and 100,000 templates for each sink, otherwise a share of both.
"""

import os
import re
from collections.abc import Iterator, Sequence
from functools import cache

import pytest
from pydantic import ValidationError

from bridge.contract import sample
from bridge.errors import Rejected
from bridge.message import Message, percent_encoded
from sinks.kafka.config import KafkaConfig
from sinks.kafka.layout import Layout, segment
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.layout import Topics
from tests.unit.sinks.hostile import KAFKA_KEY, KAFKA_TOPIC, MQTT_TOPIC, names, templates, tuples

NIGHTLY = bool(os.environ.get("TEST_NIGHTLY"))
NAMES, TEMPLATES = (328_000, 100_000) if NIGHTLY else (10_000, 2_000)
BATCHES = 10
LEGAL_TOPIC = re.compile(r"(?!\.{1,2}$|__)[A-Za-z0-9._-]{1,249}")
LEGAL_LEVELS = re.compile(r"[^+#$\x00-\x1f\x7f/]+(?:/[^+#$\x00-\x1f\x7f/]+)*")


@cache
def all_names() -> Sequence[str]:
    return sorted(names(every=NIGHTLY))


def test_there_are_as_many_names_as_are_said() -> None:
    assert len(all_names()) >= NAMES


def test_no_two_names_are_one_in_kafka() -> None:
    """Every segment is legal, bounded, and of one name only."""
    made = {segment(name) for name in all_names()}

    assert len(made) == len(all_names())
    assert all(re.fullmatch(r"[A-Za-z0-9-]{1,200}", each) for each in made)


def test_no_two_names_are_one_on_mqtt() -> None:
    """Every level is legal, bounded, and of one name only."""
    made = {percent_encoded(name) for name in all_names()}

    assert len(made) == len(all_names())
    assert all(re.fullmatch(r"[A-Za-z0-9._~%-]{1,256}", each) for each in made)


@pytest.mark.parametrize(
    ("template", "kept"),
    [("portos.{resource}", {"licence"}), ("portos.{resource}.x", {"bridge", "state"}), ("shop_{resource}", set())],
)
def test_no_name_has_a_topic_of_the_bridge_in_kafka(template: str, kept: set[str]) -> None:
    """But these, which are refused; all others have a legal topic of their own."""
    layout = Layout(topic_template=template, dlq_topic="portos.bridge.dlq")

    made = {name: layout.topic(name) for name in all_names()}

    assert {name for name, topic in made.items() if isinstance(topic, Rejected)} == kept
    topics = {topic for topic in made.values() if isinstance(topic, str)}
    assert len(topics) == len(all_names()) - len(kept)
    assert not [topic for topic in topics if not LEGAL_TOPIC.fullmatch(topic) or _kept_in_kafka(topic)]


@pytest.mark.parametrize(
    ("template", "kept"),
    [
        ("{base}/resources/{resource}", set()),
        ("{base}/{resource}", {"bridge", "state", "licence", "other-events"}),
        ("{base}/{resource}/{resource_id}", {"bridge", "state", "licence", "other-events"}),
    ],
)
def test_no_name_has_a_topic_of_the_bridge_on_mqtt(template: str, kept: set[str]) -> None:
    """But these, which are refused; all others have a legal topic of their own."""
    topics = Topics("portos", "default", template)

    made = {name: _topic(topics, sample(1, resource=name)) for name in all_names()}

    assert {name for name, topic in made.items() if topic is None} == kept
    found = {topic for topic in made.values() if topic is not None}
    assert len(found) == len(all_names()) - len(kept)
    assert not [topic for topic in found if not LEGAL_LEVELS.fullmatch(topic) or _kept_on_mqtt(topic, "portos")]


@pytest.mark.parametrize("seed", range(BATCHES))
def test_no_template_that_kafka_takes_leads_astray(seed: int) -> None:
    """Topics are legal, begin as the template does, are none of the bridge's, and say with the key what it is about."""
    taken = 0
    for template, key in _pairs(seed):
        settings = {
            "bootstrap_servers": "kafka:9092",
            "site": "shop-1",
            "topic_template": template,
            "key_template": key,
        }
        try:
            layout = KafkaConfig.model_validate(settings).layout
        except ValidationError:
            continue
        taken += 1
        first = re.split(r"[._]", template)[0]
        found: dict[tuple[str, bytes], tuple[str, str]] = {}
        for resource, resource_id, action in tuples(12, seed + taken):
            topic = layout.topic(resource)
            if isinstance(topic, Rejected):
                assert topic.target is not None
                assert _kept_in_kafka(topic.target)
                continue
            change = _change(resource, resource_id, action)
            assert LEGAL_TOPIC.fullmatch(topic), (template, topic)
            assert re.split(r"[._]", topic)[0] == first
            assert not _kept_in_kafka(topic)
            other = found.setdefault((topic, layout.key(change)), (resource, resource_id))
            assert other == (resource, resource_id), (template, key)
    assert taken > TEMPLATES / BATCHES / 20


@pytest.mark.parametrize("seed", range(BATCHES))
def test_no_template_that_mqtt_takes_leads_astray(seed: int) -> None:
    """Topics are legal, below what is fixed, none of the bridge's, and never those of other names."""
    taken = 0
    for template in templates(TEMPLATES // BATCHES, seed, MQTT_TOPIC):
        base = ("portos", "portos/{site}", "a/b")[seed % 3]
        try:
            settings = {"url": "mqtt://b", "site": "shop-1", "base_topic": base, "topic_template": template}
            config = MqttConfig.model_validate(settings)
        except ValidationError:
            continue
        taken += 1
        used = [f"{{{name}}}" in template for name in ("resource", "resource_id", "action")]
        first = template.replace("{base}", config.base).replace("{site}", "shop-1").split("/")[0]
        found: dict[str, list[str]] = {}
        for values in tuples(12, seed + taken):
            topic = _topic(config.topics, _change(*values))
            if topic is None:
                continue
            assert LEGAL_LEVELS.fullmatch(topic), (template, topic)
            assert len(topic.encode()) <= 65_535
            assert topic.split("/")[0] == first
            assert not _kept_on_mqtt(topic, config.base)
            named = [value for value, is_used in zip(values, used, strict=True) if is_used]
            assert found.setdefault(topic, named) == named, (template, base)
    assert taken > TEMPLATES / BATCHES / 20


def _pairs(seed: int) -> Iterator[tuple[str, str]]:
    """Draw templates of topics, each with one of a key, of which half are known to be sound."""
    number = TEMPLATES // BATCHES
    keys = templates(number, seed + BATCHES, KAFKA_KEY)
    for place, (topic, key) in enumerate(zip(templates(number, seed, KAFKA_TOPIC), keys, strict=True)):
        yield topic, (key, "{resource_id}", key, "{resource}:{resource_id}")[place % 4]


def _change(resource: str, resource_id: str, action: str) -> Message:
    return Message("id", "portos.resources.changed", resource, resource_id, 1, action, 1.0, None, 1.0, b"")


def _topic(topics: Topics, message: Message) -> str | None:
    try:
        return topics.of(message).decode()
    except Rejected as refusal:
        assert refusal.reason == "reserved_topic"  # noqa: PT017 - the only reason there can be here
        return None


def _kept_in_kafka(topic: str) -> bool:
    plain = topic.replace("_", ".")  # which is how metrics name it, so that Kafka refuses two that differ in it only
    return plain in ("portos.licence", "portos.other-events") or plain.startswith(("portos.bridge.", "portos.state."))


def _kept_on_mqtt(topic: str, base: str) -> bool:
    return bool(re.match(rf"{re.escape(base)}/(bridge|state|licence|other-events)(/|$)", topic))
