"""A .creds file opens a server in operator mode."""

import base64
import json
import os
from pathlib import Path

import nats
import nkeys
import pytest
from nats.aio.client import RawCredentials
from nats.js.api import StreamConfig

from bridge.contract import LocalBroker, sample
from bridge.errors import Unavailable
from portos_bridge_sink_nats.config import NatsConfig
from portos_bridge_sink_nats.sink import connect

ENDLESS = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1)
STORAGE = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)


class Identity:
    """Keys of an operator, an account or a user."""

    def __init__(self, prefix: int) -> None:
        self.seed = nkeys.encode_seed(os.urandom(32), prefix)
        self._keys = nkeys.from_seed(bytearray(self.seed))
        self.name = self._keys.public_key.decode()

    def sign(self, subject: str, claims: dict[str, object]) -> str:
        """Write a JWT as a NATS server takes it (ed25519-nkey)."""
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        body = {"jti": "x", "iat": 1_700_000_000, "iss": self.name, "sub": subject, "name": "x"}
        parts = [json.dumps(head), json.dumps(body | {"nats": claims | {"version": 2}})]
        text = ".".join(encoded(part.encode()) for part in parts)
        return f"{text}.{encoded(self._keys.sign(text.encode()))}"


def encoded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


async def test_a_creds_file_is_a_login(tmp_path: Path) -> None:
    operator = Identity(nkeys.PREFIX_BYTE_OPERATOR)
    account, system = Identity(nkeys.PREFIX_BYTE_ACCOUNT), Identity(nkeys.PREFIX_BYTE_ACCOUNT)
    user, stranger = Identity(nkeys.PREFIX_BYTE_USER), Identity(nkeys.PREFIX_BYTE_USER)
    limits = {"type": "account", "limits": ENDLESS | STORAGE | {"wildcards": True}}
    conf = tmp_path / "server.conf"
    conf.write_text(
        f"operator: {operator.sign(operator.name, {'type': 'operator'})}\nresolver: MEMORY\n"
        f"system_account: {system.name}\nresolver_preload: {{\n"
        f"  {account.name}: {operator.sign(account.name, limits)}\n"
        f"  {system.name}: {operator.sign(system.name, {'type': 'account', 'limits': ENDLESS})}\n}}\n"
        f'jetstream {{ store_dir: "{tmp_path}/js" }}\n'
    )
    jwt = account.sign(user.name, {"type": "user", "subs": -1, "data": -1, "payload": -1})

    def creds(seed: bytes) -> str:
        return (
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{seed.decode()}\n------END USER NKEY SEED------\n"
        )

    with LocalBroker("nats-server", "-a", "127.0.0.1", "-p", "{port}", "-c", str(conf)) as server:
        url = f"nats://127.0.0.1:{server.port}"
        async with await nats.connect(url, user_credentials=RawCredentials(creds(user.seed))) as client:
            await client.jetstream().add_stream(StreamConfig("PORTOS", subjects=["portos.>"]))

        async with connect(NatsConfig.model_validate({"servers": url, "creds": creds(user.seed)})) as sink:
            assert await sink.deliver([sample(1)]) == [None]
        for seed in (stranger.seed, b"SUwrong"):
            with pytest.raises(Unavailable, match="CREDS") as held:
                async with connect(NatsConfig.model_validate({"servers": url, "creds": creds(seed)})):
                    pass
            assert held.value.hold
