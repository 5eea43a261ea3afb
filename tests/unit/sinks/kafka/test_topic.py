"""Which topics the settings lead to, and what they are created with."""

import shlex

import msgspec
import pytest

from bridge.contract import sample
from bridge.message import LICENCE_ACTIVATED, RESYNC_REQUIRED, Message
from sinks.kafka.config import KafkaConfig
from sinks.kafka.topic import Topic, allowing, creating, refusals, settings_of, topics


def config(**values: object) -> KafkaConfig:
    return KafkaConfig.model_validate({"bootstrap_servers": "kafka-1:9092,kafka-2:9092"} | values)


def own(event: str) -> Message:
    return msgspec.structs.replace(sample(1), event=event, resource=None, resource_id=None, version=None, action=None)


EXAMPLES = [
    *(sample(1, resource=name) for name in ("tickets", "tickets", "mPOS Link")),
    *map(own, (LICENCE_ACTIVATED, RESYNC_REQUIRED, "portos.unknown")),
]


def test_every_event_has_its_topic_and_every_topic_is_named_once() -> None:
    """Those of one key have one partition; the one for what nobody expects is not expected."""
    found = topics(config(dlq_topic="letters"), EXAMPLES)

    assert found == [
        Topic("portos.tickets", 6),
        Topic("portos.mPOS-20Link", 6),
        Topic("portos.licence", 1),
        Topic("portos.bridge.gaps", 1),
        Topic("portos.other-events", 1, expected=False),
        Topic("letters", 1),
    ]


def test_states_have_topics_that_are_compacted() -> None:
    """One for each resource, with as many partitions as its events, so that a key has the same place in both."""
    settings = config(state_topic_template="portos.state.{resource}")

    found = topics(settings, EXAMPLES)

    assert found[:2] == [Topic("portos.tickets", 6), Topic("portos.state.tickets", 6, compacted=True)]
    assert sum(topic.compacted for topic in found) == 2
    assert settings_of(settings, found[1], 3)[1]["cleanup.policy"] == "compact"


def test_an_event_that_has_no_topic_is_told() -> None:
    """A resource whose name leads to a topic of the bridge's own becomes dead letters, and has no topic to create."""
    examples = [sample(number, resource="licence") for number in (1, 2)]

    told = list(refusals(config(), examples))

    assert len(told) == 1
    assert "portos.licence" in told[0]
    assert topics(config(), examples) == []


@pytest.mark.parametrize(("brokers", "replicas", "confirmed"), [(1, 1, "1"), (2, 2, "1"), (3, 3, "2"), (9, 3, "2")])
def test_a_new_topic_has_as_many_replicas_as_there_are_brokers_for(brokers: int, replicas: int, confirmed: str) -> None:
    """At most three; of three two must confirm, so that one may be away."""
    found, settings = settings_of(config(), Topic("a"), brokers)

    assert (found, settings) == (replicas, {"cleanup.policy": "delete", "min.insync.replicas": confirmed})


def test_a_new_topic_takes_the_largest_event() -> None:
    """Only where that is more than brokers take by themselves."""
    assert settings_of(config(max_request_bytes=5_000_000), Topic("a"), 1)[1]["max.message.bytes"] == "5000000"


def test_the_commands_are_those_of_kafkas_own_tools() -> None:
    """Whoever may create topics and rights can paste them; a name is quoted where the shell would not keep it."""
    scram = {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", "sasl_password": "x"}

    created = creating(config(), Topic("portos.tickets"), 3)
    allowed = allowing(config(sasl_username="the bridge", **scram), "portos.tickets", ["Describe", "Write"])

    assert created == (
        "kafka-topics.sh --bootstrap-server kafka-1:9092,kafka-2:9092 --create --topic portos.tickets --partitions 6"
        " --replication-factor 3 --config cleanup.policy=delete --config min.insync.replicas=2"
    )
    assert shlex.split(allowed)[3:] == [
        *("--command-config", "admin.properties", "--add", "--allow-principal", "User:the bridge"),
        *("--operation", "Describe", "--operation", "Write", "--topic", "portos.tickets"),
    ]


@pytest.mark.parametrize(
    ("values", "principal"),
    [
        ({}, "User:ANONYMOUS"),
        ({"security_protocol": "SSL"}, "User:ANONYMOUS"),
        ({"security_protocol": "SSL", "client_cert_file": "a.pem", "client_key_file": "a.key"}, "User:PRINCIPAL"),
    ],
    ids=["plaintext", "tls", "certificate"],
)
def test_rights_are_given_to_whom_the_brokers_see(values: dict[str, object], principal: str) -> None:
    """What a broker makes of a certificate is for its operator to fill in."""
    assert f"--allow-principal {principal} " in allowing(config(**values), "a", ["Write"])
