"""A client that says exactly what it is told to say: to hold the simulator against recordings and to see its faults."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

HUB = "/signalr/v1/mainHub"
ALL = {"e": "portos.resources.changed", "r": None}
_SECONDS = 5


class Conversation:
    """One WebSocket to the hub; `close_code` is known once `next` gave None."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self.messages = 0
        self._records: list[str] = []

    @property
    def close_code(self) -> int | None:
        return self.socket.close_code

    async def say(self, text: str) -> None:
        await self.socket.send_str(text)

    async def say_goodbye(self) -> None:
        """Send the WebSocket's close and go on reading, which a well-behaved client of aiohttp does not."""
        await self.socket._writer.close(1000)

    async def greet(self) -> None:
        await self.say('{"protocol":"json","version":1}\x1e')
        assert await self.next() == "{}"

    async def invoke(self, target: str, *arguments: object, identity: str = "1") -> dict[str, Any]:
        """Call a method and give its completion; whatever comes before it is passed over."""
        call = {"type": 1, "target": target, "arguments": arguments, "invocationId": identity}
        await self.say(json.dumps(call) + "\x1e")
        while True:
            record = await self.next()
            assert record is not None, f"closed with {self.close_code} instead of an answer"
            answer = json.loads(record)
            if answer.get("type") == 3 and answer["invocationId"] == identity:
                return answer

    async def next(self, seconds: float = _SECONDS) -> str | None:
        """Give the next record without its separator, None at the end of the connection."""
        while not self._records:
            message = await self.socket.receive(timeout=seconds)
            if message.type is not WSMsgType.TEXT:
                return None
            assert message.data.endswith("\x1e")
            self.messages += 1
            self._records = message.data.removesuffix("\x1e").split("\x1e")
        return self._records.pop(0)

    async def next_but_pings(self, seconds: float = _SECONDS) -> str | None:
        while (record := await self.next(seconds)) == '{"type":6}':
            pass
        return record

    async def notifications(self, count: int) -> list[bytes]:
        """Give the arguments of the next notifications, byte for byte."""
        found: list[bytes] = []
        while len(found) < count:
            record = await self.next_but_pings()
            assert record is not None, f"closed with {self.close_code} after {len(found)} of {count}"
            found.append(record.removeprefix('{"type":1,"target":"OnEvent","arguments":[').removesuffix("]}").encode())
        return found

    async def is_quiet(self, seconds: float) -> bool:
        """Tell whether nothing comes for so long."""
        try:
            await self.next(seconds)
        except TimeoutError:
            return True
        return False


async def log_in(session: ClientSession, url: str, device: str = "bridge") -> dict[str, Any]:
    body = {"UserName": "950", "Password": "secret", "DeviceName": device}
    async with session.post(f"{url}/api/auth", json=body) as answer:
        assert answer.status == 200
        return await answer.json()


@asynccontextmanager
async def conversation(url: str, *, greet: bool = True, subscribe: bool = False) -> AsyncIterator[Conversation]:
    """Log in, negotiate and open a WebSocket; greet and subscribe to all if asked."""
    async with ClientSession() as session:
        token = (await log_in(session, url))["tokenId"]
        headers = {"Authorization": f"Bearer {token}"}
        async with session.post(f"{url}{HUB}/negotiate?negotiateVersion=1", headers=headers) as answer:
            identity = (await answer.json())["connectionToken"]
        async with session.ws_connect(
            f"{url}{HUB}?id={identity}", headers=headers, max_msg_size=0, autoping=True
        ) as socket:
            talk = Conversation(socket)
            if greet or subscribe:
                await talk.greet()
            if subscribe:
                assert await talk.invoke("Subscribe", ALL) == {"type": 3, "invocationId": "1", "result": None}
            yield talk


async def reachable(url: str) -> bool:
    """Tell whether somebody listens there."""
    host, port = url.removeprefix("http://").rsplit(":", 1)
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    return True
