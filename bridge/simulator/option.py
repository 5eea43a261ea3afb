"""What a simulator can be told before it starts; what can be changed while it runs are methods of the simulator."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["SimulatorOptions"]


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """Port 0 takes any free one. The names and defaults of the timings are those of ASP.NET Core SignalR.

    `rate` is how many changes a second the lively shop makes; 0 is none but those that are asked for.
    `delete_payload` is what `p.r` holds for a deleted resource: its last state, an empty list or null.
    `send_buffer_bytes` bounds what one connection may leave unsent before changes wait for it; a client that takes
    nothing for `send_timeout_seconds` is dropped.
    """

    host: str = "127.0.0.1"
    port: int = 0
    control_port: int = 0
    username: str = "950"
    password: str = "secret"  # noqa: S105 - the stand-in's one account, not a secret
    rate: float = 0
    seed: int = 0
    token_lifetime_seconds: float = 3600
    close_on_expiry: bool = False
    keepalive_seconds: float = 15
    client_timeout_seconds: float = 30
    handshake_timeout_seconds: float = 15
    send_timeout_seconds: float = 10
    send_buffer_bytes: int = 262_144
    delete_payload: Literal["last", "empty", "null"] = "last"
    ledger_changes: int = 1_000_000
