"""The AsyncAPI document of a configuration: it says where everything goes that is published, and how it looks."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from jsonschema_rs import validator_for
from prometheus_client import CollectorRegistry

from bridge import __main__, registry
from bridge.admin import admin
from bridge.asyncapi import document
from bridge.description import Description, Server, Topic
from bridge.document_routes import document_routes
from bridge.errors import Rejected
from bridge.message import Message, attributes, structured
from bridge.ports import Explanation, SinkPlugin
from bridge.settings.loading import Configuration, load
from tests.unit.log_state import restored
from tests.unit.settings import example
from tests.unit.settings.wrong import good_environment

pytestmark = pytest.mark.skipif(
    not {"kafka", "mqtt", "stdout"} <= set(registry.installed()), reason="not installed here: run `make install`"
)
BROKERS = {
    "SINKS": "kafka,mqtt",
    "SINK__KAFKA__BOOTSTRAP_SERVERS": "kafka:9092",
    "SINK__MQTT__URL": "mqtt://broker",
}
Configured = Callable[..., Configuration]


@pytest.fixture
def environ(tmp_path: Path) -> Callable[[Mapping[str, str]], dict[str, str]]:
    """Give the environment of a bridge to both brokers with further settings."""
    base = good_environment(tmp_path)

    def environment(settings: Mapping[str, str]) -> dict[str, str]:
        own = {f"PORTOS_BRIDGE_{name}": value for name, value in (BROKERS | settings).items()}
        unused = "example" not in own["PORTOS_BRIDGE_SINKS"]
        kept = {name: value for name, value in base.items() if not (unused and "SINK__EXAMPLE" in name)}
        return kept | own

    return environment


@pytest.fixture
def configured(environ: Callable[[Mapping[str, str]], dict[str, str]]) -> Configured:
    def configuration(plugin: SinkPlugin[Any] = example.plugin, **settings: str) -> Configuration:
        return load(environ(settings), {**registry.installed(), "example": lambda: plugin})

    return configuration


def addresses(found: Mapping[str, Any], server: str) -> dict[str, list[str]]:
    """Give the events of each topic of a server."""
    return {
        channel["address"]: [name.removeprefix(f"{server}.") for name in channel["messages"]]
        for channel in found["channels"].values()
        if channel["servers"] == [{"$ref": f"#/servers/{server}"}]
    }


def message_of(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    message: dict[str, Any] = found["components"]["messages"][name]
    return message


def holds(found: Mapping[str, Any], schema: Mapping[str, Any], value: object) -> None:
    """Validate a value by a schema of the document, which may refer to others in it."""
    validator_for({"components": found["components"], "allOf": [schema]}, validate_formats=True).validate(value)


def test_every_topic_that_events_go_to_is_a_channel(configured: Configured) -> None:
    found = document(configured())

    own = ["portos.bridge.resync.required", "portos.bridge.gap.detected", "portos.bridge.dlq.redriven"]
    assert addresses(found, "kafka") == {
        "portos.tickets": ["portos.resources.changed"],
        "portos.orders": ["portos.resources.changed"],
        "portos.licence": ["portos.licence.activated"],
        "portos.other-events": ["other"],
        "portos.bridge.gaps": own,
    }
    assert addresses(found, "mqtt") == {
        "portos/resources/tickets": ["portos.resources.changed"],
        "portos/resources/orders": ["portos.resources.changed"],
        "portos/licence": ["portos.licence.activated"],
        "portos/other-events": ["other"],
        "portos/bridge/resync": [own[0]],
        "portos/bridge/gap": [own[1]],
        "portos/bridge/dlq": [own[2]],
        **{f"portos/bridge/{name}": [f"bridge.{name}"] for name in ("state", "info", "health")},
    }
    assert {each["action"] for each in found["operations"].values()} == {"send"}
    assert len(found["operations"]) == len(found["channels"])


def test_only_what_the_settings_can_lead_to_is_there(configured: Configured) -> None:
    """No licence that is not subscribed, no gap that nobody looks for."""
    few = document(configured(SUBSCRIBE__LICENCE="false", JOURNAL__ON_FULL="block"))
    all_of_it = document(configured(VERSION__MODE="contiguous", SINK__KAFKA__DLQ_TOPIC="letters"))

    assert set(addresses(few, "mqtt")) == {
        *("portos/resources/tickets", "portos/resources/orders", "portos/other-events"),
        *("portos/bridge/resync", "portos/bridge/dlq"),
        *("portos/bridge/state", "portos/bridge/info", "portos/bridge/health"),
    }
    assert "portos.bridge.gap.closed" in addresses(all_of_it, "kafka")["portos.bridge.gaps"]
    assert addresses(all_of_it, "kafka")["letters"] == ["portos.bridge.dlq"]


def test_the_state_of_each_resource_has_its_topics(configured: Configured) -> None:
    """Compacted, or retained: the changes themselves, and what says that a resource is gone."""
    found = document(
        configured(
            SINK__KAFKA__STATE_TOPIC_TEMPLATE="portos.state.{resource}",
            SINK__MQTT__STATE_TOPIC_TEMPLATE="{base}/state/{resource}/{resource_id}",
        )
    )

    both = ["portos.state.deleted", "portos.resources.changed"]
    assert addresses(found, "kafka")["portos.state.{resource}"] == both
    assert addresses(found, "mqtt")["portos/state/{resource}/{resource_id}"] == both
    (compacted,) = (each for each in found["channels"].values() if each["address"] == "portos.state.{resource}")
    assert compacted["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"] == ["compact"]
    retained = found["operations"]["send.mqtt.portos.state.resource.resource_id"]["bindings"]["mqtt"]
    assert retained["retain"] is True


def test_states_come_from_a_client_of_their_own(configured: Configured) -> None:
    """Whoever grants rights or quotas by the client's id has two to name."""
    found = document(configured(SINK__KAFKA__STATE_TOPIC_TEMPLATE="portos.state.{resource}"))

    (sent,) = (each for name, each in found["operations"].items() if name.startswith("send.kafka.portos.state."))
    assert sent["bindings"]["kafka"]["clientId"]["const"] == "portos-bridge-state"


