"""What is said of a topic, by what the brokers tell of it."""

import pytest

from sinks.kafka.appraisal import Cluster, Found, appraise
from sinks.kafka.config import KafkaConfig
from sinks.kafka.topic import Topic

CONFIG = KafkaConfig(bootstrap_servers=("kafka:9092",))
TOPIC = Topic("portos.tickets")
THREE = Cluster(3)
SETTINGS = {
    "cleanup.policy": "delete",
    "max.message.bytes": "1048588",
    "min.insync.replicas": "2",
    "retention.ms": "604800000",
    "unclean.leader.election.enable": "false",
}
RIGHTS = frozenset({"Describe", "Write"})


def found(*, settings: dict[str, str] | None = None, rights: frozenset[str] | None = RIGHTS, **values: int) -> Found:
    shape = {"partitions": 6, "replicas": 3, "in_sync": 3} | values
    return Found(**shape, rights=rights, settings=SETTINGS | (settings or {}))


def test_a_topic_as_it_should_be_is_shown_with_what_it_is() -> None:
    """Its settings stand there in the brokers' own words."""
    finding = appraise(CONFIG, TOPIC, found(), THREE)

    assert finding.rank == "ok"
    assert finding.text == (
        "topic portos.tickets: 6 partitions, 3 replicas, min.insync.replicas=2, cleanup.policy=delete,"
        " max.message.bytes=1048588, retention.ms=604800000"
    )


@pytest.mark.parametrize(
    ("there", "rank", "said"),
    [
        (found(replicas=1, in_sync=1, settings={"min.insync.replicas": "1"}), "warning", "one replica"),
        (found(settings={"min.insync.replicas": "1"}), "warning", "set min.insync.replicas=2"),
        (found(replicas=2, in_sync=2, settings={"min.insync.replicas": "3"}), "failed", "than there are"),
        (found(in_sync=1), "failed", "only 1 in sync"),
        (found(leaderless=1), "failed", "1 partition without a leader"),
        (found(settings={"cleanup.policy": "compact,delete"}), "warning", "compacted"),
        (found(settings={"max.message.bytes": "500000"}), "warning", "MAX_REQUEST_BYTES is 1048576"),
        (found(settings={"max.message.bytes": "20000"}), "failed", "BATCH_BYTES is 262144"),
        (found(settings={"max.message.bytes": "100000"}), "warning", "set it to at most 100000"),
        (found(settings={"unclean.leader.election.enable": "true"}), "warning", "unclean"),
        (found(rights=frozenset({"Describe"})), "failed", "the right Write is missing: kafka-acls.sh"),
        (found(rights=frozenset()), "failed", "the rights Describe and Write are missing: kafka-acls.sh"),
        (Found("TopicAuthorizationFailedError"), "failed", "--operation Describe --operation Write --topic"),
        (Found("UnknownTopicOrPartitionError"), "failed", "does not exist; --create-topics makes it"),
        (Found("InvalidTopicError"), "failed", "InvalidTopicError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said_and_how_it_is_mended(there: Found, rank: str, said: str) -> None:
    """A failure is what keeps events from arriving; all else that should be known is a warning."""
    finding = appraise(CONFIG, TOPIC, there, THREE)

    assert finding.rank == rank
    assert said in finding.text


@pytest.mark.parametrize(
    ("policy", "rank", "said"),
    [("compact", "ok", ""), ("compact,delete", "warning", "compact alone"), ("delete", "failed", "not compacted")],
)
def test_a_topic_of_states_has_to_be_compacted(policy: str, rank: str, said: str) -> None:
    """Else the state of what has not changed for a while is deleted."""
    topic = Topic("portos.state.tickets", compacted=True)

    finding = appraise(CONFIG, topic, found(settings={"cleanup.policy": policy}), THREE)

    assert finding.rank == rank
    assert said in finding.text


def test_all_that_is_wrong_is_said_at_once_by_the_gravest_of_it() -> None:
    """One line a topic, so that a list of them stays one."""
    there = found(replicas=1, in_sync=1, rights=frozenset({"Describe"}), settings={"min.insync.replicas": "1"})

    finding = appraise(CONFIG, TOPIC, there, THREE)

    assert finding.rank == "failed"
    assert "Write is missing" in finding.text
    assert "one replica" in finding.text


def test_settings_that_may_not_be_read_are_no_failure() -> None:
    """The bridge needs no right to read them when it runs."""
    there = Found(partitions=6, replicas=3, in_sync=3, rights=RIGHTS)

    finding = appraise(CONFIG, TOPIC, there, THREE)

    assert (finding.rank, finding.text.partition("; ")[2]) == ("ok", "")
    assert "DescribeConfigs" in finding.text


@pytest.mark.parametrize(
    ("topic", "defaults", "rank"),
    [
        (TOPIC, None, "failed"),
        (TOPIC, {"auto.create.topics.enable": "false"}, "failed"),
        (TOPIC, {"auto.create.topics.enable": "true", "num.partitions": "1"}, "warning"),
        (Topic("portos.other-events", 1, expected=False), None, "warning"),
    ],
    ids=["unknown", "never", "by itself", "not expected"],
)
def test_a_missing_topic_is_a_failure_where_nobody_makes_it(
    topic: Topic, defaults: dict[str, str] | None, rank: str
) -> None:
    """Brokers that make topics by themselves do so with settings of their own, which are told."""
    finding = appraise(CONFIG, topic, Found("UnknownTopicOrPartitionError"), Cluster(1, defaults))

    assert finding.rank == rank
    assert ("num.partitions=1" in finding.text) == (defaults is not None and "num.partitions" in defaults)
