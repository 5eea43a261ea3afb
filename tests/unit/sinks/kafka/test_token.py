"""The token of OAUTHBEARER: when it is asked for, renewed and kept, and what a bad endpoint leads to."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka.errors import KafkaError

from bridge.errors import Unavailable
from sinks.kafka import token as token_module
from sinks.kafka.config import KafkaConfig
from sinks.kafka.grant import Grant, granted
from sinks.kafka.meaning import no_connection
from sinks.kafka.token import Tokens, tokens
from tests.brokers.certificates import Authority, server_context
from tests.brokers.tokens import TokenEndpoint, token_endpoint

CANARY = "C4nary-secret"


@pytest.fixture
async def endpoint() -> AsyncIterator[TokenEndpoint]:
    async with token_endpoint() as running:
        yield running


def config(endpoint: TokenEndpoint, **values: object) -> KafkaConfig:
    login = {
        "bootstrap_servers": "localhost:9093",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "OAUTHBEARER",
        "oauth_token_url": endpoint.url,
        "oauth_client_id": "bridge",
        "oauth_client_secret": "right",
    }
    return KafkaConfig.model_validate(login | values)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Endpoint:
    """Gives tokens `1`, `2`, ... for a time, or fails as it is told."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.asked = 0
        self.failure: Unavailable | None = None
        self._clock = clock
        self._seconds = seconds

    async def __call__(self) -> Grant:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        now = self._clock.now
        return Grant(str(self.asked), now + 0.8 * self._seconds, now + self._seconds)


@pytest.mark.parametrize("seconds", [60.0, 5.0])
async def test_a_token_is_renewed_ahead_of_its_end(seconds: float) -> None:
    """At four fifths of its life, and not before."""
    clock = Clock()
    endpoint = Endpoint(clock, seconds)
    provider = Tokens(endpoint, clock)

    given = []
    for share in (0.0, 0.5, 0.79, 0.81, 1.6, 1.62):
        clock.now = 1000 + share * seconds
        given.append(await provider.token())

    assert given == ["1", "1", "1", "2", "2", "3"]


async def test_an_old_token_is_used_while_the_endpoint_fails_and_it_is_good() -> None:
    """The endpoint is asked once a second then, however often a broker is connected with."""
    clock = Clock()
    endpoint = Endpoint(clock, 60)
    provider = Tokens(endpoint, clock)
    await provider.token()
    endpoint.failure = Unavailable("down", reason="refused")

    clock.now += 50
    assert [await provider.token() for _ in range(5)] == ["1"] * 5
    assert endpoint.asked == 2
    clock.now += 10
    with pytest.raises(KafkaError) as caught:
        await provider.token()
    assert caught.value.__cause__ is endpoint.failure
    assert endpoint.asked == 3
    endpoint.failure = None
    clock.now += 2
    assert await provider.token() == "4"


def test_why_there_is_no_token_is_why_there_is_no_connection() -> None:
    """It is said of the endpoint and not of the broker."""
    error = KafkaError("no token")
    error.__cause__ = Unavailable("the token endpoint answers 401", reason="unauthorized", hold=True)

    assert no_connection({"kafka:9093": error}, "OAUTH_TOKEN") is error.__cause__


async def test_the_endpoint_is_asked_as_the_standard_says(endpoint: TokenEndpoint) -> None:
    """RFC 6749, 4.4.2: client credentials, in HTTP Basic, with the scope if there is one."""
    await tokens(config(endpoint))
    await tokens(config(endpoint, oauth_scope="kafka events"))

    asked = {"grant_type": "client_credentials", "client": "bridge", "secret": "right"}
    assert endpoint.asked == [asked, asked | {"scope": "kafka events"}]


async def test_a_token_that_is_given_is_used_as_it_is(endpoint: TokenEndpoint) -> None:
    """Whoever puts it into a file renews it too."""
    of_the_endpoint = {"oauth_token_url": None, "oauth_client_id": None, "oauth_client_secret": None}

    provider = await tokens(config(endpoint, oauth_token="abc.def", **of_the_endpoint))

    assert await provider.token() == "abc.def"
    assert endpoint.asked == []


async def no_token(settings: KafkaConfig) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        await tokens(settings)
    assert CANARY not in str(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__)
    return caught.value


