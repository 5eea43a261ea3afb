"""The Kafka sink as AsyncAPI describes it: brokers, logins, keys and the topic of copies. Pure.

Bindings are those of version 0.5.0 (https://github.com/asyncapi/bindings, kafka). How many partitions a topic has is
for the cluster to say.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from bridge.description import Description, Json, Server, Topic
from bridge.ports import DLQ_FLAGS
from sinks.kafka.config import KafkaConfig

__all__ = ["describe"]

_BINDING = {"bindingVersion": "0.5.0"}
_LOGINS: Mapping[str, str] = {"PLAIN": "plain", "SCRAM-SHA-256": "scramSha256", "SCRAM-SHA-512": "scramSha512"}


def describe(config: KafkaConfig) -> Description:
    """Describe the cluster as the settings know it, without what is secret."""
    security = list(_security(config))
    protocol = "kafka-secure" if config.encrypted else "kafka"
    return Description(
        servers=[Server(address, protocol, security=security) for address in config.bootstrap_servers],
        prefix="ce_",
        operation=_operation(config.client_id),
        message=_message,
        topics=list(_copies(config)),
        states=_states(config),
    )


def _message(key: str | None) -> Json:
    text = f"`{key}`; what has the same key is in one partition, in order"
    return {"kafka": {"key": {"type": "string", "description": text}, **_BINDING}}


def _security(config: KafkaConfig) -> Iterator[Json]:
    mechanism = config.sasl_mechanism
    if mechanism == "OAUTHBEARER":
        yield _oauth(config)
    elif mechanism is not None:
        yield {"type": _LOGINS[mechanism], "description": f"{config.security_protocol}, {mechanism}"}
    if config.client_cert_file is not None:
        yield {"type": "X509", "description": "the client shows a certificate of its own"}


def _oauth(config: KafkaConfig) -> Json:
    if config.oauth_token_url is None:
        return {"type": "http", "scheme": "bearer", "description": "OAUTHBEARER, with a token that is given"}
    scopes = (config.oauth_scope or "").split()
    url = urlsplit(config.oauth_token_url)._replace(query="", fragment="").geturl()  # where a key may stand
    flow = {"tokenUrl": url, "availableScopes": dict.fromkeys(scopes, "what the bridge asks for")}
    return {"type": "oauth2", "description": "OAUTHBEARER", "flows": {"clientCredentials": flow}, "scopes": scopes}


def _states(config: KafkaConfig) -> Topic | None:
    if config.state_topic_template is None:
        return None
    compacted = {"topicConfiguration": {"cleanup.policy": ["compact"]}, **_BINDING}
    return Topic(
        config.state_topic_template.replace("{site}", config.site),
        name="portos.state.deleted",
        summary="A tombstone: the resource was deleted. What it was stands in the headers.",
        payload={"type": "null"},
        examples=[{"payload": None}],
        channel={"kafka": compacted},
        operation=_operation(f"{config.client_id}-state"),
        message=_message(config.key_template.replace("{site}", config.site)),
    )


def _operation(client_id: str) -> Json:
    return {"kafka": {"clientId": {"type": "string", "const": client_id}, **_BINDING}}


def _copies(config: KafkaConfig) -> Iterator[Topic]:
    if config.dlq_topic is not None:
        known = {"type": "object", "patternProperties": {f"^{DLQ_FLAGS}": {"type": "string"}}}
        yield Topic(
            config.dlq_topic,
            name="portos.bridge.dlq",
            summary="A copy of a dead letter: the event as it was, and what is known of it in headers that begin with"
            f" `{DLQ_FLAGS}`.",
            headers=known,
            operation=_operation(config.client_id),
            message=_message("the key of its event"),
        )
