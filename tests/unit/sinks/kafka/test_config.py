"""The settings of the Kafka sink refuse what could not work, and say why."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

import sinks.kafka
from bridge.settings.base import INHERITED
from bridge.settings.reference import variables
from sinks.kafka.config import KafkaConfig


def config(**values: object) -> KafkaConfig:
    return KafkaConfig.model_validate({"bootstrap_servers": "localhost:9092"} | values)


def test_one_variable_is_enough() -> None:
    """Everything but the brokers' addresses has a default."""
    made = config()

    assert made.bootstrap_servers == ("localhost:9092",)
    assert (made.topic_template, made.window_events) == ("portos.{resource}", 1000)


def test_several_brokers_are_written_with_commas() -> None:
    """Spaces do not matter, and IPv6 addresses stand in brackets."""
    assert config(bootstrap_servers="a:1, [::1]:2").bootstrap_servers == ("a:1", "[::1]:2")


@pytest.mark.parametrize(
    ("servers", "reason"),
    [
        ("", "at least 1"),
        ("kafka", "host:port"),
        ("kafka:", "host:port"),
        ("kafka:0", "host:port"),
        ("kafka:65536", "host:port"),
        ("kafka://kafka:9092", "without a scheme"),
        ("a:1,b", "host:port"),
    ],
)
def test_addresses_are_checked(servers: str, reason: str) -> None:
    """What is no host and port is refused."""
    with pytest.raises(ValidationError, match=reason):
        config(bootstrap_servers=servers)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("portos.{action}", "would not stay in one partition"),
        ("portos.{resource}.{resource_id}", "would not stay in one partition"),
        ("portos.{base}", "only {resource}, {site} can be filled in"),
        ("portos.{resource.__class__}", "can be filled in"),
        ("portos.{}", "can be filled in"),
        ("portos.{{resource}}", "can be filled in"),
        ("portos.{resource", "can be filled in"),
        ("portos.resource}", "can be filled in"),
        ("portos.{site}{resource}", "need a dot or an underscore between them"),
        ("portos.{site}-{resource}", "need a dot or an underscore between them"),
        ("portos.{resource}.{resource}", "0 fit"),
        ("__transaction_state", "begin with a literal"),
        ("_x", "begin with a literal"),
        ("{resource}", "begin with a literal"),
        ("{site}.{resource}", "begin with a literal"),
        ("portos{resource}", "begin with a literal"),
        ("portos/{resource}", "made of"),
        ("portos.#.{resource}", "made of"),
        ("portos..{resource}", "empty segment"),
        (".{resource}", "empty segment"),
        ("portos.{resource}.", "empty segment"),
        ("", "empty segment"),
        ("my_shop.{resource}", "both '.' and '_'"),
        ("portos.{site}_{resource}", "both '.' and '_'"),
        ("p" * 60 + ".{resource}", "49 fit"),
        ("portos.bridge.{resource}", "keeps for itself"),
        ("portos.state.{resource}", "keeps for itself"),
        ("portos.licence", "keeps for itself"),
        ("portos.other-events", "keeps for itself"),
        ("portos_licence", "keeps for itself"),
        ("portos_state_{resource}", "keeps for itself"),
    ],
)
def test_a_template_is_checked(template: str, reason: str) -> None:
    """A template that no broker would take, or that lets a name choose too much, is refused with the reason."""
    with pytest.raises(ValidationError, match=reason):
        config(topic_template=template)


@pytest.mark.parametrize(
    "template", ["portos.{resource}", "portos.{site}.{resource}", "portos_{resource}", "a-b.{resource}"]
)
def test_a_sound_template_passes(template: str) -> None:
    """Templates with either or both placeholders are taken, and dots or underscores between."""
    assert config(topic_template=template).topic_template == template


@pytest.mark.parametrize(
    "key", ["{resource}:{resource_id}", "{resource_id}/{resource}", "{site}:{resource}:{resource_id}"]
)
def test_all_events_may_have_one_topic(key: str) -> None:
    """Where the key says which resource it is."""
    assert config(topic_template="shop.events", key_template=key).key_template == key


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "should hold {resource_id}"),
        ("{resource}", "should hold {resource_id}"),
        ("{site}", "should hold {resource_id}"),
        ("{resource_id}:{action}", "would not stay in one partition"),
        ("{base}:{resource_id}", "only {resource}, {resource_id}, {site} can be filled in"),
        ("{resource_id", "can be filled in"),
        ("{{resource_id}}", "can be filled in"),
        ("{resource_id.__class__}", "can be filled in"),
        ("{resource}{resource_id}", "need a character such as a colon"),
        ("{site}-{resource_id}", "need a character such as a colon"),
        ("{resource}%{resource_id}", "need a character such as a colon"),
        ("{resource_id}:\x00", "printable ASCII"),
        ("č:{resource_id}", "printable ASCII"),
        ("x" * 200 + "{resource_id}", "at most 200"),
    ],
)
def test_a_template_of_a_key_is_checked(key: str, reason: str) -> None:
    """What would take a resource out of its partition, or let two share a key, is refused with the reason."""
    with pytest.raises(ValidationError, match=re.escape(reason)):
        config(key_template=key)


