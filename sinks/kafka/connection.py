"""One connection to one broker, as aiokafka makes them, with its failure kept for whoever has to say what was wrong.

aiokafka 0.14.0 connects to each broker by itself, also when the first connections stand already, and ten times a second
where that fails. Why it fails is written to its log; its caller only learns that there is no connection. So its own
function for that is replaced by ours, which keeps the reason and tries nothing again that needs an operator.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, cast
from weakref import ref

import aiokafka.client
from aiokafka.conn import AIOKafkaConnection, OAuthAuthenticator
from aiokafka.errors import AuthenticationFailedError, KafkaError

from bridge.errors import Rejected, Unavailable
from sinks.kafka.damping import LOGGERS, Damping
from sinks.kafka.meaning import meaning, no_connection

__all__ = ["Connection", "Failures", "at_its_cause", "explained", "noting_failures"]


_REPEAT_SECONDS = 0.5


class Failures:
    """The latest failure of each broker that could not be connected with since, by its address.

    `lasts` tells whether a failure goes on until somebody acts: such a broker is not tried again. `noted` is called
    after each failure. `given_up` is set, by whom it concerns, when there is no broker left.
    """

    def __init__(self, lasts: Callable[[str, BaseException], bool]) -> None:
        self.by_address: dict[str, BaseException] = {}
        self.noted: Callable[[], None] = lambda: None
        self.given_up = False
        self._lasts = lasts

    def lasting(self) -> dict[str, BaseException]:
        """Give those that go on until somebody acts."""
        return {address: error for address, error in self.by_address.items() if self._lasts(address, error)}

    def note(self, address: str, error: BaseException) -> None:
        """Keep the failure of a broker."""
        self.by_address[address] = error
        self.noted()


_failures: ContextVar[Callable[[], Failures | None]] = ContextVar("failures", default=lambda: None)


def noting_failures(lasts: Callable[[str, BaseException], bool]) -> Failures:
    """Give what notes the failures of every producer that is started in this task from now on, as long as it is kept.

    The context has no more than a weak reference: a timer keeps its context, and after it was cancelled too.
    """
    failures = Failures(lasts)
    _failures.set(ref(failures))
    return failures


def explained(error: Exception, where: str, failures: Failures, login: str) -> Unavailable:
    """Give the meaning of an error that met no batch; `login` names the variables to look at for a refused login."""
    found = meaning(type(error).__name__, str(error), where, records=0, progress=False, login=login)
    if isinstance(found, Rejected):
        return Unavailable(str(found), reason="unexpected", slowly=True)
    return at_its_cause(found, failures, login)


def at_its_cause(found: Unavailable, failures: Failures, login: str) -> Unavailable:
    """Say why there is no connection, where that is all that an error can mean."""
    if found.reason in ("network", "timeout"):
        return no_connection(failures.by_address, login) or found
    return found


class Connection(AIOKafkaConnection):
    """A connection whose failure is noted, and whose login with a token can fail."""

    _oauth: "_OAuthAuthenticator | None" = None

    async def connect(self) -> Any:
        """Connect and log in, or note why not."""
        failures = _failures.get()()
        connect: Any = super().connect
        if failures is None:
            return await self._without_token(connect)
        address = f"{self.host}:{self.port}"
        if (known := failures.lasting().get(address)) is not None:
            await asyncio.sleep(_REPEAT_SECONDS)
            raise known
        try:
            connected = await self._without_token(connect)
        except (OSError, KafkaError) as error:
            failures.note(address, error)
            raise
        except (AssertionError, LookupError, ValueError) as error:  # a login that does not go as it should
            refused = AuthenticationFailedError(f"the broker's answer to the login is wrong: {type(error).__name__}")
            failures.note(address, refused)
            raise refused from error
        failures.by_address.pop(address, None)
        return connected

    async def _without_token(self, connect: Callable[[], Awaitable[Any]]) -> Any:
        """Connect, and let no broker have the token repeated in an error."""
        try:
            return await connect()
        except KafkaError as error:
            if self._oauth is not None and self._oauth.sent and self._oauth.sent in str(error):
                raise AuthenticationFailedError("the broker does not take the token") from None
            raise

    def authenticator_oauth(self) -> OAuthAuthenticator:
        """Give the login with a token."""
        make: Any = _OAuthAuthenticator
        self._oauth = cast("_OAuthAuthenticator", make(sasl_oauth_token_provider=self._sasl_oauth_token_provider))
        return self._oauth


class _OAuthAuthenticator(OAuthAuthenticator):
    """Notices that a token is refused, which aiokafka takes for a success: the broker says why and wants a last word.

    RFC 7628, 3.2.3; what comes after that word is an error with the reason.
    """

    sent = ""
    _refused = False

    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        if payload and self._refused:
            raise AuthenticationFailedError("the broker does not take the token")
        if payload:
            self._refused = True
            return b"\x01", True
        step: Any = super().step
        message: tuple[bytes, bool] | None = await step(payload)
        if message is not None:
            self.sent = message[0].split(b"Bearer ")[-1].partition(b"\x01")[0].decode()
        return message


async def _create_conn(host: str, port: int, **options: Any) -> AIOKafkaConnection:
    connection = Connection(host, port, **options)  # type: ignore[no-untyped-call]  # aiokafka types its consumer only
    await connection.connect()
    return connection


_damping = Damping()
for _name in LOGGERS:
    logging.getLogger(_name).addFilter(_damping)
vars(aiokafka.client)["create_conn"] = _create_conn
