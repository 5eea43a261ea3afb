"""One connection to a RabbitMQ server as a sink; the only module that imports the client library."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from aiormq import exceptions as amqp
from aiormq.abc import AbstractChannel
from aiormq.connection import Connection, TransportFactory
from pamqp.commands import Basic
from yarl import URL

from bridge.errors import Rejected, Unavailable
from bridge.message import Message
from bridge.ports import Outcome, Shed, turns
from bridge.tls import UnusableFile, trouble
from portos_bridge_sink_rabbitmq.config import RabbitConfig
from portos_bridge_sink_rabbitmq.records import explain


class _Socket(TransportFactory):
    writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **options: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, self.writer = await asyncio.open_connection(url.host, url.port, ssl=options["ssl"])
        return reader, self.writer


@asynccontextmanager
async def connect(config: RabbitConfig) -> AsyncIterator["RabbitSink"]:
    """Connect, log in, and see that the exchange is there; raises `Unavailable`."""
    url = URL(config.url).with_user(config.username).with_password(config.password.get_secret_value())
    socket = _Socket()
    with _failures():
        context = await asyncio.to_thread(config.tls_context) if url.scheme == "amqps" else None
        connection = Connection(url.with_query(heartbeat=0), transport_factory=socket, ssl=context)
        await connection.connect()
    try:
        with _failures():
            sink = RabbitSink(config, await connection.channel())
        await sink.deliver([])
        yield sink
    except BaseException:
        if socket.writer:  # aborted, since the library waits for a silent server to say goodbye
            socket.writer.transport.abort()
        raise
    finally:
        await connection.close()


class RabbitSink:
    """See `bridge.ports.Sink`."""

    def __init__(self, config: RabbitConfig, channel: AbstractChannel) -> None:
        self._config = config
        self._channel = channel

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Publish together what concerns different resources, and in turn what concerns one."""
        if not batch:
            with _failures():
                await self._channel.exchange_declare(self._config.exchange, passive=True)
        outcomes: list[Outcome] = []
        for turn in turns(batch):
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._publish(message), name="rabbitmq: publish") for message in turn]
            outcomes += [task.result() for task in tasks]
            if any(isinstance(outcome, Unavailable) for outcome in outcomes):
                break
        return outcomes + [Unavailable("not sent", reason="refused")] * (len(batch) - len(outcomes))

    async def _publish(self, message: Message) -> Outcome:
        try:
            sent = explain(self._config, message)
            properties = Basic.Properties("application/json", headers=dict(sent.headers), message_id=message.id)
            properties.delivery_mode = 2  # persistent
            exchange, key = self._config.exchange, sent.topic
            with _failures():
                await self._channel.basic_publish(
                    sent.payload, exchange=exchange, routing_key=key, properties=properties, mandatory=True
                )
        except (Rejected, Unavailable) as outcome:
            return outcome
        return None if sent.payload is message.body else Shed(f"MAX_BYTES is {self._config.max_bytes}")


@contextmanager
def _failures() -> Iterator[None]:
    """Say what each error means; `hold` is for what an operator has to change."""
    try:
        yield
    except UnusableFile as error:
        raise Unavailable(f"{error.field.upper()} {error}", reason="tls", hold=True) from error
    except ssl.SSLError as error:
        why = trouble(error, "URL")
        raise Unavailable(why.text, reason="tls", hold=why.lasts) from error
    except amqp.PublishError as error:
        text = f"returned; bind a queue to the exchange: {error.args}"
        raise Unavailable(text, reason="refused", hold=True) from error
    except amqp.DeliveryError as error:
        raise Unavailable("refused by a queue: is it full?", reason="refused", hold_after=3) from error
    except (amqp.ProbableAuthenticationError, amqp.AuthenticationError) as error:
        raise Unavailable(f"check USERNAME, PASSWORD: {error}", reason="unauthorized", hold=True) from error
    except (amqp.ChannelClosed, amqp.InvalidFrameError) as error:
        text = f"check EXCHANGE, MAX_BYTES, the vhost in URL, rights: {error}"
        raise Unavailable(text, reason="refused", hold=True) from error
    except (amqp.AMQPError, amqp.ChannelInvalidStateError, OSError, StopAsyncIteration) as error:
        raise Unavailable(f"no connection to the server: {error!r}", reason="network") from error
