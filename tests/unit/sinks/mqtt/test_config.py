"""The settings of the MQTT sink: what is taken, and what is refused with which reason."""

import re
from pathlib import Path
from typing import Literal

import pytest
from pydantic import ValidationError

from bridge.settings.base import INHERITED
from bridge.settings.reference import variables
from sinks.mqtt.config import MqttConfig


def test_an_address_is_enough() -> None:
    """Only the address is required; site and port are filled in."""
    config = MqttConfig(url="mqtt://broker.local", site="shop-7")

    assert (config.host, config.port, config.client_name, config.base) == (
        "broker.local",
        1883,
        "portos-bridge-shop-7",
        "portos",
    )


def test_an_address_of_ipv6_keeps_its_port() -> None:
    """An IPv6 address is written in brackets and used without them."""
    config = MqttConfig(url="mqtt://[::1]:2883")

    assert (config.host, config.port) == ("::1", 2883)


@pytest.mark.parametrize(
    ("url", "port", "encrypted", "websocket_url"),
    [
        ("mqtt://broker", 1883, False, None),
        ("mqtts://broker", 8883, True, None),
        ("MQTTS://broker/", 8883, True, None),
        ("ws://broker", 80, False, "ws://broker/mqtt"),
        ("ws://broker/", 80, False, "ws://broker/"),
        ("wss://broker:8084/some/where", 8084, True, "wss://broker:8084/some/where"),
        ("wss://[::1]", 443, True, "wss://[::1]/mqtt"),
    ],
)
def test_an_address_says_what_is_spoken(url: str, port: int, encrypted: bool, websocket_url: str | None) -> None:  # noqa: FBT001
    """Each scheme has its usual port, and a WebSocket its usual path."""
    config = MqttConfig(url=url)

    assert (config.port, config.encrypted, config.websocket_url) == (port, encrypted, websocket_url)


@pytest.mark.parametrize(("scheme", "safe"), [("mqtt", "mqtts"), ("ws", "wss")])
@pytest.mark.parametrize("field", ["ca_file", "client_cert_file"])
def test_a_certificate_without_tls_is_refused(scheme: str, safe: str, field: str) -> None:
    """Nobody thinks a connection is protected that is not."""
    with pytest.raises(ValidationError, match=f"since URL is {scheme}://: take {safe}://"):
        MqttConfig.model_validate({"url": f"{scheme}://broker", field: "/ca.pem"})


@pytest.mark.parametrize(
    ("url", "username", "said"),
    [
        ("mqtt://broker", None, ["all events travel in plaintext to another host; use mqtts:// where you can"]),
        ("ws://10.0.0.1", "bridge", ["the login and all events travel in plaintext to another host; use wss:// where"]),
        ("mqtts://broker", "bridge", []),
        ("wss://broker", "bridge", []),
        ("mqtt://127.0.0.1", "bridge", []),
        ("ws://localhost", "bridge", []),
        ("mqtt://[::1]", "bridge", []),
    ],
)
def test_plaintext_to_another_host_is_warned_of(url: str, username: str | None, said: list[str]) -> None:
    """Once, with what travels and the scheme that would protect it."""
    found = list(MqttConfig(url=url, username=username, password=username).cautions())

    assert [field for field, _ in found] == ["url"] * len(said)
    assert all(text.startswith(start) for (_, text), start in zip(found, said, strict=True))


def test_what_the_older_protocol_lacks_is_warned_of() -> None:
    """Whoever needs it should know at the start, and not by an event that the broker has refused."""
    ((field, text),) = MqttConfig(url="mqtt://127.0.0.1", version="3.1.1").cautions()

    assert field == "version"
    assert "what it does not take is lost" in text


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://broker", "should be mqtt://host"),
        ("broker:1883", "should be mqtt://host"),
        ("mqtt://", "should be mqtt://host"),
        ("mqtt://broker:port", "port"),
        ("mqtt://broker:70000", "out of range"),
        ("mqtt://broker:0", "out of range"),
        ("mqtt://user:canary@broker", "variables of their own"),
        ("mqtt://broker/topic", "address only"),
        ("mqtts://broker/mqtt", "a path is for ws and wss"),
        ("mqtt://broker?x=1", "address only"),
        ("wss://broker/mqtt?token=canary", "address only"),
        ("wss://broker/mqtt#canary", "address only"),
    ],
)
def test_an_address_that_would_lose_something_is_refused(url: str, reason: str) -> None:
    """Nothing in an address is ignored silently, and no secret in it is printed."""
    with pytest.raises(ValidationError, match=reason) as refusal:
        MqttConfig(url=url)

    assert "canary" not in str(refusal.value)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{base}/+/{resource}", "wildcards"),
        ("{base}/#", "wildcards"),
        ("$SYS/{resource}", "broker's own"),
        ("{base}/$x/{resource}", "broker's own"),
        ("/{base}/{resource}", "level is empty"),
        ("{base}//{resource}", "level is empty"),
        ("{base}/{resource}/", "level is empty"),
        ("", "level is empty"),
        ("{resource}/{base}", "first level should be fixed"),
        ("x{action}/{base}", "first level should be fixed"),
        ("{base}/{name}", "can be filled in"),
        ("{base}/{resource.__class__}", "can be filled in"),
        ("{base}/{}", "can be filled in"),
        ("{base}/{resource", "can be filled in"),
        ("{base}/{{resource}}", "can be filled in"),
        ("{base}/a\x00b", "control characters"),
        ("{base}/" + "x" * 1024, "at most 1024 bytes"),
        ("{base}/{resource}{resource_id}", "need a slash between them"),
        ("{base}/{resource}-{resource_id}", "need a slash between them"),
        ("{base}/{site}.{resource}", "need a slash between them"),
        ("{base}/{resource}%{action}", "need a slash between them"),
        ("{base}/bridge/{resource}", "keeps for itself"),
        ("{base}/state/{resource}/{resource_id}", "keeps for itself"),
        ("{base}/licence", "keeps for itself"),
        ("portos/other-events", "keeps for itself"),
    ],
)
def test_a_template_that_could_leave_its_place_is_refused(template: str, reason: str) -> None:
    """A template addresses exactly one topic below fixed text, whatever the event is called."""
    with pytest.raises(ValidationError, match=reason):
        MqttConfig(url="mqtt://b", topic_template=template)


