"""What is to be said of a topic as the brokers have it: in a line what it is, and what is wrong with it.

Pure. Used by `sinks.kafka.inspection`. Where brokers leave a choice, the measure is what this sink promises: confirmed
by all in-sync replicas is worth something from the second replica on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bridge.ports import Finding
from sinks.kafka.config import CAUTIOUS_BATCH_BYTES, KafkaConfig
from sinks.kafka.topic import Topic, allowing, creating

__all__ = ["READ_SETTINGS", "Cluster", "Found", "appraise"]

READ_SETTINGS = (
    "cleanup.policy",
    "max.message.bytes",
    "min.insync.replicas",
    "retention.ms",
    "unclean.leader.election.enable",
)
_MISSING = "UnknownTopicOrPartitionError"
_DENIED = "TopicAuthorizationFailedError"


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as the brokers have it: `error` is why they do not tell, by the name of the client library.

    `replicas` and `in_sync` are those of the partition with the fewest; `leaderless` counts those without a leader.
    `rights` are the operations that the bridge is allowed, None where these brokers do not tell; `settings` are None
    where the bridge may not read them.
    """

    error: str = ""
    partitions: int = 0
    replicas: int = 0
    in_sync: int = 0
    leaderless: int = 0
    rights: frozenset[str] | None = None
    settings: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """How many brokers there are, and what topics they create by themselves; None where the bridge may not know."""

    brokers: int
    defaults: Mapping[str, str] | None = field(default=None)

    @property
    def creates(self) -> bool:
        """Whether a topic appears with its first event."""
        return self.defaults is not None and self.defaults.get("auto.create.topics.enable") == "true"


def appraise(config: KafkaConfig, topic: Topic, found: Found, cluster: Cluster) -> Finding:
    """Say what a topic is, and what is wrong with it."""
    name = f"topic {topic.name}"
    match found.error:
        case "":
            return _judged(config, topic, found)
        case error if error == _MISSING and cluster.creates:
            return Finding(
                "warning", f"{name} does not exist: the brokers make it with its first event, {_by(cluster)}"
            )
        case error if error == _MISSING:
            command = creating(config, topic, cluster.brokers)
            text = f"{name} does not exist; --create-topics makes it, and so does: {command}"
            if topic.expected:
                return Finding("failed", text)
            return Finding("warning", f"{text} (an event that this release does not know holds the sink without it)")
        case error if error == _DENIED:
            rights = allowing(config, topic.name, ["Describe", "Write"])
            return Finding("failed", f"{name}: the rights Describe and Write are missing: {rights}")
    return Finding("failed", f"{name}: {found.error}")


def _by(cluster: Cluster) -> str:
    defaults = cluster.defaults or {}
    names = ("num.partitions", "default.replication.factor", "min.insync.replicas")
    return "with " + ", ".join(f"{name}={defaults.get(name, '?')}" for name in names)


def _judged(config: KafkaConfig, topic: Topic, found: Found) -> Finding:
    wrong = list(_wrong(config, topic, found))
    text = f"topic {topic.name}: {_shape(found)}"
    if not wrong:
        return Finding("ok", text)
    gravest = min(wrong, key=lambda finding: finding.rank != "failed")
    return Finding(gravest.rank, f"{text}: {'; '.join(finding.text for finding in wrong)}")


def _shape(found: Found) -> str:
    """Write what a topic is, in the words of its settings."""
    shape = [_counted(found.partitions, "partition"), _counted(found.replicas, "replica")]
    if found.settings is None:
        return ", ".join([*shape, "its settings are not shown without the right DescribeConfigs"])
    shown = ("min.insync.replicas", "cleanup.policy", "max.message.bytes", "retention.ms")
    return ", ".join([*shape, *(f"{name}={found.settings[name]}" for name in shown if name in found.settings)])


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _wrong(config: KafkaConfig, topic: Topic, found: Found) -> Iterator[Finding]:
    if found.rights is not None and (lacking := sorted({"Describe", "Write"} - found.rights)):
        rights = f"the right{'s' * (len(lacking) > 1)} {' and '.join(lacking)} {'are' if len(lacking) > 1 else 'is'}"
        yield Finding("failed", f"{rights} missing: {allowing(config, topic.name, lacking)}")
    if found.leaderless:
        yield Finding(
            "failed", f"{_counted(found.leaderless, 'partition')} without a leader: nothing can be written there"
        )
    if found.replicas == 1:
        yield Finding("warning", "with one replica a lost disk loses events that were confirmed")
    yield from _wrong_settings(config, found, found.settings or {})
    yield from _wrong_policy(topic, (found.settings or {}).get("cleanup.policy"))


def _wrong_settings(config: KafkaConfig, found: Found, settings: Mapping[str, str]) -> Iterator[Finding]:
    least, most = _number(settings, "min.insync.replicas"), _number(settings, "max.message.bytes")
    if least is not None and least > found.replicas:
        yield Finding("failed", "more replicas must confirm than there are: nothing can be written")
    elif least is not None and found.in_sync < least and not found.leaderless:
        yield Finding("failed", f"only {found.in_sync} in sync of some partition: nothing can be written there")
    elif least == 1 and found.replicas > 1:
        yield Finding("warning", "what one replica alone has confirmed is lost with it: set min.insync.replicas=2")
    if most is not None and most < config.largest_batch_bytes:
        text = f"BATCH_BYTES is {config.largest_batch_bytes}: the brokers refuse such batches, set it to at most {most}"
        yield Finding("failed" if most < CAUTIOUS_BATCH_BYTES else "warning", text)
    elif most is not None and most < config.max_request_bytes:
        text = f"MAX_REQUEST_BYTES is {config.max_request_bytes}: the brokers refuse events of a size between"
        yield Finding("warning", text)
    if settings.get("unclean.leader.election.enable") == "true":
        yield Finding(
            "warning", "a replica that is behind may lead, which loses events: unclean.leader.election.enable"
        )


def _wrong_policy(topic: Topic, policy: str | None) -> Iterator[Finding]:
    if policy is None:
        return
    if topic.compacted and "compact" not in policy:
        yield Finding("failed", "not compacted: states are lost with their age, set cleanup.policy=compact")
    elif topic.compacted and "delete" in policy:
        yield Finding("warning", "states are lost with their age: set cleanup.policy=compact alone")
    elif not topic.compacted and "compact" in policy:
        yield Finding("warning", "compacted: of each key only the last event is kept")


def _number(settings: Mapping[str, str], name: str) -> int | None:
    value = settings.get(name, "")
    return int(value) if value.isdecimal() else None