def test_a_tombstone_has_the_key_of_its_resource(configured: Configured) -> None:
    """That of its events, as the template has it."""
    topics = {"TOPIC_TEMPLATE": "portos.all", "STATE_TOPIC_TEMPLATE": "portos.state.{resource}"}
    kafka = topics | {"KEY_TEMPLATE": "{site}:{resource}:{resource_id}"}
    found = document(configured(SITE="shop", **{f"SINK__KAFKA__{name}": value for name, value in kafka.items()}))

    key = message_of(found, "kafka.portos.state.deleted")["bindings"]["kafka"]["key"]
    assert "`shop:{resource}:{resource_id}`" in key["description"]


def test_the_endpoint_of_tokens_is_told_without_what_may_be_secret(configured: Configured) -> None:
    """What stands behind its path is for the endpoint, and may be a key of its own."""
    login = {
        "SECURITY_PROTOCOL": "SASL_SSL",
        "SASL_MECHANISM": "OAUTHBEARER",
        "OAUTH_TOKEN_URL": "https://login.example/oauth2/token?key=C4nary-7#C4nary-8",
        "OAUTH_CLIENT_ID": "bridge",
        "OAUTH_CLIENT_SECRET": "C4nary-9",
    }
    found = document(configured(**{f"SINK__KAFKA__{name}": value for name, value in login.items()}))

    (scheme,) = found["components"]["securitySchemes"].values()
    assert scheme["flows"]["clientCredentials"]["tokenUrl"] == "https://login.example/oauth2/token"
    assert "C4nary" not in json.dumps(found)


def test_the_broker_is_told_how_the_bridge_is_unless_it_must_not(configured: Configured) -> None:
    """With a will, and what it is told has a schema."""
    told, silent = document(configured()), document(configured(SINK__MQTT__ANNOUNCE="false"))

    assert told["servers"]["mqtt"]["bindings"]["mqtt"]["lastWill"]["topic"] == "portos/bridge/state"
    assert message_of(told, "mqtt.bridge.state")["payload"] == {"$ref": "#/components/schemas/bridge.state"}
    assert message_of(told, "mqtt.bridge.state")["examples"] == [{"payload": {"state": "online"}}]
    assert "lastWill" not in silent["servers"]["mqtt"]["bindings"]["mqtt"]
    assert "portos/bridge/state" not in addresses(silent, "mqtt")


def test_what_is_not_known_beforehand_is_a_parameter(configured: Configured) -> None:
    """The id and the action of a template, and the resource where all are subscribed."""
    template = "{base}/r/{resource}/{action}/{resource_id}"
    found = document(
        configured(
            SUBSCRIBE__RESOURCES="*",
            FILTER__EXCLUDE_RESOURCES="apikeys,sessions,settings",
            SINK__MQTT__TOPIC_TEMPLATE=template,
        )
    )

    channels = {channel["address"]: channel for channel in found["channels"].values()}
    by_all = channels["portos/r/{resource}/{action}/{resource_id}"]
    assert by_all["parameters"].keys() == {"resource", "resource_id", "action"}
    assert by_all["parameters"]["action"]["enum"] == ["created", "updated", "deleted", "unknown"]
    assert channels["portos.{resource}"]["parameters"].keys() == {"resource"}
    key = message_of(found, "kafka.portos.resources.changed")["bindings"]["kafka"]["key"]
    assert "{resource_id}" in key["description"]