def test_topic_and_key_tell_together_which_resource_it_is() -> None:
    """With one topic for all, `tickets` and `orders` with one id would be one key."""
    with pytest.raises(ValidationError, match=r"should hold {resource}, since TOPIC_TEMPLATE does not"):
        config(topic_template="shop.events")


@pytest.mark.parametrize(
    ("allowed", "reason"),
    [
        ("*", "item 1 would allow everything"),
        ("portos.tickets,portos.*.x", "item 2 holds a * that is not its end"),
        ("shop.*", "allows no topic that TOPIC_TEMPLATE can give"),
        ("portosx*", "allows no topic that TOPIC_TEMPLATE can give"),
    ],
)
def test_a_list_of_topics_that_confines_nothing_is_refused(allowed: str, reason: str) -> None:
    """So is one that would leave no event."""
    with pytest.raises(ValidationError, match=re.escape(reason)):
        config(topic_allow=allowed)


@pytest.mark.parametrize("allowed", ["", "portos.*", "po*", "portos.tickets, portos.stock*"])
def test_a_list_of_topics_may_hold_ends(allowed: str) -> None:
    """A `*` stands for any end."""
    assert config(topic_allow=allowed).topic_allow == tuple(filter(None, re.split(", *", allowed)))


@pytest.mark.parametrize(
    "topic", ["portos.licence", "portos.bridge.gaps", "portos.other-events", "portos.state.tickets"]
)
def test_copies_of_dead_letters_are_kept_apart_from_what_the_bridge_says(topic: str) -> None:
    with pytest.raises(ValidationError, match="uses for something else"):
        config(dlq_topic=topic)


def test_copies_of_dead_letters_are_kept_apart_from_events() -> None:
    """One topic for all cannot be that of the copies as well."""
    with pytest.raises(ValidationError, match="is the topic of all events"):
        config(topic_template="shop.events", key_template="{resource}:{resource_id}", dlq_topic="shop.events")


def test_the_site_is_filled_into_the_transactional_id() -> None:
    """One setting serves all bridges; without it there is none."""
    assert config(transactional_id="bridge-{site}", site="shop-1").fencing_id == "bridge-shop-1"
    assert config().fencing_id is None


def test_the_longest_topic_fits_kafka() -> None:
    """The longest template, the longest site and the longest name give at most 249 characters."""
    made = config(topic_template="p.{site}.xxxx.{resource}", site="s" * 41)

    topic = made.layout.topic("ž" * 1000)

    assert isinstance(topic, str)
    assert len(topic) <= 249


def test_the_site_counts_for_the_length() -> None:
    """A template that fits a short site is refused for a long one."""
    with pytest.raises(ValidationError, match="8 fit"):
        config(topic_template="portos.events.{site}.{resource}", site="s" * 41)


def test_a_batch_is_no_larger_than_the_largest_event_unless_it_is_set() -> None:
    """So that one variable is enough for brokers that take less."""
    assert config(max_request_bytes=100_000).largest_batch_bytes == 100_000
    assert config().largest_batch_bytes == 262_144


@pytest.mark.parametrize(
    "values",
    [
        {"batch_bytes": 2_000_000},
        {"request_seconds": 0},
        {"compression": "snappy"},
        {"acks": "1"},
        {"linger_seconds": 0.005},
        {"client_id": "a b"},
        {"transactional_id": ""},
        {"transactional_id": "bridge-{resource}"},
        {"transactional_id": "a b"},
    ],
)
def test_what_cannot_work_is_refused(values: dict[str, object]) -> None:
    """Contradictions, values out of range, and settings that do not exist."""
    with pytest.raises(ValidationError):
        config(**values)


def test_the_sample_is_complete_and_valid() -> None:
    """`sample.env` has every variable of the sink, with values that are taken; secrets are files and comments.

    Comments as well are what makes a dead letter of an event, or needs further topics, though nobody has asked for it.
    """
    sample = Path(sinks.kafka.__file__).with_name("sample.env").read_text()
    values = dict(re.findall(r"^PORTOS_BRIDGE_SINK__KAFKA__(\w+)=(.*)$", sample, re.MULTILINE))
    comments = dict(re.findall(r"^#PORTOS_BRIDGE_SINK__KAFKA__(\w+)=(.*)$", sample, re.MULTILINE))
    wishes = {name: comments[name] for name in ("STATE_TOPIC_TEMPLATE", "TOPIC_ALLOW")}
    secrets = {item.name for item in variables(KafkaConfig, "") if item.secret}

    config(sasl_password="secret", **{name.lower(): value for name, value in (values | wishes).items()})

    named = {name.removesuffix("_FILE") if name.removesuffix("_FILE") in secrets else name for name in comments}
    assert {name.lower() for name in named | set(values)} == set(KafkaConfig.model_fields) - INHERITED
