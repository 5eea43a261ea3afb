"""The way to a broker: TCP, TLS or a WebSocket over either, as its URL says. Used by `sinks.mqtt.sink`."""

import asyncio
import ssl

from bridge.errors import Unavailable
from bridge.tls import UnusableFile
from sinks.mqtt.config import MqttConfig
from sinks.mqtt.meaning import not_connected
from sinks.mqtt.websocket import open_websocket

__all__ = ["open_connection"]

_TLS_CLOSE_SECONDS = 1.0


async def open_connection(config: MqttConfig, protocol: asyncio.Protocol) -> None:
    """Connect a protocol to the broker, with the files as they are now; raises `Unavailable`.

    Waits as long as the broker lets it, so it is called under a deadline. Cancelling leaves nothing behind.
    """
    context = await _context(config) if config.encrypted else None
    try:
        if config.websocket_url is not None:
            await open_websocket(config.websocket_url, context, protocol)
        elif context is None:
            await asyncio.get_running_loop().create_connection(lambda: protocol, config.host, config.port)
        else:
            await asyncio.get_running_loop().create_connection(
                lambda: protocol, config.host, config.port, ssl=context, ssl_shutdown_timeout=_TLS_CLOSE_SECONDS
            )
    except OSError as error:
        raise not_connected(f"{config.host}:{config.port}", error) from error


async def _context(config: MqttConfig) -> ssl.SSLContext:
    try:
        return await asyncio.to_thread(config.tls_context)
    except UnusableFile as error:
        raise Unavailable(f"{error.field.upper()} {error}", reason="tls", hold=True) from error
