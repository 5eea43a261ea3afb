"""The AsyncAPI documents of five configurations, as the official parser reads them."""

import copy
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bridge import registry
from bridge.asyncapi import document
from bridge.settings.loading import load
from tests.oracle.node import NodeScript
from tests.unit.settings import example
from tests.unit.settings.wrong import good_environment

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]

_SCRIPT = Path(__file__).parent / "asyncapi-parser" / "validate.mjs"
_EXAMPLE = {"SINKS": "example,stdout", "SINK__EXAMPLE__URL": "example://here"}
_KAFKA = {"SINKS": "kafka", "SINK__KAFKA__BOOTSTRAP_SERVERS": "kafka-1:9092,kafka-2:9092"}
_CONFIGURATIONS: Mapping[str, Mapping[str, str]] = {
    "kafka": _KAFKA | {"SINK__KAFKA__DLQ_TOPIC": "portos.dead-letters", "EVENT__CONTENT": "resource"},
    "mqtt 5": {
        "SINKS": "mqtt",
        "SINK__MQTT__URL": "mqtt://broker",
        "SINK__MQTT__TOPIC_TEMPLATE": "{base}/resources/{resource}/{resource_id}/{action}",
        "SINK__MQTT__STATE_TOPIC_TEMPLATE": "{base}/state/{resource}/{resource_id}",
        "SUBSCRIBE__RESOURCES": "*",
        "FILTER__EXCLUDE_RESOURCES": "apikeys,sessions,settings",
    },
    "mqtt 3.1.1": {"SINKS": "mqtt", "SINK__MQTT__URL": "mqtt://broker:1884", "SINK__MQTT__VERSION": "3.1.1"},
    "both, with TLS and logins": {
        **_KAFKA,
        "SINKS": "kafka,mqtt",
        "SINK__KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
        "SINK__KAFKA__SASL_MECHANISM": "OAUTHBEARER",
        "SINK__KAFKA__OAUTH_TOKEN_URL": "https://login.example/token",
        "SINK__KAFKA__OAUTH_CLIENT_ID": "bridge",
        "SINK__KAFKA__OAUTH_CLIENT_SECRET": "C4nary-oauth",
        "SINK__KAFKA__CE_MODE": "structured",
        "SINK__KAFKA__STATE_TOPIC_TEMPLATE": "portos.state.{resource}",
        "SINK__MQTT__URL": "wss://broker/path",
        "SINK__MQTT__USERNAME": "bridge",
        "SINK__MQTT__PASSWORD": "C4nary-mqtt",
        "VERSION__MODE": "contiguous",
        "EVENT__CONTENT": "reference",
    },
    "a third party's, and stdout": _EXAMPLE,
}


@pytest.fixture(scope="module")
def parser(pytestconfig: pytest.Config) -> NodeScript:
    return NodeScript(_SCRIPT, Path(pytestconfig.cache.mkdir("asyncapi-parser")))


def _document(folder: Path, settings: Mapping[str, str]) -> dict[str, Any]:
    environ = good_environment(folder) | {f"PORTOS_BRIDGE_{name}": value for name, value in settings.items()}
    if settings is not _EXAMPLE:
        del environ["PORTOS_BRIDGE_SINK__EXAMPLE__URL"]
    return dict(document(load(environ, {**registry.installed(), "example": lambda: example.plugin})))


def _folder(base: Path, name: str) -> Path:
    folder = base / name
    folder.mkdir()
    return folder


def test_the_official_parser_takes_the_documents_of_five_configurations(parser: NodeScript, tmp_path: Path) -> None:
    """No error, no warning, and the servers and topics that the settings lead to."""
    folder = partial(_folder, tmp_path)
    documents = {name: _document(folder(name), settings) for name, settings in _CONFIGURATIONS.items()}

    answers = dict(zip(documents, parser.answers(documents.values()), strict=True))

    assert {name: answer["problems"] for name, answer in answers.items()} == {name: [] for name in documents}
    assert {answer["version"] for answer in answers.values()} == {"3.0.0"}
    assert answers["kafka"]["channels"] == {
        "portos.tickets": ["portos.resources.changed"],
        "portos.orders": ["portos.resources.changed"],
        "portos.licence": ["portos.licence.activated"],
        "portos.other-events": ["other"],
        "portos.bridge.gaps": [
            *("portos.bridge.resync.required", "portos.bridge.gap.detected", "portos.bridge.dlq.redriven"),
        ],
        "portos.dead-letters": ["portos.bridge.dlq"],
    }
    assert "portos/resources/{resource}/{resource_id}/{action}" in answers["mqtt 5"]["channels"]
    assert answers["mqtt 3.1.1"]["servers"] == ["mqtt://broker:1884/"]
    assert answers["both, with TLS and logins"]["servers"] == [
        *("kafka-secure://kafka-1:9092/", "kafka-secure://kafka-2:9092/", "wss://broker:443/path"),
    ]
    assert list(answers["a third party's, and stdout"]["channels"]) == ["standard output"]


def test_the_official_parser_finds_what_is_wrong(parser: NodeScript, tmp_path: Path) -> None:
    """A topic that is no text, and a message that is not there, are problems: else the test above were none."""
    right = _document(tmp_path, _CONFIGURATIONS["kafka"])
    no_topic, no_message = copy.deepcopy(right), copy.deepcopy(right)
    no_topic["channels"]["kafka.portos.tickets"]["address"] = 5
    del no_message["components"]["messages"]["kafka.portos.resources.changed"]

    answers = parser.answers([no_topic, no_message])

    assert all(answer["problems"] for answer in answers)
