"""How the Kafka sink is let in: which settings go together, and what is said where they do not."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from bridge.errors import ConfigError
from bridge.settings.loading import load
from sinks.kafka import plugin
from sinks.kafka.config import KafkaConfig
from tests.brokers.certificates import Authority

PASSWORD = {"SASL_MECHANISM": "SCRAM-SHA-512", "SASL_USERNAME": "bridge", "SASL_PASSWORD": "secret-4711"}
TOKEN = {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "OAUTHBEARER"}
CLIENT = {
    "OAUTH_TOKEN_URL": "https://login.example/token",
    "OAUTH_CLIENT_ID": "bridge",
    "OAUTH_CLIENT_SECRET": "secret-4711",
}
PREFIX = "PORTOS_BRIDGE_SINK__KAFKA__"


def problems(tmp_path: Path, values: Mapping[str, str]) -> list[str]:
    """Load a bridge with these variables of the sink, and give what is wrong, without the prefix."""
    environ = {
        "PORTOS_BRIDGE_SINKS": "kafka",
        "PORTOS_BRIDGE_HUB__URL": "http://localhost:3000",
        "PORTOS_BRIDGE_AUTH__SCHEME": "static",
        "PORTOS_BRIDGE_AUTH__TOKEN": "of-the-hub",
        "PORTOS_BRIDGE_SUBSCRIBE__RESOURCES": "tickets",
        "PORTOS_BRIDGE_JOURNAL__PATH": str(tmp_path / "journal.db"),
        f"{PREFIX}BOOTSTRAP_SERVERS": "localhost:9092",
        **{f"{PREFIX}{name}": value for name, value in values.items()},
    }
    try:
        load(environ, {"kafka": lambda: plugin})
    except ConfigError as error:
        return [problem.removeprefix(PREFIX) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"SECURITY_PROTOCOL": "SSL"},
        {"SECURITY_PROTOCOL": "SASL_PLAINTEXT"} | PASSWORD,
        {"SECURITY_PROTOCOL": "SASL_SSL"} | PASSWORD,
        {"SECURITY_PROTOCOL": "SASL_SSL"} | PASSWORD | {"SASL_MECHANISM": "PLAIN"},
        TOKEN | CLIENT,
        TOKEN | CLIENT | {"OAUTH_SCOPE": "kafka events"},
        TOKEN | {"OAUTH_TOKEN": "abc.def-ghi_jkl="},
    ],
    ids=str,
)
def test_what_goes_together_is_taken(tmp_path: Path, values: Mapping[str, str]) -> None:
    assert problems(tmp_path, values) == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"SECURITY_PROTOCOL": "TLS"}, ["SECURITY_PROTOCOL: should be"]),
        ({"SECURITY_PROTOCOL": "SASL_SSL"}, ["SASL_MECHANISM: must be set, since SECURITY_PROTOCOL is SASL_SSL"]),
        (
            {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "PLAIN"},
            [
                "SASL_USERNAME: must be set, since SASL_MECHANISM is PLAIN",
                "SASL_PASSWORD: must be set, since SASL_MECHANISM is PLAIN",
            ],
        ),
        ({"SECURITY_PROTOCOL": "SSL"} | PASSWORD, ["SASL_MECHANISM: is of no use, since SECURITY_PROTOCOL is SSL"]),
        (
            {"SASL_USERNAME": "bridge", "SASL_PASSWORD": "secret-4711"},
            ["SASL_USERNAME: is of no use, since SASL_MECHANISM", "SASL_PASSWORD: is of no use, since SASL_MECHANISM"],
        ),
        (
            {"CA_FILE": "/ca.pem", "CLIENT_CERT_FILE": "/cert.pem"},
            [
                "CA_FILE: is of no use, since SECURITY_PROTOCOL is PLAINTEXT",
                "CLIENT_CERT_FILE: is of no use, since SECURITY_PROTOCOL is PLAINTEXT",
            ],
        ),
        (
            {"SECURITY_PROTOCOL": "SSL", "CLIENT_KEY_FILE": "/key.pem", "CLIENT_KEY_PASSWORD": "secret-4711"},
            [
                "CLIENT_KEY_FILE: is of no use without CLIENT_CERT_FILE",
                "CLIENT_KEY_PASSWORD: is of no use without CLIENT_CERT_FILE",
            ],
        ),
        ({"SECURITY_PROTOCOL": "SSL", "CA_FILE": "/none.pem"}, ["CA_FILE: cannot be read: No such file or directory"]),
        (TOKEN, ["OAUTH_TOKEN_URL: must be set, or OAUTH_TOKEN, since SASL_MECHANISM is OAUTHBEARER"]),
        (
            TOKEN | {"OAUTH_TOKEN_URL": "https://login.example/token"},
            [
                "OAUTH_CLIENT_ID: must be set, since OAUTH_TOKEN_URL is",
                "OAUTH_CLIENT_SECRET: must be set, since OAUTH_TOKEN_URL is",
            ],
        ),
        (TOKEN | CLIENT | {"OAUTH_TOKEN": "abc"}, ["OAUTH_TOKEN_URL: is of no use beside OAUTH_TOKEN; keep one"]),
        (
            TOKEN | {"OAUTH_TOKEN": "abc", "OAUTH_CLIENT_SECRET": "secret-4711", "OAUTH_SCOPE": "x"},
            [
                "OAUTH_CLIENT_SECRET: is of no use without OAUTH_TOKEN_URL",
                "OAUTH_SCOPE: is of no use without OAUTH_TOKEN_URL",
            ],
        ),
        (TOKEN | {"OAUTH_TOKEN": "secret-4711 x"}, ["OAUTH_TOKEN: is no bearer token"]),
        (TOKEN | CLIENT | {"OAUTH_TOKEN_URL": "login.example/token"}, ["OAUTH_TOKEN_URL: should be https://host/path"]),
        (
            TOKEN | CLIENT | {"OAUTH_TOKEN_URL": "https://bridge:secret-4711@login.example"},
            ["OAUTH_TOKEN_URL: should be https://host/path"],
        ),
        (
            TOKEN | CLIENT | {"OAUTH_CA_FILE": "/none.pem"},
            ["OAUTH_CA_FILE: cannot be read: No such file or directory"],
        ),
        (
            {"SECURITY_PROTOCOL": "SASL_SSL", "OAUTH_CLIENT_SECRET": "secret-4711"} | PASSWORD,
            ["OAUTH_CLIENT_SECRET: is of no use, since SASL_MECHANISM is SCRAM-SHA-512"],
        ),
        (TOKEN | CLIENT | {"SASL_USERNAME": "bridge"}, ["SASL_USERNAME: is of no use, since SASL_MECHANISM is OAUTH"]),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_refused_with_the_way_out(
    tmp_path: Path, values: Mapping[str, str], said: list[str]
) -> None:
    """One line for each variable to change, and never a secret in it."""
    found = problems(tmp_path, values)

    assert [line[: len(start)] for line, start in zip(found, said, strict=True)] == said
    assert "secret-4711" not in str(found)


def test_an_encrypted_key_without_its_password_is_refused_at_start(tmp_path: Path) -> None:
    """All files are tried before the bridge begins."""
    cert, key = Authority(tmp_path / "tls").client("bridge", "secret-4711")
    values = {"SECURITY_PROTOCOL": "SSL", "CLIENT_CERT_FILE": str(cert), "CLIENT_KEY_FILE": str(key)}

    assert problems(tmp_path, values) == ["CLIENT_KEY_PASSWORD: must be set, since the key is encrypted"]
    assert problems(tmp_path, values | {"CLIENT_KEY_PASSWORD": "secret-4711"}) == []


def test_a_password_cannot_become_two() -> None:
    """In the mechanism PLAIN a NUL ends the user name (RFC 4616)."""
    with pytest.raises(ValidationError, match="NUL"):
        KafkaConfig.model_validate(
            {
                "bootstrap_servers": "localhost:9092",
                "security_protocol": "SASL_SSL",
                "sasl_mechanism": "PLAIN",
                "sasl_username": "bridge",
                "sasl_password": "a\0b",
            }
        )


@pytest.mark.parametrize(
    ("servers", "protocol", "said"),
    [
        ("kafka:9092", "PLAINTEXT", "all events travel in plaintext to another host; use SSL"),
        ("localhost:1,kafka:9092", "SASL_PLAINTEXT", "the login and all events travel in plaintext"),
        ("localhost:9092,127.0.0.1:9093,[::1]:9094", "PLAINTEXT", None),
        ("kafka:9093", "SASL_SSL", None),
    ],
)
def test_plaintext_to_another_host_is_warned_of(servers: str, protocol: str, said: str | None) -> None:
    """Once, at start, with the name of the variable."""
    login = {"sasl_mechanism": "PLAIN", "sasl_username": "bridge", "sasl_password": "x"}
    values = {"bootstrap_servers": servers, "security_protocol": protocol}
    config = KafkaConfig.model_validate(values | (login if protocol.startswith("SASL") else {}))

    cautions = list(config.cautions())

    assert [field for field, _ in cautions] == (["security_protocol"] if said else [])
    assert said is None or said in cautions[0][1]


@pytest.mark.parametrize(("url", "warned"), [("http://login.example/t", True), ("http://localhost/t", False)])
def test_a_secret_in_plaintext_to_an_endpoint_is_warned_of(url: str, warned: bool) -> None:  # noqa: FBT001
    values = {name.lower(): value for name, value in (TOKEN | CLIENT | {"OAUTH_TOKEN_URL": url}).items()}
    config = KafkaConfig.model_validate({"bootstrap_servers": "kafka:9093"} | values)

    assert [field for field, _ in config.cautions()] == (["oauth_token_url"] if warned else [])
