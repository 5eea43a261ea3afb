"""A look at the brokers before there are any events: are the topics there, what are they, may the bridge write to them.

Asked by `portos-bridge check --connect`, over a connection of its own. It changes nothing unless it is told to create
what is missing, and then nothing that exists.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, KafkaError, for_code
from aiokafka.protocol.admin import CreateTopicsRequest, DescribeConfigsRequest

from bridge.errors import Unavailable
from bridge.message import Message
from bridge.ports import Finding
from sinks.kafka.appraisal import READ_SETTINGS, Cluster, Found, appraise
from sinks.kafka.config import KafkaConfig
from sinks.kafka.connection import explained, noting_failures
from sinks.kafka.ending import close_first_connection
from sinks.kafka.meaning import not_connected
from sinks.kafka.metadata import DescribeTopics
from sinks.kafka.starting import protection
from sinks.kafka.topic import Topic, allowing, refusals, settings_of, topics

__all__ = ["inspect"]

_TOPIC, _BROKER = 2, 4  # kinds of resources in Kafka's protocol
_DEFAULTS = ("auto.create.topics.enable", "default.replication.factor", "min.insync.replicas", "num.partitions")
_OPERATIONS = {3: "Read", 4: "Write", 5: "Create", 6: "Delete", 7: "Alter", 8: "Describe", 10: "DescribeConfigs"}
_CLOSE_SECONDS = 2.0
_LOOKS = 50
_LOOK_SECONDS = 0.1


async def inspect(config: KafkaConfig, examples: Sequence[Message], *, create: bool) -> AsyncGenerator[Finding, None]:
    """Yield what is to be said of each topic that events like these lead to; with `create` make what is missing first.

    Raises `Unavailable`. Waits for the brokers as long as REQUEST_SECONDS lets each answer take.
    """
    wanted = topics(config, examples)
    for text in refusals(config, examples):
        yield Finding("warning", f"{text}; its events become dead letters")
    failures = noting_failures(lambda address, error: not_connected(address, error, config.login).hold)
    try:
        async with _client(config) as client:
            brokers = _Brokers(client)
            cluster = await brokers.cluster()
            found = await brokers.look(wanted)
            if create:
                missing = [topic for topic in wanted if found[topic.name].error == "UnknownTopicOrPartitionError"]
                for finding in await brokers.create(config, missing, cluster):
                    yield finding
                found = await brokers.look(wanted)
            for topic in wanted:
                yield appraise(config, topic, found[topic.name], cluster)
    except (KafkaError, TimeoutError) as error:
        raise explained(error, "looking at the topics", failures, config.login) from error
    except NotImplementedError as error:  # no version of a request that both sides know
        raise Unavailable("brokers older than Kafka 2.3 do not tell", reason="protocol") from error


@asynccontextmanager
async def _client(config: KafkaConfig) -> AsyncIterator[Any]:
    client: Any = AIOKafkaClient(  # type: ignore[no-untyped-call]  # aiokafka types its consumer only
        bootstrap_servers=list(config.bootstrap_servers),
        client_id=config.client_id,
        request_timeout_ms=round(config.request_seconds * 1000),
        **await protection(config),
    )
    try:
        try:
            await client.bootstrap()
        except asyncio.CancelledError as cancelled:
            close_first_connection(cancelled)
            raise
        yield client
    finally:
        with suppress(TimeoutError):  # a broker that does not read on keeps nothing of the bridge waiting
            async with asyncio.timeout(_CLOSE_SECONDS):
                await client.close()


class _Brokers:
    """What can be asked of a cluster over one client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def cluster(self) -> Cluster:
        """Count the brokers, and ask one what it makes of topics that nobody has created."""
        node = await self._answering()
        defaults = await self._settings(node, {_BROKER: [str(node)]}, _DEFAULTS)
        return Cluster(len(self._client.cluster.brokers()), defaults.get(str(node)))

    async def look(self, wanted: Sequence[Topic]) -> Mapping[str, Found]:
        """Ask for topics by name; each that is wanted is there."""
        names = [topic.name for topic in wanted]
        node = await self._answering()
        answer = await self._client.send(node, DescribeTopics(names))
        described = {topic["name"]: topic for topic in answer.to_object()["topics"]}
        there = [name for name in names if not described[name]["error_code"]]
        settings = await self._settings(node, {_TOPIC: there}, READ_SETTINGS)
        return {name: _found(described[name], settings.get(name)) for name in names}

    async def _answering(self) -> int:
        """Choose a broker that can be connected with: one that has just gone is still among them for a while."""
        for broker in self._client.cluster.brokers():
            if await self._client.ready(broker.nodeId):
                return int(broker.nodeId)
        raise KafkaConnectionError("no broker can be connected with")

    async def _creating(self) -> int:
        """Choose the controller; where it has just gone any broker passes the request on (KRaft) or refuses it."""
        controller = self._client.cluster.controller
        if controller is not None and await self._client.ready(controller.nodeId):
            return int(controller.nodeId)
        return await self._answering()

    async def _settings(
        self, node: int, resources: Mapping[int, Sequence[str]], names: Sequence[str]
    ) -> dict[str, Mapping[str, str]]:
        """Ask for settings by resource; one whose settings the bridge may not read is left out."""
        asked = [(kind, name, list(names)) for kind, these in resources.items() for name in these]
        if not asked:
            return {}
        answer = await self._client.send(node, DescribeConfigsRequest(asked))
        return {
            resource["resource_name"]: {
                entry["config_names"]: entry["config_value"] for entry in resource["config_entries"]
            }
            for resource in answer.to_object()["resources"]
            if not resource["error_code"]
        }

    async def create(self, config: KafkaConfig, missing: Sequence[Topic], cluster: Cluster) -> list[Finding]:
        """Create topics, wait until the brokers know them, and tell what became of each."""
        if not missing:
            return []
        new: list[Any] = []
        for topic in missing:
            replicas, settings = settings_of(config, topic, cluster.brokers)
            new.append((topic.name, topic.partitions, replicas, [], list(settings.items())))
        seconds = config.request_seconds / 2
        request = CreateTopicsRequest(new, round(seconds * 1000), validate_only=False)
        answer = await self._client.send(await self._creating(), request)
        told = [_created(config, *each) for each in answer.topic_errors]
        for _ in range(_LOOKS):
            if await self._all_known(missing, told):
                break
            await asyncio.sleep(_LOOK_SECONDS)
        return told

    async def _all_known(self, new: Sequence[Topic], told: Sequence[Finding]) -> bool:
        found = await self.look(new)
        known = sum(not each.error and not each.leaderless for each in found.values())
        return known >= sum(finding.rank == "ok" for finding in told)


def _created(config: KafkaConfig, topic: str, code: int, message: str | None) -> Finding:
    error = for_code(code)
    match error.__name__:
        case "NoError":
            return Finding("ok", f"topic {topic} is created")
        case "TopicAuthorizationFailedError" | "ClusterAuthorizationFailedError":
            rights = allowing(config, topic, ["Create"])
            return Finding("failed", f"topic {topic} cannot be created, the right Create is missing: {rights}")
    return Finding("failed", f"topic {topic} cannot be created: {message or error.__name__}")


def _found(topic: Mapping[str, Any], settings: Mapping[str, str] | None) -> Found:
    if code := topic["error_code"]:
        return Found(for_code(code).__name__)
    partitions = topic["partitions"]
    allowed = topic["authorized_operations"]
    return Found(
        partitions=len(partitions),
        replicas=min((len(each["replicas"]) for each in partitions), default=0),
        in_sync=min((len(each["isr"]) for each in partitions), default=0),
        leaderless=sum(each["leader"] < 0 for each in partitions),
        rights=None if allowed < 0 else frozenset(name for bit, name in _OPERATIONS.items() if allowed >> bit & 1),
        settings=settings,
    )
