"""What Kafka's own `kafka-topics.sh` and `kafka-acls.sh` do with a command line that the bridge or a README tells."""

import argparse
import shlex

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

__all__ = ["revoke_all", "run_tool"]

_CLUSTER = "kafka-cluster"
_OPERATIONS = {"IdempotentWrite": "IDEMPOTENT_WRITE", "DescribeConfigs": "DESCRIBE_CONFIGS"}


def run_tool(bootstrap: str, command: str) -> None:
    """Do what a command line says, at other brokers than it says: whoever tests it may do so there."""
    tool, *words = shlex.split(command, comments=True)
    {"kafka-topics.sh": _create, "kafka-acls.sh": _allow}[tool](bootstrap, words)


def _create(bootstrap: str, words: list[str]) -> None:
    parser = _parser()
    parser.add_argument("--create", action="store_true", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--replication-factor", type=int, required=True)
    parser.add_argument("--config", action="append", default=[])
    given = parser.parse_args(words)
    config = dict(item.split("=", 1) for item in given.config)
    new = NewTopic(given.topic, given.partitions, given.replication_factor, config=config)
    admin = _admin(bootstrap)
    admin.create_topics([new])[given.topic].result(30)


def _allow(bootstrap: str, words: list[str]) -> None:
    parser = _parser()
    parser.add_argument("--add", action="store_true", required=True)
    parser.add_argument("--allow-principal", required=True)
    parser.add_argument("--operation", action="append", required=True)
    parser.add_argument("--resource-pattern-type", default="literal", choices=("literal", "prefixed"))
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--topic")
    where.add_argument("--transactional-id")
    where.add_argument("--cluster", action="store_const", const=_CLUSTER)
    given = parser.parse_args(words)
    kind = ResourceType.TOPIC if given.topic else ResourceType.BROKER
    if given.transactional_id:
        kind = ResourceType.TRANSACTIONAL_ID
    name = given.topic or given.transactional_id or given.cluster
    pattern = ResourcePatternType[given.resource_pattern_type.upper()]
    admin = _admin(bootstrap)
    for operation in given.operation:
        what = AclOperation[_OPERATIONS.get(operation, operation.upper())]
        binding = AclBinding(kind, name, pattern, given.allow_principal, "*", what, AclPermissionType.ALLOW)
        admin.create_acls([binding])[binding].result(30)


def revoke_all(bootstrap: str) -> None:
    """Take every right away again."""
    anything = (ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY)
    every = AclBindingFilter(*anything)
    admin = _admin(bootstrap)
    admin.delete_acls([every])[every].result(30)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--bootstrap-server", required=True)
    parser.add_argument("--command-config")
    return parser


def _admin(bootstrap: str) -> AdminClient:
    """Give a client, to be kept for as long as its answer is waited for."""
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
