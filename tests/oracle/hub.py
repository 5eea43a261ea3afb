"""A second subscriber on the hub: plain aiohttp and the hub protocol by hand, to have the bytes that the hub sent."""

import asyncio
import json
import threading
from collections.abc import Sequence
from typing import Self

import aiohttp

from tests.brokers import Hub
from tests.oracle.record import Identity, identity_of
from tests.support import wait_until

__all__ = ["HubRecorder"]

_END = "\x1e"
_ARGUMENTS = '"arguments":['


class HubRecorder:
    """Collects the argument of every OnEvent as bytes, in a thread of its own, until it is left."""

    def __init__(self, hub: Hub, resources: Sequence[str]) -> None:
        self._hub = hub
        self._resources = resources
        self._found: list[bytes] = []
        self._answers = 0
        self._error: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="hub-recorder", daemon=True)
        self._task: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(self._subscribed, 10, "the recorder has subscribed")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(lambda: self._task and self._task.cancel())
        self._thread.join(10)

    def _subscribed(self) -> bool:
        if self._error is not None:
            raise RuntimeError("the recorder failed") from self._error
        return self._answers >= 2

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(self._record())
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self._error = error
        finally:
            self._loop.close()

    async def _record(self) -> None:
        async with aiohttp.ClientSession() as session:
            login = {"UserName": self._hub.username, "Password": self._hub.password, "DeviceName": "RECORDER"}
            async with session.post(f"{self._hub.url}/api/auth", json=login) as answer:
                token = (await answer.json())["tokenId"]
            headers = {"Authorization": f"Bearer {token}"}
            async with session.ws_connect(
                f"{self._hub.url}/signalr/v1/mainHub", headers=headers, max_msg_size=0
            ) as socket:
                await socket.send_str('{"protocol":"json","version":1}' + _END)
                await socket.send_str(self._subscriptions())
                rest = ""
                async for message in socket:
                    *records, rest = (rest + str(message.data)).split(_END)
                    for record in records:
                        self._take(record)
                    if '"type":6' in message.data:
                        await socket.send_str('{"type":6}' + _END)

    def _subscriptions(self) -> str:
        actions = ["created", "updated", "deleted"]
        wanted = [{"n": name, "a": actions} for name in self._resources]
        requests = [{"e": "portos.resources.changed", "r": wanted}, {"e": "portos.licence.activated"}]
        return "".join(
            json.dumps({"type": 1, "invocationId": str(number), "target": "Subscribe", "arguments": [request]}) + _END
            for number, request in enumerate(requests)
        )

    def _take(self, record: str) -> None:
        kind = json.loads(record).get("type")
        if kind == 3:
            self._answers += 1
        if kind == 1:
            start = record.index(_ARGUMENTS) + len(_ARGUMENTS)
            _, end = json.JSONDecoder().raw_decode(record, start)
            self._found.append(record[start:end].encode())

    def read(self) -> list[bytes]:
        """Give every notification so far, byte for byte."""
        return list(self._found)

    def by_identity(self) -> dict[Identity, bytes]:
        """Give the changes of versioned resources so far."""
        return {identity: body for body in self._found if (identity := identity_of(body)) is not None}
