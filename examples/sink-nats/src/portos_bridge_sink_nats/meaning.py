"""What the answers of the server and the errors of the client library mean to the bridge. Pure."""

import json
import ssl

from nats.aio.msg import Msg
from nats.errors import SecureConnWantedError, StaleConnectionError

from bridge.errors import Rejected, Unavailable
from bridge.ports import Outcome
from bridge.tls import trouble
from portos_bridge_sink_nats.config import NatsConfig

__all__ = ["outcome", "unavailable"]

_NO_RESPONDERS = "503"
_TOO_LARGE = {10054, 10097}  # the message, its headers: more than the stream takes (server 2.9, errors.json)
_NOT_FOUND = 10059
_PASSING = {10008, 10009, 10118, 10158}  # no leader, not the leader, stream offline, a duplicate still on its way


def unavailable(error: Exception) -> Unavailable:
    """Say what the end of a connection means; `hold` is for what an operator has to change."""
    text = str(error) or type(error).__name__
    match error:
        case ssl.SSLError():
            why = trouble(error, "SERVERS")
            return Unavailable(f"no TLS with the server: {why.text}", reason="tls", hold=why.lasts)
        case SecureConnWantedError():
            return Unavailable(
                "the server does not ask for TLS: enable it there, or take nats://", reason="tls", hold=True
            )
        case StaleConnectionError():
            return Unavailable(f"the server has closed the connection: {text}", reason="server_close")
    if "permissions violation" in text.lower():
        rights = "grant publish below PREFIX and on $JS.API.STREAM.INFO, subscribe below INBOX_PREFIX"
        return Unavailable(f"{text}; {rights}", reason="unauthorized", hold=True)
    if "authorization" in text.lower():
        text = f"the server refused the login, check USERNAME, PASSWORD, TOKEN or CREDS: {text}"
        return Unavailable(text, reason="unauthorized", hold=True)
    return Unavailable(f"no connection to the server: {text}", reason="network")


def outcome(config: NatsConfig, target: str, answer: Msg) -> Outcome:
    """Say what became of a message for which JetStream has answered, or of a question about the stream."""
    if answer.headers and answer.headers.get("Status") == _NO_RESPONDERS:
        text = f"no stream took {target}: is it among the subjects of {config.stream}, and JetStream enabled?"
        return Unavailable(text, reason="refused", hold_after=3)
    said = json.loads(answer.data)
    match said.get("error"):
        case None if config.stream in (said.get("stream"), said.get("config", {}).get("name")):
            return None
        case None:
            return Unavailable(f"what answered on {target} is not JetStream", reason="protocol", hold_after=3)
        case {"err_code": code, "description": text} if code in _TOO_LARGE:
            return Rejected(f"stream {config.stream}: {text}", reason="too_large", target=target)
        case {"err_code": code} if code == _NOT_FOUND:
            text = f"no stream {config.stream}: nats stream add {config.stream} --subjects '{config.prefix}.>'"
            return Unavailable(text, reason="refused", hold=True)
        case {"err_code": code, "description": text}:
            text = f"stream {config.stream} refused {target}: {text} ({code})"
            return Unavailable(text, reason="refused", hold=code not in _PASSING)
    raise ValueError(f"an answer of JetStream that is none: {said!r}")
