"""A port that can be gone for a while: it listens, cuts everybody off, and listens again at the same number."""

from aiohttp import web

__all__ = ["Listener"]


class Listener:
    """One application on one port; between `start` and `close` it may `stop` and `start` again."""

    def __init__(self, application: web.Application, host: str, port: int) -> None:
        self._runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        self._host = host
        self._site: web.TCPSite | None = None
        self.port = port

    @property
    def url(self) -> str:
        """Give the address, as a client on this machine uses it."""
        host = "127.0.0.1" if self._host in ("", "0.0.0.0") else self._host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def start(self) -> None:
        """Listen; raise OSError when the port is taken."""
        if self._runner.server is None:
            await self._runner.setup()
        if self._site is None:
            self._site = web.TCPSite(self._runner, self._host, self.port, reuse_address=True)
            await self._site.start()
            self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and cut every socket, as the end of a process does."""
        if self._site is not None:
            site, self._site = self._site, None
            self._cut()
            await site.stop()
            self._cut()  # who came in between

    async def close(self) -> None:
        """Stop for good."""
        await self.stop()
        await self._runner.cleanup()

    def _cut(self) -> None:
        for connection in self._runner.server.connections if self._runner.server else ():
            if connection.transport is not None:
                connection.transport.abort()
