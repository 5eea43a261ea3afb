"""The MQTT sink as AsyncAPI describes it: the broker, the session and what is published with which flags. Pure.

Bindings are those of version 0.2.0 (https://github.com/asyncapi/bindings, mqtt).
"""

from collections.abc import Iterator, Mapping

from bridge.description import Description, Json, Server, Topic
from bridge.message import STRUCTURED_CONTENT_TYPE
from bridge.ports import OFFLINE
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.notices import CONTENT_TYPE, notice_topic
from sinks.mqtt.state import mark_topic

__all__ = ["describe"]

_BINDING = {"bindingVersion": "0.2.0"}
_PROTOCOLS: Mapping[str, str] = {"mqtt": "mqtt", "mqtts": "secure-mqtt", "ws": "ws", "wss": "wss"}
_PROPERTIES = ("Content Type", "Message Expiry Interval")


def describe(config: MqttConfig) -> Description:
    """Describe the broker as the settings know it, without what is secret."""
    return Description(
        servers=[_server(config)],
        properties=_PROPERTIES,
        operation=_operation(retained=False),
        message=lambda _: _message(config),
        topics=list(_notices(config)),
        states=_states(config),
    )


def _server(config: MqttConfig) -> Server:
    session: Json = {
        "clientId": config.client_name,
        "cleanSession": True,
        "keepAlive": config.keepalive_seconds,
        **({"lastWill": _will(config)} if config.announce else {}),
        **({"maximumPacketSize": config.max_packet_bytes} if config.max_packet_bytes else {}),
        **_BINDING,
    }
    path = None if config.websocket_url is None else f"/{config.websocket_url.split('/', 3)[3]}"
    return Server(
        host=f"{f'[{config.host}]' if ':' in config.host else config.host}:{config.port}",
        protocol=_PROTOCOLS[config.scheme],
        protocol_version=config.version,
        pathname=path,
        description="MQTT over a WebSocket" if path else None,
        security=list(_security(config)),
        bindings={"mqtt": session},
    )


def _security(config: MqttConfig) -> Iterator[Json]:
    if config.username:
        yield {"type": "userPassword", "description": "user name and password at the broker"}
    if config.client_cert_file is not None:
        yield {"type": "X509", "description": "the client shows a certificate of its own"}


def _operation(*, retained: bool) -> Json:
    return {"mqtt": {"qos": 1, "retain": retained, **_BINDING}}


def _will(config: MqttConfig) -> Json:
    topic = notice_topic(config, OFFLINE.name)
    return {"topic": topic, "qos": 1, "message": OFFLINE.body.decode(), "retain": OFFLINE.kept}


_NOTICES: Mapping[str, tuple[str, bool]] = {
    "state": ("Whether the bridge is there; the broker says so itself when it is gone without a word.", True),
    "info": ("What bridge it is, and what it was told to bring.", True),
    "health": ("How the bridge is, every half minute.", False),
}


def _notices(config: MqttConfig) -> Iterator[Topic]:
    for name, (summary, retained) in _NOTICES.items() if config.announce else ():
        yield Topic(
            notice_topic(config, name),
            name=f"bridge.{name}",
            summary=summary,
            schema=f"bridge.{name}",
            operation=_operation(retained=retained),
            message=_json(config),
        )
    if config.state_topic_template is not None:
        yield Topic(
            mark_topic(config),
            name="bridge.marker",
            summary="By this the bridge knows whether the broker still has the states; it means nothing to others.",
            payload={"type": "string"},
            content_type="text/plain",
            operation=_operation(retained=True),
        )


def _states(config: MqttConfig) -> Topic | None:
    if config.state_topic_template is None:
        return None
    site = config.site
    return Topic(
        config.state_topic_template.replace("{base}", config.base).replace("{site}", site),
        name="portos.state.deleted",
        summary="An empty payload: the resource was deleted, and nothing is retained of it any more.",
        payload={"type": "string", "maxLength": 0},
        examples=[{"payload": ""}],
        operation=_operation(retained=True),
    )


def _json(config: MqttConfig) -> Json:
    return {"mqtt": {"contentType": CONTENT_TYPE, **_BINDING}} if config.version == "5" else {}


def _message(config: MqttConfig) -> Json:
    if config.version != "5":
        return {}
    return {"mqtt": {"contentType": STRUCTURED_CONTENT_TYPE if config.structured else CONTENT_TYPE, **_BINDING}}
