"""An HTTP proxy that connects to whatever it is asked for (RFC 9110, CONNECT), once it is told user and password."""

import asyncio
from base64 import b64encode
from urllib.parse import quote

from tests.chaos.wire import Wire

__all__ = ["ConnectProxy"]


class ConnectProxy(Wire):
    """A wire that is asked where to lead; `refusal` is the status that it answers instead, if it is to refuse."""

    def __init__(self, port: int, user: str, password: str) -> None:
        super().__init__(port)
        self.user = user
        self.password = password
        self.refusal: int | None = None
        self.asked: list[str] = []
        """What it was asked to connect to, whoever asked."""

    @property
    def address(self) -> str:
        """Where it is, with what lets in."""
        return f"http://{quote(self.user)}:{quote(self.password)}@{self.host}:{self.port}"

    def go(self) -> None:
        """Be away from now on: whoever connects is refused."""
        self._call(self._server.close)

    def come_back(self) -> None:
        """Be there again."""
        self._server = self._run(asyncio.start_server(self._accept, self.host, self.port))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            target = head.split()[1]
            self.asked.append(target)
            status = self.refusal or (200 if self._let_in(head) else 407)
            writer.write(f"HTTP/1.1 {status} X\r\n\r\n".encode())
            await writer.drain()
            if status == 200:
                host, _, port = target.rpartition(":")
                await self._join(reader, writer, *await asyncio.open_connection(host, int(port)))
        except (OSError, asyncio.IncompleteReadError):
            pass  # whoever is gone is gone
        finally:
            writer.close()

    def _let_in(self, head: str) -> bool:
        login = b64encode(f"{self.user}:{self.password}".encode()).decode()
        return f"\r\nProxy-Authorization: Basic {login}\r\n" in head

    async def _join(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        pair = (writer, far_writer)
        self._pairs.add(pair)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, far_writer, None))
                both.create_task(self._pump(far_reader, writer, None))
        except* OSError:
            pass
        finally:
            self._pairs.discard(pair)
            far_writer.close()
