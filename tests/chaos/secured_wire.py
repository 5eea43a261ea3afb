"""A TLS terminator before a hub that speaks none: it shows what certificate it is told to, and may want one."""

import asyncio
import re
import ssl
from collections.abc import Callable
from typing import Any, cast

from tests.chaos.wire import Wire

__all__ = ["SecuredWire"]

_CHUNK_BYTES = 65_536
_LOGIN = re.compile(rb'("Password": ")(.{6})(")')
_OF_THE_HUB, _OF_NOBODY = b"secret", b"nobody"


class SecuredWire(Wire):
    """A wire that speaks TLS towards the bridge; `present` changes how, for connections to come.

    `password` is the one that lets in, of six characters: the hub's own cannot be changed, so it is put in its place.
    """

    def __init__(self, port: int, context: ssl.SSLContext | None) -> None:
        super().__init__(port)
        self.url = f"https://{self.host}:{port}"
        self._context = context
        self.password = _OF_THE_HUB.decode()

    def present(self, context: ssl.SSLContext | None) -> None:
        """Speak so from now on, None is without TLS; what is connected stays connected."""
        self._context = context

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._context is None:
            await super()._pass_on(reader, writer)
            return
        end = _TlsEnd(reader, writer, self._context, self._with_the_hub_s_password)
        try:
            await end.shake_hands()
        except OSError:
            writer.close()
            return
        await super()._pass_on(cast("asyncio.StreamReader", end), cast("asyncio.StreamWriter", end))

    def _with_the_hub_s_password(self, data: bytes) -> bytes:
        right = self.password.encode()
        return _LOGIN.sub(lambda m: m[1] + (_OF_THE_HUB if m[2] == right else _OF_NOBODY) + m[3], data)


class _TlsEnd:
    """Both streams of a client, in plaintext. asyncio's own would drop the alert that says why a client is refused."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        context: ssl.SSLContext,
        passed_on: Callable[[bytes], bytes],
    ) -> None:
        self._passed_on = passed_on
        self._reader = reader
        self._writer = writer
        self.transport = writer.transport
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def shake_hands(self) -> None:
        """Do the handshake; raises `OSError`, of which `ssl.SSLError` is one, once the client has been told."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.drain()
                self._incoming.write(await self._arrived())
            else:
                return
            finally:
                await self.drain()

    async def read(self, most: int) -> bytes:
        """Give what the client says next, nothing at its end."""
        while True:
            try:
                return self._passed_on(self._tls.read(most))
            except ssl.SSLWantReadError:
                await self.drain()
                data = await self._reader.read(_CHUNK_BYTES)
                if not data:
                    return b""
                self._incoming.write(data)
            except ssl.SSLZeroReturnError:
                return b""

    def write(self, data: bytes) -> None:
        self._tls.write(data)
        self._writer.write(self._outgoing.read())

    async def drain(self) -> None:
        self._writer.write(self._outgoing.read())
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()

    def get_extra_info(self, name: str) -> Any:
        return self._writer.get_extra_info(name)

    async def _arrived(self) -> bytes:
        data = await self._reader.read(_CHUNK_BYTES)
        if not data:
            raise ConnectionError("the client is gone")
        return data