def test_a_key_is_that_of_every_resource_whose_message_says_it(configured: Configured) -> None:
    """The kind of resource is a parameter of it; where only a name leads to a topic, there are as many messages."""
    key = "{resource}:{resource_id}"
    found = document(configured(SINK__KAFKA__KEY_TEMPLATE=key))
    allowed = {"SINK__KAFKA__KEY_TEMPLATE": key, "SINK__KAFKA__TOPIC_ALLOW": "portos.tickets,portos.orders"}
    closed = document(configured(**allowed))

    assert keys(found) == {"portos.tickets": {key}, "portos.orders": {key}}
    assert keys(closed) == {"portos.tickets": {"tickets:{resource_id}"}, "portos.orders": {"orders:{resource_id}"}}


def keys(found: Mapping[str, Any]) -> Mapping[str, set[str]]:
    """Give the keys of changes that the document tells, by topic of Kafka."""
    messages = {
        topic: [message_of(found, f"kafka.{name}") for name in names]
        for topic, names in addresses(found, "kafka").items()
    }
    return {
        topic: {each["bindings"]["kafka"]["key"]["description"].split("`")[1] for each in described}
        for topic, described in messages.items()
        if described[0]["name"] == "portos.resources.changed"
    }


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"SINK__KAFKA__CE_MODE": "structured", "SINK__MQTT__CE_MODE": "structured"},
        {"SINK__MQTT__VERSION": "3.1.1", "EVENT__CONTENT": "reference"},
        {"EVENT__CONTENT": "resource", "VERSION__MODE": "contiguous", "SINKS": "kafka,mqtt,stdout"},
        {"SINK__KAFKA__STATE_TOPIC_TEMPLATE": "portos.state.{resource}"},
    ],
    ids=str,
)
def test_every_example_is_valid_by_the_schemas_of_its_message(
    settings: Mapping[str, str], configured: Configured
) -> None:
    found = document(configured(**settings))

    for name, message in found["components"]["messages"].items():
        assert message["examples"], name
        for one in message["examples"]:
            holds(found, message["payload"], one["payload"])
            if "headers" in message:
                holds(found, message["headers"], one["headers"])
            assert ("headers" in message) == ("headers" in one)


def test_an_example_shows_nothing_that_is_redacted(configured: Configured) -> None:
    found = document(configured(EVENT__CONTENT="resource", PRIVACY__REDACT="tickets.customer"))

    change = message_of(found, "kafka.portos.resources.changed")
    assert change["examples"][0]["payload"]["customer"] is None
    assert change["payload"]["anyOf"] == [
        {"$ref": f"#/components/schemas/{name}"} for name in ("resource", "reference")
    ]