@pytest.mark.parametrize(
    ("answer", "reason", "hold", "said"),
    [
        ((401, '{"error": "invalid_client"}'), "unauthorized", True, "401 (invalid_client): check OAUTH_CLIENT_ID"),
        ((400, '{"error": "invalid_scope"}'), "unauthorized", True, "OAUTH_SCOPE"),
        ((400, json.dumps({"error": CANARY})), "unauthorized", True, "answers 400: check"),
        ((403, CANARY), "unauthorized", True, "answers 403: check"),
        ((404, CANARY), "protocol", True, "check OAUTH_TOKEN_URL"),
        ((302, CANARY), "protocol", True, "a redirect: set OAUTH_TOKEN_URL"),
        ((429, CANARY), "refused", False, "answers 429"),
        ((500, CANARY), "refused", False, "answers 500"),
        ((503, CANARY), "refused", False, "answers 503"),
    ],
    ids=str,
)
async def test_a_failing_endpoint_is_told_and_its_words_are_not(
    endpoint: TokenEndpoint,
    answer: tuple[int, str],
    reason: str,
    hold: bool,  # noqa: FBT001
    said: str,
) -> None:
    """What an operator must change is held and named; the rest is tried again."""
    endpoint.answer = answer
    endpoint.headers = {"Location": f"http://127.0.0.1:1/{CANARY}"} if answer[0] == 302 else {}

    error = await no_token(config(endpoint, oauth_client_secret=CANARY))

    assert (error.reason, error.hold) == (reason, hold)
    assert said in str(error)
    assert len(endpoint.asked) == 1


LIES = {
    "nothing": "",
    "no JSON": CANARY,
    "a list": "[]",
    "no token": '{"token_type": "bearer"}',
    "a number": '{"access_token": 1}',
    "an empty token": '{"access_token": ""}',
    "a token that ends the message": json.dumps({"access_token": "a\x01auth=Bearer b"}),
    "a token of two lines": json.dumps({"access_token": "a\nb"}),
    "another kind": '{"access_token": "abc", "token_type": "mac"}',
    "a token that has ended": '{"access_token": "abc", "expires_in": -1}',
    "a time that is none": '{"access_token": "abc", "expires_in": "soon"}',
    "without end": "[" * 100_000,
    "too much": '{"access_token": "' + "a" * 100_000 + '"}',
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lying_endpoint_is_not_believed(endpoint: TokenEndpoint, lie: str) -> None:
    """What is no token never reaches a broker; it is tried again, slowly."""
    endpoint.answer = (200, LIES[lie])

    error = await no_token(config(endpoint))

    assert (error.reason, error.hold, error.slowly) == ("protocol", False, True)


@pytest.mark.parametrize(
    ("expires_in", "renewed_after", "ends_after"),
    [("60", 48, 60), ('"60"', 48, 60), ("null", 8, 10), ("1e300", 69_120, 86_400), ("0.5", 0.4, 0.5)],
)
def test_how_long_a_token_is_good(expires_in: str, renewed_after: float, ends_after: float) -> None:
    """One that does not say so is asked for again soon, and none is good for ever."""
    grant = granted(200, b'{"access_token": "abc", "expires_in": %s}' % expires_in.encode(), 1000.0)

    assert (grant.renew_at - 1000, grant.ends_at - 1000) == pytest.approx((renewed_after, ends_after))
    assert "abc" not in repr(grant)


async def test_a_slow_endpoint_is_not_waited_for(endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Well within the time that a connection may take, so that the cause is told and not the time-out around it."""
    assert token_module._ANSWER_SECONDS <= 5
    monkeypatch.setattr(token_module, "_ANSWER_SECONDS", 0.1)
    endpoint.pause = 5

    error = await no_token(config(endpoint))

    assert (error.reason, error.hold) == ("timeout", False)


async def test_an_endpoint_that_is_not_there(endpoint: TokenEndpoint) -> None:
    """It may come back by itself."""
    error = await no_token(config(endpoint, oauth_token_url="http://127.0.0.1:1/token"))

    assert (error.reason, error.hold) == ("network", False)


async def test_an_endpoint_must_prove_who_it_is(tmp_path: Path) -> None:
    """By an authority of its own: brokers and login often have different ones."""
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    context = server_context(ours.server("server"))

    async with token_endpoint(context) as endpoint:
        provider = await tokens(config(endpoint, oauth_ca_file=ours.ca_file))
        error = await no_token(config(endpoint, oauth_ca_file=theirs.ca_file, ca_file=ours.ca_file))

    assert (await provider.token()).count(".") == 2
    assert (error.reason, error.hold) == ("tls", True)
    assert "OAUTH_CA_FILE" in str(error)


async def test_a_connection_that_is_given_up_leaves_no_request_behind(endpoint: TokenEndpoint) -> None:
    """A deadline of ours ends the request with it."""
    endpoint.pause = 30
    before = asyncio.all_tasks()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await tokens(config(endpoint))
    await asyncio.sleep(0.05)

    assert {task for task in asyncio.all_tasks() - before if "RequestHandler" not in str(task.get_coro())} == set()
