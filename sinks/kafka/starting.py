"""How a producer begins: what it is protected and let in by, and when there is no use in trying on.

aiokafka 0.14.0; used by `sinks.kafka.sink`.
"""

import asyncio
from typing import Any

from aiokafka.errors import KafkaConnectionError

from bridge.errors import Unavailable
from bridge.tls import UnusableFile
from sinks.kafka.config import KafkaConfig
from sinks.kafka.connection import Failures
from sinks.kafka.ending import close_first_connection
from sinks.kafka.token import tokens

__all__ = ["protection", "start"]


async def start(producer: Any, failures: Failures) -> None:
    """Start a producer, or raise `TimeoutError` as soon as no broker of the cluster can be used without an operator.

    aiokafka would ask one after the other for a producer id, for ever. Later on the same ends all that is waiting.
    """
    async with asyncio.timeout(None) as limit:

        def stop_starting() -> None:
            if _hopeless(producer, failures) and not limit.expired():
                limit.reschedule(0)

        failures.noted = stop_starting
        try:
            await producer.start()
        except asyncio.CancelledError as cancelled:
            close_first_connection(cancelled)
            raise
        finally:
            failures.noted = lambda: None

    def stop_waiting() -> None:
        if _hopeless(producer, failures):
            failures.given_up = True
            producer._message_accumulator.fail_all(KafkaConnectionError("no broker can be used"))  # noqa: SLF001 - as in `ending`

    failures.noted = stop_waiting


def _hopeless(producer: Any, failures: Failures) -> bool:
    brokers = {f"{broker.host}:{broker.port}" for broker in producer.client.cluster.brokers()}
    return bool(brokers) and brokers <= failures.lasting().keys()


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