def test_a_topic_that_mqtt_cannot_hold_is_refused_at_start() -> None:
    """However long the names are, a topic stays within 65,535 bytes."""
    with pytest.raises(ValidationError, match="gives topics of up to 103524 bytes"):
        MqttConfig(url="mqtt://b", base_topic="b" * 1024, topic_template="{base}" + "/{base}" * 100)


@pytest.mark.parametrize(
    ("base", "template", "reason"),
    [
        ("site", "{{base}}/{resource}", "can be filled in"),
        ("a/{site}", "{base}{resource}", "need a slash between them"),
        ("a/{site}", "{base}.{site}/{resource}", "need a slash between them"),
        ("a", "a/bridge/{resource}", "keeps for itself"),
    ],
)
def test_base_and_template_are_checked_together(base: str, template: str, reason: str) -> None:
    """What is sound by itself may not be so behind that base."""
    with pytest.raises(ValidationError, match=reason):
        MqttConfig(url="mqtt://b", base_topic=base, topic_template=template)


@pytest.mark.parametrize(
    ("allowed", "reason"),
    [
        ("*", "item 1 would allow everything"),
        ("portos/*/x", "item 1 holds a [*] that is not its end"),
        ("shop/*", "allows no topic that TOPIC_TEMPLATE can give"),
    ],
)
def test_a_list_of_topics_that_confines_nothing_is_refused(allowed: str, reason: str) -> None:
    """So is one that would leave no event."""
    with pytest.raises(ValidationError, match=reason):
        MqttConfig.model_validate({"url": "mqtt://b", "topic_allow": allowed})


@pytest.mark.parametrize("base", ["+", "portos/#", "$share/x", "/portos", "portos/", "", "{resource}", "{base}"])
def test_a_base_topic_that_is_no_plain_topic_is_refused(base: str) -> None:
    """The base is literal text and the site, so that nothing from outside chooses it."""
    with pytest.raises(ValidationError, match="base_topic"):
        MqttConfig(url="mqtt://b", base_topic=base)


def test_a_password_without_a_user_name_is_refused() -> None:
    """MQTT 3.1.1 cannot send a password alone, and nothing given is ignored silently."""
    with pytest.raises(ValidationError, match="PASSWORD needs USERNAME") as refusal:
        MqttConfig(url="mqtt://b", password="canary")

    assert "canary" not in str(refusal.value)


def test_mqtt_3_has_no_binary_mode() -> None:
    with pytest.raises(ValidationError, match="no place for the attributes"):
        MqttConfig(url="mqtt://b", version="3.1.1", ce_mode="binary")


@pytest.mark.parametrize(
    ("version", "mode", "structured"),
    [("5", None, False), ("5", "binary", False), ("5", "structured", True), ("3.1.1", None, True)],
)
def test_unless_it_is_set_the_mode_is_the_best_of_the_version(
    version: Literal["5", "3.1.1"],
    mode: Literal["binary", "structured"] | None,
    structured: bool,  # noqa: FBT001
) -> None:
    assert MqttConfig(url="mqtt://b", version=version, ce_mode=mode).structured == structured


def test_the_sample_names_settings_that_exist() -> None:
    """Whoever copies a line of `sample.env` sets something, and every setting has its line."""
    sample = Path(__file__).parents[4] / "sinks" / "mqtt" / "sample.env"
    found = re.findall(r"^#?PORTOS_BRIDGE_SINK__MQTT__(\w+)=", sample.read_text(), re.MULTILINE)
    secrets = {item.name for item in variables(MqttConfig, "") if item.secret}

    named = {name.removesuffix("_FILE") if name.removesuffix("_FILE") in secrets else name for name in found}
    assert {name.lower() for name in named} == set(MqttConfig.model_fields) - INHERITED
