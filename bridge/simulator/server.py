"""The simulator: what the shop has, who is told of its changes, and what goes wrong when a test says so.

Everything here is a method for tests and the demo; `control` offers the same over HTTP, `simulate` gives it its life.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Coroutine, Iterable, Mapping, Sequence

from aiohttp import web

from bridge.simulator import protocol
from bridge.simulator.burst import Burst
from bridge.simulator.endpoint import Endpoint
from bridge.simulator.fault import HttpFaults
from bridge.simulator.hub import Hub
from bridge.simulator.listener import Listener
from bridge.simulator.notation import encoded
from bridge.simulator.notification import Actor, licence_activated, resource_changed
from bridge.simulator.option import SimulatorOptions
from bridge.simulator.rest import Rest
from bridge.simulator.session import Sessions
from bridge.simulator.shop import Shop, Step
from bridge.simulator.store import Change, Ledger, Store
from bridge.simulator.subscription import LICENCE_ACTIVATED, RESOURCES_CHANGED

__all__ = ["Simulator"]

_CASHIER: Actor = ("1", "P01")


class Simulator:
    """A Portos API under the test's control; made by `simulate`.

    `sessions` has the switches for tokens, `hub` the connections, `ledger` every change, `store` what there is now.
    `control_url` is the address of the control port. `ended` is set when the simulator is asked to shut down.
    """

    def __init__(self, options: SimulatorOptions) -> None:
        self.options = options
        self.sessions = Sessions(options.token_lifetime_seconds)
        self.hub = Hub(options, self.sessions)
        self.store = Store()
        self.ledger = Ledger(options.ledger_changes)
        self.bursts: list[Burst] = []
        self.control_url = ""
        self.ended = asyncio.Event()
        self._faults = HttpFaults(self.hub.speaking)
        self._endpoint = Endpoint(options, self.sessions, self.hub)
        application = web.Application(middlewares=[self._faults.middleware])
        application.add_routes(self._endpoint.routes())
        application.add_routes(Rest(options, self.sessions, self.store).routes())
        self._listener = Listener(application, options.host, options.port)
        self._background: asyncio.TaskGroup | None = None

    @property
    def url(self) -> str:
        """The origin that a bridge is told: `http://127.0.0.1:3000`."""
        return self._listener.url

    @property
    def port(self) -> int:
        """The port of the API, the same after every restart."""
        return self._listener.port

    async def change(  # noqa: PLR0913 - the words of the control port
        self,
        resource: str = "tickets",
        action: str = "updated",
        id: str | None = None,  # noqa: A002 - as the control port calls it
        body: Mapping[str, object] | None = None,
        *,
        size: int = 600,
        silent: bool = False,
        expires: float | None = None,
        skip_versions: int = 0,
        actor: Actor = _CASHIER,
    ) -> Change:
        """Change a resource, tell who subscribed unless `silent`, and write it into the ledger.

        Without a body the resource is filled up to about `size` bytes. Waits first where a client is behind. `expires`
        is in seconds since the epoch; `skip_versions` makes a hole in the versions.
        """
        if self.hub.is_behind:
            await self.hub.room()
        key, now = self.store.change(resource, action, id, body, size=size, skip_versions=skip_versions)
        at, told, digest = time.time(), 0, None
        if not silent:
            objects = self._objects(action, now.body)
            notification = resource_changed(
                resource, action, key, now.version, objects, actor=actor, at=at, expires=expires
            )
            told = self.hub.publish(f"{RESOURCES_CHANGED}/{resource}/{action}", notification)
            digest = hashlib.sha256(notification).hexdigest()
        change = Change(self.ledger.last_seq + 1, at, resource, key, now.version, action, told, digest)
        self.ledger.append(change)
        return change

    async def licence(self) -> int:
        """Tell that the licence was activated; give to how many connections."""
        await self.hub.room()
        return self.hub.publish(LICENCE_ACTIVATED, licence_activated(time.time()))

    async def burst(
        self, count: int, *, rate: float = 0, ids: int = 100, size: int = 600, resources: Sequence[str] = ("tickets",)
    ) -> Burst:
        """Make many updates in a row, `rate` a second or, with 0, as fast as they are taken; wait for the last."""
        burst = Burst(count, rate, ids, size, resources)
        await burst.run(self._update)
        return burst

    def start_burst(self, burst: Burst) -> int:
        """Run a burst in the background; give its number, from 1, in `bursts`."""
        self.bursts.append(burst)
        self.run_in_background(burst.run(self._update), f"burst {len(self.bursts)}")
        return len(self.bursts)

    async def restart(self, seconds: float = 0) -> None:
        """Stop listening and cut every socket, and be back after `seconds` with everything as it was."""
        await self.go_down()
        await asyncio.sleep(seconds)
        await self.come_back()

    async def go_down(self) -> None:
        """Stop listening and cut every socket, without a word, as a killed server does."""
        self._endpoint.forget()
        self.hub.drop_all()
        await self._listener.stop()

    async def come_back(self) -> None:
        """Listen again, on the same port."""
        await self._listener.start()

    def abort(self) -> None:
        """End every connection with a Close that does not allow to reconnect."""
        self.hub.close_all()

    def close_connections(self, error: str | None = None) -> None:
        """End every connection with a Close that allows to reconnect."""
        self.hub.close_all(error=error, allow_reconnect=True)

    def fall_silent(self) -> None:
        """Keep every connection, send nothing, answer nothing, HTTP requests included, until `speak`."""
        self.hub.speaking.clear()

    def speak(self) -> None:
        """End the silence; what was kept back goes out now."""
        self.hub.speaking.set()

    async def silence(self, seconds: float) -> None:
        """Be silent for so long."""
        self.fall_silent()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.speak()

    def refuse(self, times: int = 1, message: str = "Subscription refused.") -> None:
        """Let the next Subscribes fail."""
        self.hub.refusals, self.hub.refusal = times, message

    def expire_tokens(self) -> None:
        """Let every token given out so far be expired; refreshing helps."""
        self.sessions.expire(time.time())

    def answer(self, status: int, *, times: int = 1, path: str = "/signalr/v1/mainHub/negotiate") -> None:
        """Answer the next requests whose path begins so with a status and nothing else: 401, 403, 503."""
        self._faults.answer(status, times=times, path=path)

    def raw(self, target: str, arguments: Iterable[object]) -> None:
        """Call a method of every client with any arguments."""
        self.hub.put_to_all(protocol.invocation(target, b",".join(map(encoded, arguments))))

    def send_bytes(self, data: bytes) -> None:
        """Send bytes to every connection as they are, among the records that go out then."""
        self.hub.put_to_all(data)

    def run_in_background(self, work: Coroutine[object, object, object], name: str) -> None:
        """Run something as long as the simulator lives."""
        if self._background is None:
            work.close()
            raise RuntimeError("the simulator does not live: use `async with simulate(...)`")
        self._background.create_task(work, name=name)

    async def live(self) -> None:
        """Listen, and keep the hub's clock and the shop going, until cancelled."""
        async with asyncio.TaskGroup() as self._background:
            self._background.create_task(self.hub.keep_alive(), name="keep-alive")
            if self.options.rate > 0:
                self._background.create_task(self._trade(), name="shop")
            await asyncio.Event().wait()

    async def close(self) -> None:
        """Stop for good."""
        self.hub.drop_all()
        self.speak()
        await self._listener.close()

    async def _trade(self) -> None:
        shop = Shop(self.options.seed)
        for step in shop.inventory():
            await self._carry_out(step, silent=True)
        start = time.monotonic()
        for number, step in enumerate(shop.steps()):
            await asyncio.sleep(max(0.0, start + number / self.options.rate - time.monotonic()))
            await self._carry_out(step)

    async def _carry_out(self, step: Step, *, silent: bool = False) -> None:
        await self.change(step.resource, step.action, step.id, step.body, silent=silent, actor=step.actor)

    def _update(self, resource: str, key: str, size: int) -> Awaitable[Change]:
        return self.change(resource, "updated", key, size=size)

    def _objects(self, action: str, body: bytes) -> bytes:
        if action == "deleted" and self.options.delete_payload == "null":
            return b"null"
        if not body or (action == "deleted" and self.options.delete_payload == "empty"):
            return b"[]"
        return b"[%b]" % body
