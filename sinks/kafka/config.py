"""The settings of the Kafka sink: `PORTOS_BRIDGE_SINK__KAFKA__` and the names of the fields here.

Pure. What would lose or reorder events is no setting: `acks` is `all` and the producer is idempotent.
"""

import re
from collections.abc import Iterator
from typing import Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator

from bridge.settings import CommaList, Positive, SinkConfig, TlsFiles, is_loopback
from bridge.template import literals, may_allow, problem_of_allowed
from bridge.tls import UnusableFile, client_context
from sinks.kafka.layout import GAPS_TOPIC, LICENCE_TOPIC, OTHER_TOPIC, Layout, problem_of_key, problem_of_topic
from sinks.kafka.security import Security
from sinks.kafka.state import problem_of_state_topic

__all__ = ["CAUTIOUS_BATCH_BYTES", "KafkaConfig"]

CAUTIOUS_BATCH_BYTES = 65_536
"""The largest batch for a topic that has refused a larger one: where it takes still less, BATCH_BYTES has to be set."""

_ADDRESS = re.compile(r"^(?:\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]+):(\d{1,5})$")
T = TypeVar("T")
_LAST_PORT = 65_535
_IN_USE = frozenset({LICENCE_TOPIC, OTHER_TOPIC, GAPS_TOPIC})


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
    key_template: str = "{resource_id}"
    """The key of a resource's events; `{resource_id}`, `{resource}` and `{site}` are filled in. Topic and key together
    have to tell which resource it is. An id alone stands as it is, beside anything else names are percent-encoded."""
    topic_allow: CommaList = ()
    """The only topics that events of resources may go to, such as `portos.tickets,portos.stock*`, where `*` is any end;
    what would go to others is a dead letter. None allows all."""
    ce_mode: Literal["binary", "structured"] = "binary"
    """How CloudEvents are written: `binary`, the notification as value and the attributes as headers, or `structured`,
    all of it as one JSON document."""
    dlq_topic: str | None = Field(default=None, min_length=1, max_length=249, pattern=r"^[A-Za-z0-9._-]+$")
    """Topic to which each dead letter of this sink is copied as well; none copies none."""
    window_events: int = Field(default=1_000, ge=1, le=100_000)
    """How many events may be on their way to the brokers at once; this many may be repeated after a lost connection."""
    batch_bytes: int = Field(default=262_144, ge=1_024, le=16_777_216)
    """Largest batch of events for one partition; at most the brokers' `message.max.bytes`. Not set, it is no larger
    than `MAX_REQUEST_BYTES`."""
    max_request_bytes: int = Field(default=1_048_576, ge=1_024, le=104_857_600)
    """Largest single event, as a record before compression; what becomes of a larger one says `EVENT__OVERSIZE`."""
    request_seconds: Positive = 15
    """Longest wait for a broker's answer before the connection is closed and the request repeated."""
    compression: Literal["none", "gzip", "lz4", "zstd"] = "none"
    """How batches are compressed; `zstd` is the smallest and costs a fraction of `gzip`, `lz4` costs least of all."""
    transactional_id: str | None = Field(default=None, min_length=1, max_length=200, pattern=r"^[A-Za-z0-9._{}-]+$")
    """A name of its own in the cluster, by which brokers refuse what a lost connection delivers late; with `{site}`.
    States always have one: this, or CLIENT_ID and the site, and `-state`."""

    @property
    def layout(self) -> Layout:
        """The topics and keys of events."""
        return Layout(self.site, self.topic_template, self.key_template, self.dlq_topic, self.topic_allow)

    @property
    def fencing_id(self) -> str | None:
        """The transactional id with the site filled in."""
        return self.transactional_id and self.transactional_id.replace("{site}", self.site)

    @property
    def state_fencing_id(self) -> str:
        """The transactional id of the connection for states, without which a late arrival could be the last state."""
        return f"{self.fencing_id or f'{self.client_id}-{self.site}'}-state"

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
    def _sound_topic(cls, value: str, info: ValidationInfo) -> str:
        return _without(problem_of_topic(value, info.data.get("site", "")), value)

    @field_validator("key_template")
    @classmethod
    def _sound_key(cls, value: str, info: ValidationInfo) -> str:
        return _without(problem_of_key(value, info.data.get("topic_template", "{resource}")), value)

    @field_validator("topic_allow")
    @classmethod
    def _confining(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        template = info.data.get("topic_template")
        if template and not may_allow(value, literals(template)[0]):
            raise ValueError("allows no topic that TOPIC_TEMPLATE can give")
        return _without(problem_of_allowed(value), value)

    @field_validator("dlq_topic")
    @classmethod
    def _of_its_own(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value in _IN_USE or (value or "").startswith("portos.state."):
            raise ValueError("is a topic that the bridge uses for something else")
        if value and value == info.data.get("topic_template"):
            raise ValueError("is the topic of all events, as TOPIC_TEMPLATE has it")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if "batch_bytes" in self.model_fields_set and self.batch_bytes > self.max_request_bytes:
            raise ValueError("BATCH_BYTES is larger than MAX_REQUEST_BYTES")
        return self

    @property
    def largest_batch_bytes(self) -> int:
        """The largest batch: where it is not set it gives way to the largest event."""
        return min(self.batch_bytes, self.max_request_bytes)


def _without(problem: str | None, value: T) -> T:
    if problem:
        raise ValueError(problem)
    return value