def test_attributes_stand_where_each_sink_has_them(configured: Configured) -> None:
    """Kafka's headers with a prefix, MQTT's user properties without, and in one document with the payload."""
    binary, in_one = document(configured()), document(configured(SINK__MQTT__VERSION="3.1.1"))

    kafka, mqtt = (message_of(binary, f"{name}.portos.resources.changed") for name in ("kafka", "mqtt"))
    old = message_of(in_one, "mqtt.portos.resources.changed")
    assert {"ce_id", "ce_type", "content-type"} <= kafka["headers"]["properties"].keys()
    assert {"id", "type"} <= mqtt["headers"]["properties"].keys()
    assert "Content Type" not in json.dumps(mqtt["headers"])
    assert "headers" not in old
    assert old["contentType"] == "application/cloudevents+json"
    places = [message["correlationId"]["location"] for message in (kafka, mqtt, old)]
    assert places == ["$message.header#/ce_id", "$message.header#/id", "$message.payload#/id"]


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        ({"SECURITY_PROTOCOL": "SSL"}, []),
        ({"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "PLAIN"}, ["plain"]),
        ({"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "SCRAM-SHA-512"}, ["scramSha512"]),
        ({"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "OAUTHBEARER", "OAUTH_TOKEN": "C4nary-tok"}, ["http"]),
    ],
    ids=str,
)
def test_the_login_is_named_and_not_told(settings: Mapping[str, str], kinds: list[str], configured: Configured) -> None:
    login = {"SASL_USERNAME": "bridge", "SASL_PASSWORD": "C4nary-sasl"}
    given = settings | (login if settings.get("SASL_MECHANISM", "OAUTHBEARER") != "OAUTHBEARER" else {})
    kafka = {f"SINK__KAFKA__{name}": value for name, value in given.items()}
    mqtt = {"SINK__MQTT__URL": "mqtts://broker", "SINK__MQTT__USERNAME": "u", "SINK__MQTT__PASSWORD": "C4nary-mqtt"}
    found = document(configured(**kafka, **mqtt))

    assert found["servers"]["kafka"]["protocol"] == "kafka-secure"
    assert found["servers"]["mqtt"] | {"protocol": "secure-mqtt", "host": "broker:8883"} == found["servers"]["mqtt"]
    schemes = found["components"]["securitySchemes"]
    assert [scheme["type"] for name, scheme in schemes.items() if name.startswith("kafka")] == kinds
    assert "C4nary" not in json.dumps(found)


@pytest.mark.parametrize(
    ("url", "host", "protocol", "pathname"),
    [
        ("mqtt://[::1]", "[::1]:1883", "mqtt", None),
        ("ws://broker", "broker:80", "ws", "/mqtt"),
        ("wss://broker:444/a/b", "broker:444", "wss", "/a/b"),
    ],
)
def test_a_broker_of_mqtt_is_where_its_url_says(
    url: str, host: str, protocol: str, pathname: str | None, configured: Configured
) -> None:
    server = document(configured(SINK__MQTT__URL=url))["servers"]["mqtt"]

    assert (server["host"], server["protocol"], server.get("pathname")) == (host, protocol, pathname)


def _line(_: example.ExampleConfig, message: Message) -> Explanation:
    if message.resource == "orders":
        raise Rejected("no orders", reason="refused")
    return Explanation(f"lines/{message.resource_id}", structured(message, "default"))


def _own(_: example.ExampleConfig, message: Message) -> Explanation:
    return Explanation("own", b"\xff" + message.body, headers=attributes(message, "default"))


def test_a_sink_of_a_third_party_is_described_by_what_it_explains(configured: Configured) -> None:
    """No more is needed; what it refuses is no topic, and a form of its own has examples and no schema."""
    silent = document(configured(SINKS="example"))
    line = document(configured(explaining(_line), SINKS="example"))
    own = document(configured(explaining(_own), SINKS="example"))

    assert list(silent["servers"]) == ["example"]
    assert silent["channels"] == {}
    assert addresses(line, "example")["lines/{resource_id}"] == ["portos.resources.changed"]
    assert len([name for name in addresses(line, "example") if name.startswith("lines/{")]) == 1
    assert message_of(line, "example.portos.resources.changed")["contentType"] == "application/cloudevents+json"
    assert "payload" not in message_of(own, "example.portos.resources.changed")


def explaining(explain: Callable[[example.ExampleConfig, Message], Explanation]) -> SinkPlugin[example.ExampleConfig]:
    return SinkPlugin(example.ExampleConfig, example.plugin.connect, explain=explain)


def test_a_sink_says_what_no_message_shows(configured: Configured) -> None:
    described = Description(
        [Server("here:1", "nats")],
        topics=[Topic("news", "hello", "Says hello.", payload={"type": "string"}, examples=[{"payload": "hi"}])],
    )
    plugin = SinkPlugin(example.ExampleConfig, example.plugin.connect, explain=_line, describe=lambda _: described)

    found = document(configured(plugin, SINKS="example"))

    assert found["servers"] == {"example": {"host": "here:1", "protocol": "nats"}}
    assert addresses(found, "example")["news"] == ["hello"]


def test_the_same_configuration_has_the_same_document(configured: Configured) -> None:
    """So that a change of it can be seen in a review."""
    assert msgspec.json.encode(document(configured())) == msgspec.json.encode(document(configured()))


async def test_the_document_is_served_and_printed(
    environ: Callable[[Mapping[str, str]], dict[str, str]],
    configured: Configured,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    configuration = configured()
    with restored(monkeypatch):
        for name, value in environ({}).items():
            monkeypatch.setenv(name, value)
        assert __main__.main(["asyncapi"]) == 0
    printed = json.loads(capsys.readouterr().out)

    routes = document_routes(configuration)
    async with (
        admin("127.0.0.1", 0, CollectorRegistry(), list, list, dict, routes) as port,
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/asyncapi.json") as answer,
    ):
        assert await answer.json() == printed == document(configuration)
