"""The settings of the Kafka sink: `PORTOS_BRIDGE_SINK__KAFKA__` and the names of the fields here.

Pure. What would lose or reorder events is no setting: `acks` is `all` and the producer is idempotent.
"""

import re
from collections.abc import Iterator
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator

from bridge.settings import CommaList, Positive, SinkConfig, TlsFiles, is_loopback
from bridge.tls import UnusableFile, client_context
from sinks.kafka.records import is_reserved, topic_of
from sinks.kafka.security import Security
from sinks.kafka.state import problem_of_state_topic

__all__ = ["KafkaConfig"]

_ADDRESS = re.compile(r"^(?:\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]+):(\d{1,5})$")
_PLACEHOLDERS = frozenset({"site", "resource"})
_LAST_PORT = 65_535
_LONGEST_LITERAL = 49  # with a resource of at most 200 characters a topic stays within Kafka's 249


class KafkaConfig(TlsFiles, Security, SinkConfig):
    """Where the Kafka brokers are, how to be let in, and what goes to which topic."""

    bootstrap_servers: CommaList = Field(min_length=1)
    """Some brokers of the cluster, as `host:port` with commas between: `kafka-1:9092,kafka-2:9092`."""
    client_id: str = Field(default="portos-bridge", min_length=1, max_length=200, pattern=r"^[A-Za-z0-9._-]+$")
    """The name under which the brokers' logs, quotas and metrics show the bridge."""
    topic_template: str = "portos.{resource}"
    """The topic of a resource's events; `{resource}` and `{site}` are filled in."""
    state_topic_template: str | None = None
    """Topic with the newest state of each resource, to be compacted: `portos.state.{resource}`; `{site}` is filled in
    as well. None publishes no states."""
    ce_mode: Literal["binary", "structured"] = "binary"
    """How CloudEvents are written: `binary`, the notification as value and the attributes as headers, or `structured`,
    all of it as one JSON document."""
    dlq_topic: str | None = Field(default=None, min_length=1, max_length=249, pattern=r"^[A-Za-z0-9._-]+$")
    """Topic to which each dead letter of this sink is copied as well; none copies none."""
    window_events: int = Field(default=200, ge=1, le=100_000)
    """How many events may be on their way to the brokers at once; this many may be repeated after a lost connection."""
    batch_bytes: int = Field(default=65_536, ge=1_024, le=16_777_216)
    """Largest batch of events for one partition; at most the brokers' `message.max.bytes`."""
    max_request_bytes: int = Field(default=1_048_576, ge=1_024, le=104_857_600)
    """Largest single event, as a record before compression; a larger one becomes a dead letter."""
    request_seconds: Positive = 15
    """Longest wait for a broker's answer before the connection is closed and the request repeated."""
    compression: Literal["none", "gzip", "lz4", "zstd"] = "none"
    """How batches are compressed; `zstd` is the smallest and costs a fraction of `gzip`, `lz4` costs least of all."""
    transactional_id: str | None = Field(default=None, min_length=1, max_length=200, pattern=r"^[A-Za-z0-9._{}-]+$")
    """A name of its own in the cluster, by which brokers refuse what a lost connection delivers late; with `{site}`."""

    @property
    def fencing_id(self) -> str | None:
        """The transactional id with the site filled in."""
        return self.transactional_id and self.transactional_id.replace("{site}", self.site)

    def cautions(self) -> Iterator[tuple[str, str]]:
        """Yield what travels in plaintext to another host."""
        hosts = (address.rpartition(":")[0].strip("[]") for address in self.bootstrap_servers)
        if not self.encrypted and not all(map(is_loopback, hosts)):
            what = "the login and all events travel" if self.sasl_mechanism else "all events travel"
            safe = self.security_protocol.replace("PLAINTEXT", "SSL")
            yield "security_protocol", f"{what} in plaintext to another host; use {safe} where you can"
        endpoint = urlsplit(self.oauth_token_url or "")
        if endpoint.scheme == "http" and not is_loopback(endpoint.hostname or ""):
            yield "oauth_token_url", "the client's secret travels in plaintext to another host; use https where you can"

    def try_files(self) -> None:
        """Raise `bridge.tls.UnusableFile` for the first file that cannot be used."""
        super().try_files()
        if self.oauth_ca_file is not None:
            try:
                client_context(self.oauth_ca_file)
            except UnusableFile as error:
                raise UnusableFile("oauth_ca_file", str(error)) from error

    @field_validator("ca_file", "client_cert_file", "client_key_file", "client_key_password")
    @classmethod
    def _for_tls(cls, value: object, info: ValidationInfo) -> object:
        protocol = info.data.get("security_protocol")
        if value and protocol in ("PLAINTEXT", "SASL_PLAINTEXT"):
            raise ValueError(f"is of no use, since SECURITY_PROTOCOL is {protocol}: take one with SSL")
        return value

    @field_validator("bootstrap_servers")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            match = _ADDRESS.match(address)
            if match is None or not 0 < int(match[1]) <= _LAST_PORT:
                raise ValueError("should be host:port, several with commas between, without a scheme")
        return value

    @field_validator("transactional_id")
    @classmethod
    def _plain_id(cls, value: str | None) -> str | None:
        if re.search(r"[{}]", (value or "").replace("{site}", "")):
            raise ValueError("should hold no placeholder but {site}")
        return value

    @field_validator("state_topic_template")
    @classmethod
    def _apart_from_events(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and (problem := problem_of_state_topic(value, info.data.get("site", ""))):
            raise ValueError(problem)
        return value

    @field_validator("topic_template")
    @classmethod
    def _template(cls, value: str) -> str:
        problem = _problem_of(value)
        if problem:
            raise ValueError(problem)
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        literals = self.topic_template.replace("{resource}", "").replace("{site}", self.site)
        if len(literals) > _LONGEST_LITERAL:
            raise ValueError(
                f"TOPIC_TEMPLATE is {len(literals)} characters without the resource; {_LONGEST_LITERAL} fit"
            )
        if is_reserved(topic_of(self.topic_template, self.site, "x")):
            raise ValueError("TOPIC_TEMPLATE leads to a topic that the bridge keeps for itself")
        if self.batch_bytes > self.max_request_bytes:
            raise ValueError("BATCH_BYTES is larger than MAX_REQUEST_BYTES")
        return self


def _problem_of(template: str) -> str | None:
    """Say what is wrong with a topic template, or None."""
    names = re.findall(r"\{([^{}]*)\}", template)
    literals = re.sub(r"\{[^{}]*\}", "", template)
    segments = template.split(".")
    if unknown := sorted(set(names) - _PLACEHOLDERS):
        known = ", ".join(f"{{{name}}}" for name in sorted(_PLACEHOLDERS))
        return f"should hold no placeholder but {known}, not {', '.join(unknown) or 'an empty one'}"
    if not re.fullmatch(r"[A-Za-z0-9._-]*", literals):
        return "should be made of A-Z, a-z, 0-9, '.', '_', '-' and placeholders in braces"
    if "" in segments:
        return "should have no empty segment between its dots"
    if "{" in segments[0]:
        return "should begin with a literal segment, so that no name from outside chooses it"
    if "_" in literals and "." in literals:
        return "should not hold both '.' and '_', which are one in the brokers' metric names"
    return None
