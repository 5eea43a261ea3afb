"""One connection to a RabbitMQ server as a sink; the only module that imports the client library."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import aiormq
from yarl import URL

from bridge.errors import Rejected, Unavailable
from bridge.message import Message
from bridge.ports import Outcome, Shed, SinkPlugin, turns
from bridge.tls import UnusableFile, trouble
from portos_bridge_sink_rabbitmq.layout import RabbitConfig, explain


class _Socket(aiormq.TransportFactory):
    writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **options: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, self.writer = await asyncio.open_connection(url.host, url.port, ssl=options["ssl"])
        return reader, self.writer


@asynccontextmanager
async def connect(config: RabbitConfig) -> AsyncIterator["_Sink"]:
    """Connect, log in, and see that the exchange is there; raises `Unavailable`."""
    url = URL(config.url).with_user(config.username).with_password(config.password.get_secret_value())
    with _failures():
        context = await asyncio.to_thread(config.tls_context) if url.scheme == "amqps" else None
    socket = _Socket()
    connection = aiormq.Connection(url.with_query(heartbeat=0), transport_factory=socket, ssl=context)
    try:
        with _failures():
            await connection.connect()
            sink = _Sink(config, await connection.channel())
        await sink.deliver([])
        yield sink
    except BaseException:
        if socket.writer:  # what is unsent is of no more use, and closing would wait for a silent server
            socket.writer.transport.abort()
        raise
    finally:
        await connection.close()


class _Sink:
    def __init__(self, config: RabbitConfig, channel: aiormq.abc.AbstractChannel) -> None:
        self._config, self._channel = config, channel

    async def deliver(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Publish together what concerns different resources, and in turn what concerns one."""
        if not batch:
            with _failures():
                await self._channel.exchange_declare(self._config.exchange, passive=True)
        outcomes: list[Outcome] = []
        for turn in turns(batch):
            outcomes += await asyncio.gather(*map(self._publish, turn))
            if any(isinstance(outcome, Unavailable) for outcome in outcomes):
                break
        return outcomes + [Unavailable("not sent", reason="refused")] * (len(batch) - len(outcomes))

    async def _publish(self, message: Message) -> Outcome:
        try:
            sent = explain(self._config, message)
            about = aiormq.spec.Basic.Properties("application/json", None, dict(sent.headers), 2, message_id=message.id)
            publish, exchange = self._channel.basic_publish, self._config.exchange
            with _failures():
                await publish(sent.payload, exchange=exchange, routing_key=sent.topic, properties=about, mandatory=True)
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
    except aiormq.PublishError as error:
        raise Unavailable(f"bind a queue to the exchange, for {error.args}", reason="refused", hold=True) from error
    except aiormq.DeliveryError as error:
        raise Unavailable(f"see whether a queue is full: {error}", reason="refused", hold_after=3) from error
    except (aiormq.ProbableAuthenticationError, aiormq.AuthenticationError) as error:
        raise Unavailable(f"check USERNAME and PASSWORD: {error}", reason="unauthorized", hold=True) from error
    except (aiormq.ChannelClosed, aiormq.InvalidFrameError) as error:  # the latter is how a refused vhost shows
        raise Unavailable(f"check vhost, EXCHANGE, rights, MAX_BYTES: {error}", reason="refused", hold=True) from error
    except (aiormq.AMQPError, aiormq.exceptions.ChannelInvalidStateError, OSError, StopAsyncIteration) as error:
        raise Unavailable(f"no connection to the server: {error!r}", reason="network") from error


plugin = SinkPlugin(config=RabbitConfig, connect=connect, explain=explain)
