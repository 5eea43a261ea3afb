"""Which topics the settings lead to, and what each should be: what `check --connect` looks for and can create.

Pure. The topics are those of the events that are given, found by the function that delivers them, so that neither can
lead elsewhere.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bridge.errors import Rejected
from bridge.message import Message
from sinks.kafka.config import KafkaConfig
from sinks.kafka.explanation import explain
from sinks.kafka.layout import OTHER_TOPIC
from sinks.kafka.state import state_topic

__all__ = ["Topic", "allowing", "creating", "refusals", "settings_of", "topics"]

_PARTITIONS = 6
"""Enough for six consumers a topic; it cannot be raised later without moving the keys."""
_MOST_REPLICAS = 3
_DEFAULT_MESSAGE_BYTES = 1_048_588  # what brokers take unless told otherwise: `message.max.bytes` of Kafka 4.1


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and how many partitions it should have; one that is not `expected` is for events that may never come.

    One partition is enough where all events have the same key. Of a `compacted` one the last record of a key is kept.
    """

    name: str
    partitions: int = _PARTITIONS
    expected: bool = True
    compacted: bool = False


def topics(config: KafkaConfig, examples: Iterable[Message]) -> Sequence[Topic]:
    """Name the topics of events like these, of states, and of the copies of dead letters, each once."""
    found: dict[str, Topic] = {}
    for message in examples:
        try:
            name = explain(config, message).topic
        except Rejected:
            continue  # which `refusals` tells
        partitions = 1 if message.resource is None else _PARTITIONS
        found.setdefault(name, Topic(name, partitions, name != OTHER_TOPIC))
        if config.state_topic_template is not None and message.resource is not None:
            name = state_topic(config.state_topic_template, config.site, message.resource)
            found.setdefault(name, Topic(name, partitions, compacted=True))
    if config.dlq_topic is not None:
        found.setdefault(config.dlq_topic, Topic(config.dlq_topic, 1))
    return list(found.values())


def refusals(config: KafkaConfig, examples: Iterable[Message]) -> Iterator[str]:
    """Say why events like some of these have no topic, each reason once."""
    told = set()
    for message in examples:
        try:
            explain(config, message)
        except Rejected as refusal:
            if str(refusal) not in told:
                yield str(refusal)
            told.add(str(refusal))


def settings_of(config: KafkaConfig, topic: Topic, brokers: int) -> tuple[int, Mapping[str, str]]:
    """Give the number of replicas and the settings that a new topic is to have; how long events are kept is not ours.

    Of three replicas two confirm, so that one may be away, and of fewer one less; else the brokers' default might ask
    for more than there are.
    """
    replicas = min(_MOST_REPLICAS, max(brokers, 1))
    policy = "compact" if topic.compacted else "delete"
    settings = {"cleanup.policy": policy, "min.insync.replicas": str(max(replicas - 1, 1))}
    if config.max_request_bytes > _DEFAULT_MESSAGE_BYTES:
        settings["max.message.bytes"] = str(config.max_request_bytes)
    return replicas, settings


def creating(config: KafkaConfig, topic: Topic, brokers: int) -> str:
    """Write the command that creates a topic as `--create-topics` would."""
    replicas, settings = settings_of(config, topic, brokers)
    words = [*_tool(config, "kafka-topics.sh"), "--create", "--topic", topic.name]
    words += ["--partitions", str(topic.partitions), "--replication-factor", str(replicas)]
    for name, value in settings.items():
        words += ["--config", f"{name}={value}"]
    return shlex.join(words)


def allowing(config: KafkaConfig, topic: str, operations: Sequence[str]) -> str:
    """Write the command that gives the bridge rights on a topic."""
    words = [*_tool(config, "kafka-acls.sh"), "--add", "--allow-principal", _principal(config)]
    for operation in operations:
        words += ["--operation", operation]
    return shlex.join([*words, "--topic", topic])


def _tool(config: KafkaConfig, name: str) -> list[str]:
    """Name the tool and the brokers; how it logs in itself is for whoever calls it."""
    secured = [] if config.security_protocol == "PLAINTEXT" else ["--command-config", "admin.properties"]
    return [name, "--bootstrap-server", ",".join(config.bootstrap_servers), *secured]


def _principal(config: KafkaConfig) -> str:
    """Give whom the brokers take the bridge for; what a certificate or a token makes of it is up to them."""
    if config.sasl_username:
        return f"User:{config.sasl_username}"
    named = config.sasl_mechanism or config.client_cert_file
    return "User:PRINCIPAL" if named else "User:ANONYMOUS"
