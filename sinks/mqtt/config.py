"""The settings of the MQTT sink, and what a topic template may look like.

Pure. QoS is no setting: it is always 1, since 0 gives no confirmation and 2 none that paho-mqtt reads.
"""

from collections.abc import Iterator
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from bridge.settings import CommaList, SinkConfig, Switch, TlsFiles, is_loopback
from bridge.template import filled, may_allow, problem_of_allowed
from sinks.mqtt.address import Address
from sinks.mqtt.layout import Topics, problem_of_base, problem_of_topic
from sinks.mqtt.state_topic import problem_of_state_topic

__all__ = ["MqttConfig"]

_WITH_TLS: Final = {"mqtt": "mqtts", "ws": "wss"}


class MqttConfig(TlsFiles, Address, SinkConfig):
    """Where the broker is, how to be let in, and how events are laid out on it."""

    version: Literal["5", "3.1.1"] = "5"
    """Version of the protocol; 3.1.1 has no headers and cannot tell that the broker refused an event."""
    client_id: str = Field(default="portos-bridge-{site}", min_length=1, max_length=200, pattern=r"^[ -~]+$")
    """Name of the connection at the broker, unique there; `{site}` is replaced."""
    ce_mode: Literal["binary", "structured"] | None = None
    """How CloudEvents are written: `binary`, the notification as payload and the attributes as user properties, or
    `structured`, all of it as one JSON document. Unless set it is `binary` over MQTT 5, and `structured` over 3.1.1,
    which has no user properties."""
    username: str | None = None
    """User name at the broker."""
    password: SecretStr | None = None
    """Its password."""
    base_topic: str = "portos"
    """First levels of every topic; `{site}` is replaced."""
    topic_template: str = "{base}/resources/{resource}"
    """Topic of resource events; it may hold `{base}`, `{site}`, `{resource}`, `{resource_id}` and `{action}`."""
    topic_allow: CommaList = ()
    """The only topics that events of resources may go to, such as `portos/resources/*`, where `*` is any end; what
    would go to others is a dead letter. None allows all."""
    announce: Switch = True
    """Whether the broker is told below `{base}/bridge/` how the bridge is, and says with a will when it is gone."""
    state_topic_template: str | None = None
    """Topic with the newest state of each resource, retained: `{base}/state/{resource}/{resource_id}`; `{site}` is
    filled in as well. None publishes no states."""
    keepalive_seconds: int = Field(default=30, ge=1, le=65_535)
    """A connection without any answer from the broker is dead after at most twice this time."""
    window_events: int = Field(default=500, ge=1, le=65_535)
    """How many events may be on their way to the broker at once, if it does not ask for less; this many may be repeated
    after a lost connection. Over MQTT 3.1.1, where a broker cannot ask, at most 100 are on their way."""
    max_packet_bytes: int = Field(default=0, ge=0, le=268_435_455)
    """Largest packet to send, if the broker does not ask for less; 0 leaves it to the broker."""

    @field_validator("ca_file", "client_cert_file", "client_key_file", "client_key_password")
    @classmethod
    def _for_tls(cls, value: object, info: ValidationInfo) -> object:
        scheme = urlsplit(info.data.get("url", "")).scheme
        if value and scheme in _WITH_TLS:
            raise ValueError(f"is of no use, since URL is {scheme}://: take {_WITH_TLS[scheme]}://")
        return value

    @field_validator("base_topic")
    @classmethod
    def _plain_base(cls, value: str) -> str:
        if problem := problem_of_base(value):
            raise ValueError(problem)
        return value

    @field_validator("topic_template")
    @classmethod
    def _confined_template(cls, value: str, info: ValidationInfo) -> str:
        if problem := problem_of_topic(value, info.data.get("base_topic", "x"), info.data.get("site", "")):
            raise ValueError(problem)
        return value

    @field_validator("topic_allow")
    @classmethod
    def _confining(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if problem := problem_of_allowed(value):
            raise ValueError(problem)
        base, site, template = (info.data.get(name) for name in ("base_topic", "site", "topic_template"))
        if base and site and template and not may_allow(value, Topics(base, site, template).beginning):
            raise ValueError("allows no topic that TOPIC_TEMPLATE can give")
        return value

    @field_validator("state_topic_template")
    @classmethod
    def _apart_from_events(cls, value: str | None) -> str | None:
        if value is not None and (problem := problem_of_state_topic(value)):
            raise ValueError(problem)
        return value

    def cautions(self) -> Iterator[tuple[str, str]]:
        """Yield what travels in plaintext to another host, and what the older protocol lacks."""
        if self.version != "5":
            text = "nothing expires at the broker, and a refusal of it cannot be seen: what it does not take is lost"
            yield "version", f"over 3.1.1 {text}; use 5 where you can"
        if not self.encrypted and not is_loopback(self.host):
            what = "the login and all events travel" if self.username else "all events travel"
            yield "url", f"{what} in plaintext to another host; use {_WITH_TLS[self.scheme]}:// where you can"

    @field_validator("ce_mode")
    @classmethod
    def _possible_mode(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value == "binary" and info.data.get("version") == "3.1.1":
            raise ValueError("cannot be binary, since MQTT 3.1.1 has no place for the attributes")
        return value

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        if self.password is not None and not self.username:
            raise ValueError("PASSWORD needs USERNAME")
        return self

    @property
    def structured(self) -> bool:
        """Whether events are written in CloudEvents' structured mode."""
        return self.version != "5" or self.ce_mode == "structured"

    @property
    def client_name(self) -> str:
        """The client id with the site filled in, the same for every connection."""
        return self.client_id.replace("{site}", self.site)

    @property
    def topics(self) -> Topics:
        """The topics of events."""
        return Topics(self.base_topic, self.site, self.topic_template, self.topic_allow)

    @property
    def base(self) -> str:
        """The base topic with the site filled in."""
        return filled(self.base_topic, {"site": self.site})
