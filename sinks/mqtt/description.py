"""The MQTT sink as AsyncAPI describes it: the broker, the session and what is published with which flags. Pure.

Bindings are those of version 0.2.0 (https://github.com/asyncapi/bindings, mqtt).
"""

from collections.abc import Iterator, Mapping

from bridge.description import Description, Json, Server
from bridge.message import STRUCTURED_CONTENT_TYPE
from sinks.mqtt.config import MqttConfig

__all__ = ["describe"]

_BINDING = {"bindingVersion": "0.2.0"}
_PROTOCOLS: Mapping[str, str] = {"mqtt": "mqtt", "mqtts": "secure-mqtt", "ws": "ws", "wss": "wss"}
_PROPERTIES = ("Content Type", "Message Expiry Interval")


def describe(config: MqttConfig) -> Description:
    """Describe the broker as the settings know it, without what is secret."""
    return Description(
        servers=[_server(config)],
        properties=_PROPERTIES,
        operation={"mqtt": {"qos": 1, "retain": False, **_BINDING}},
        message=lambda _: _message(config),
    )


def _server(config: MqttConfig) -> Server:
    session: Json = {
        "clientId": config.client_name,
        "cleanSession": True,
        "keepAlive": config.keepalive_seconds,
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


def _message(config: MqttConfig) -> Json:
    if config.version != "5":
        return {}
    content_type = STRUCTURED_CONTENT_TYPE if config.structured else "application/json"
    return {"mqtt": {"contentType": content_type, **_BINDING}}
