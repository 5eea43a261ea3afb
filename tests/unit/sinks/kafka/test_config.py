"""The settings of the Kafka sink refuse what could not work, and say why."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

import sinks.kafka
from bridge.settings.reference import variables
from sinks.kafka.config import KafkaConfig
from sinks.kafka.records import topic_of


def config(**values: object) -> KafkaConfig:
    return KafkaConfig.model_validate({"bootstrap_servers": "localhost:9092"} | values)


def test_one_variable_is_enough() -> None:
    """Everything but the brokers' addresses has a default."""
    made = config()

    assert made.bootstrap_servers == ("localhost:9092",)
    assert (made.topic_template, made.window_events) == ("portos.{resource}", 200)


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
        ("portos.{action}", "no placeholder but {resource}, {site}, not action"),
        ("portos.{resource.__class__}", "no placeholder but"),
        ("portos.{}", "an empty one"),
        ("portos.{resource", "made of"),
        ("portos.resource}", "made of"),
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
        ("p" * 60 + ".{resource}", "49 fit"),
        ("portos.bridge.{resource}", "keeps for itself"),
        ("portos.state.{resource}", "keeps for itself"),
        ("portos.licence", "keeps for itself"),
        ("portos.other-events", "keeps for itself"),
    ],
)
def test_a_template_is_checked(template: str, reason: str) -> None:
    """A template that no broker would take, or that lets a name choose too much, is refused with the reason."""
    with pytest.raises(ValidationError, match=reason):
        config(topic_template=template)


@pytest.mark.parametrize("template", ["portos.{resource}", "portos.{site}.{resource}", "shop.events", "a-b.{resource}"])
def test_a_sound_template_passes(template: str) -> None:
    """Templates with either, both or no placeholder are taken."""
    assert config(topic_template=template).topic_template == template


def test_the_site_is_filled_into_the_transactional_id() -> None:
    """One setting serves all bridges; without it there is none."""
    assert config(transactional_id="bridge-{site}", site="shop-1").fencing_id == "bridge-shop-1"
    assert config().fencing_id is None


def test_the_longest_topic_fits_kafka() -> None:
    """The longest template, the longest site and the longest name give at most 249 characters."""
    made = config(topic_template="p.{site}.xxxx.{resource}", site="s" * 41)

    assert len(topic_of(made.topic_template, made.site, "ž" * 1000)) <= 249


def test_the_site_counts_for_the_length() -> None:
    """A template that fits a short site is refused for a long one."""
    with pytest.raises(ValidationError, match="49 fit"):
        config(topic_template="portos.events.{site}.{resource}", site="s" * 41)


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
    """`sample.env` has every variable of the sink, with values that are taken; secrets are files and comments."""
    sample = Path(sinks.kafka.__file__).with_name("sample.env").read_text()
    values = dict(re.findall(r"^PORTOS_BRIDGE_SINK__KAFKA__(\w+)=(.*)$", sample, re.MULTILINE))
    comments = re.findall(r"^#PORTOS_BRIDGE_SINK__KAFKA__(\w+)=", sample, re.MULTILINE)
    secrets = {item.name for item in variables(KafkaConfig, "") if item.secret}

    config(sasl_password="secret", **{name.lower(): value for name, value in values.items()})

    named = {name.removesuffix("_FILE") if name.removesuffix("_FILE") in secrets else name for name in comments}
    assert {name.lower() for name in named | set(values)} == set(KafkaConfig.model_fields) - {"site"}
