"""How a producer begins: what it is protected and let in by, and when there is no use in trying on.

aiokafka 0.14.0; used by `sinks.kafka.sink`.
"""

import asyncio
from collections.abc import Callable, Container, Mapping
from typing import Any

from aiokafka.errors import KafkaConnectionError

from bridge.errors import Unavailable
from bridge.tls import UnusableFile
from sinks.kafka.config import KafkaConfig
from sinks.kafka.connection import Failures
from sinks.kafka.ending import close_first_connection, fail_all
from sinks.kafka.token import tokens

__all__ = ["protection", "start"]


async def start(producer: Any, failures: Failures) -> None:
    """Start a producer, or raise `TimeoutError` as soon as no broker of the cluster can be used without an operator.

    aiokafka would ask one after the other for a producer id, for ever. Later on the same ends all that is waiting, and
    so does a search for any broker that finds none and of each one why: aiokafka would search on until then.
    """
    async with asyncio.timeout(None) as limit:

        def stop_starting() -> None:
            if _all_among(producer, failures.lasting()) and not limit.expired():
                limit.reschedule(0)

        failures.noted = stop_starting
        try:
            await producer.start()
        except asyncio.CancelledError as cancelled:
            close_first_connection(cancelled)
            raise
        finally:
            failures.noted = lambda: None

    def stop_waiting(unusable: Mapping[str, BaseException]) -> None:
        if _all_among(producer, unusable):
            failures.given_up = True
            fail_all(producer._message_accumulator, KafkaConnectionError("no broker can be used"))  # noqa: SLF001 - as in `ending`

    failures.noted = lambda: stop_waiting(failures.lasting())
    _when_none_answers(producer.client.cluster, lambda: stop_waiting(failures.by_address))


def _when_none_answers(cluster: Any, do: Callable[[], None]) -> None:
    """Do something each time that every broker was asked for metadata and none has answered.

    One that is alive is among them, so that neither a leader that has moved nor a rolling restart is such a time.
    """
    failed_update = cluster.failed_update

    def noting(error: BaseException | None) -> None:
        failed_update(error)
        if error is None:
            do()

    cluster.failed_update = noting


def _all_among(producer: Any, addresses: Container[str]) -> bool:
    brokers = [f"{broker.host}:{broker.port}" for broker in producer.client.cluster.brokers()]
    return bool(brokers) and all(broker in addresses for broker in brokers)


async def protection(config: KafkaConfig) -> dict[str, Any]:
    """Give what the producer is to be protected and let in by, with the files as they are now; raises `Unavailable`."""
    options: dict[str, Any] = {"security_protocol": config.security_protocol}
    if config.encrypted:
        try:
            options["ssl_context"] = await asyncio.to_thread(config.tls_context)
        except UnusableFile as error:
            raise Unavailable(f"{error.field.upper()} {error}", reason="tls", hold=True) from error
    if config.sasl_mechanism is not None:
        options["sasl_mechanism"] = config.sasl_mechanism
    if config.sasl_mechanism == "OAUTHBEARER":
        options["sasl_oauth_token_provider"] = await tokens(config)
    if config.sasl_password is not None:
        options["sasl_plain_username"] = config.sasl_username
        options["sasl_plain_password"] = config.sasl_password.get_secret_value()
    return options
