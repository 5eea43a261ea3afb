"""One connection to a NATS server as a sink."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any, TypeVar

from nats.aio.client import Client, RawCredentials
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import ConnectionClosedError, Error, NoServersError, SecureConnWantedError
from nkeys import NkeysError  # type: ignore[import-untyped]

from bridge.errors import BridgeError, Unavailable
from bridge.message import Message
from bridge.ports import Outcome, turns
from bridge.tls import UnusableFile
from portos_bridge_sink_nats.config import NatsConfig
from portos_bridge_sink_nats.meaning import outcome, unavailable
from portos_bridge_sink_nats.records import headers, refusal, subject

__all__ = ["NatsSink", "connect"]

T = TypeVar("T")
Request = tuple[str, bytes, dict[str, str]]
_HOUR = 3600  # the bridge has the deadlines


class Connection(Client):
    """The library's client, which says when it is lost; by itself it leaves those waiting who wait for an answer."""

    def __init__(self, config: NatsConfig) -> None:
        super().__init__()
        self._config = config
        self._trouble: Exception | None = None
        self._lost: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        """Connect to the first server that takes us, once, without a reconnect later."""
        config = self._config
        try:
            await self.connect(
                list(config.servers),
                error_cb=self._note,
                closed_cb=self._end,
                name=f"portos-bridge {config.site}",
                allow_reconnect=False,
                connect_timeout=config.server_seconds,
                max_reconnect_attempts=1,  # each server twice; with 0 it never ends
                reconnect_time_wait=0,
                ping_interval=_HOUR,
                flusher_queue_size=0,
                pending_size=0,  # no waiting for room, in which it swallows cancelling
                tls=await asyncio.to_thread(config.tls_context),
                user=config.username,
                password=config.password.get_secret_value() if config.password else None,
                token=config.token.get_secret_value() if config.token else None,
                user_credentials=RawCredentials(config.creds.get_secret_value()) if config.creds else None,
                inbox_prefix=config.inbox_prefix,
            )
        except NoServersError as error:
            raise self._trouble or error from error

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:  # noqa: FBT001, FBT002
        if initial_connection and self._config.tls_only and not info.get("tls_required"):  # it would log in without TLS
            raise SecureConnWantedError
        await super()._process_info(info, initial_connection)

    async def _note(self, error: Exception) -> None:
        self._trouble = error
        if self.is_connected:
            await self._end()

    async def _end(self) -> None:
        if not self._lost.done():
            self._lost.set_result(self._trouble or self.last_error or ConnectionClosedError())

    async def unless_lost(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for some work to be done, or raise what the connection was lost by."""
        task = asyncio.create_task(work, name="nats: waiting for answers")
        try:
            ends: set[asyncio.Future[Any]] = {task, self._lost}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._lost.done():
                raise self._lost.result()
            return await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)  # looked at here, or in vain: the connection is gone

    async def leave(self) -> None:
        """Close at once: what is unsent is of no more use, and waiting for a silent server would never end."""
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()
        if self.is_connected:  # else there is nothing more to end, and behind a failed handshake it would wait for ever
            with suppress(OSError):  # of writing what is unsent
                await self.close()


@asynccontextmanager
async def connect(config: NatsConfig) -> AsyncIterator["NatsSink"]:
    """Connect, log in, and see that the stream is there; raises `Unavailable`."""
    client = Connection(config)
    try:
        try:
            await client.open()
            sink = NatsSink(config, client, await client.subscribe(f"{client.new_inbox()}.*"))
            await client.unless_lost(sink.look())
        except UnusableFile as error:
            raise Unavailable(f"{error.field.upper()} {error}", reason="tls", hold=True) from error
        except NkeysError as error:
            raise Unavailable("CREDS holds no usable seed", reason="unauthorized", hold=True) from error
        except (Error, OSError) as error:
            raise unavailable(error) from error
        yield sink
    finally:
        await client.leave()


class NatsSink:
    """See `bridge.ports.Sink`."""

    def __init__(self, config: NatsConfig, client: Connection, answers: Subscription) -> None:
        self._config = config
        self._client = client
        self._answers = answers
        self._numbers = count()

    async def look(self) -> None:
        """Raise `Unavailable` unless the stream is there."""
        api = f"$JS.{self._config.domain}.API" if self._config.domain else "$JS.API"
        target = f"{api}.STREAM.INFO.{self._config.stream}"
        [answer] = await self._ask([(target, b"", {})])
        trouble = outcome(self._config, target, answer)
        if isinstance(trouble, BridgeError):
            raise trouble

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Publish what concerns different resources together, and wait for the acknowledgement of each."""
        try:
            return await self._client.unless_lost(self._publish(batch) if batch else self._ping())
        except (Error, OSError) as error:
            raise unavailable(error) from error

    async def _ping(self) -> list[Outcome]:
        await self._client.rtt(_HOUR)
        return []

    async def _publish(self, batch: Sequence[Message]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for turn in turns(batch):
            outcomes += await self._send(turn)
            if any(isinstance(each, Unavailable) for each in outcomes):
                break
        return outcomes + [Unavailable("not sent", reason="refused")] * (len(batch) - len(outcomes))

    async def _send(self, turn: Sequence[Message]) -> list[Outcome]:
        refusals = [refusal(self._config, message, self._client.max_payload) for message in turn]
        requests = [
            (subject(self._config, message), message.body, headers(self._config, message))
            for message, refused in zip(turn, refusals, strict=True)
            if refused is None
        ]
        pairs = zip(requests, await self._ask(requests), strict=True)
        outcomes = iter([outcome(self._config, request[0], answer) for request, answer in pairs])
        return [refused or next(outcomes) for refused in refusals]

    async def _ask(self, requests: Sequence[Request]) -> list[Msg]:
        """Publish all of it and wait for the answer to each; other answers are of no interest."""
        inbox = self._answers.subject.removesuffix("*")
        waiting = {f"{inbox}{next(self._numbers)}": request for request in requests}
        for reply, (target, payload, fields) in waiting.items():
            await self._client.publish(target, payload, reply, fields)
        answers = dict[str, Msg]()
        while len(answers) < len(waiting):
            answer = await self._answers.next_msg(timeout=None)
            if answer.subject in waiting:
                answers.setdefault(answer.subject, answer)
        return [answers[reply] for reply in waiting]
