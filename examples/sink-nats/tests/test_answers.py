"""What the answers of a NATS server become, on real servers: what an operator must mend is held."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest
import trustme
from nats.js.api import StreamConfig
from pydantic import ValidationError

from bridge.contract import LocalBroker, sample
from bridge.errors import Rejected, Unavailable
from bridge.message import Message
from bridge.ports import Outcome
from portos_bridge_sink_nats.config import NatsConfig
from portos_bridge_sink_nats.records import explain, headers, subject
from portos_bridge_sink_nats.sink import connect

PASSWORD = "C4nary"
CONF = """
jetstream {{ store_dir: "{folder}/js" }}
authorization {{ users = [
  {{ user: bridge, password: {password} }}
  {{ user: poor, password: {password}, permissions: {{ publish: ["$JS.API.STREAM.INFO.*"], subscribe: ["_INBOX.>"] }} }}
] }}
{more}
"""


@pytest.fixture
def server() -> Iterator[LocalBroker]:
    with LocalBroker("nats-server", "-a", "127.0.0.1", "-p", "{port}", "-js", "-sd", "{folder}") as broker:
        yield broker


def start(folder: Path, more: str = "") -> LocalBroker:
    conf = folder / "server.conf"
    conf.write_text(CONF.format(folder=folder, password=PASSWORD, more=more))
    return LocalBroker("nats-server", "-a", "127.0.0.1", "-p", "{port}", "-c", str(conf))


def config(server: LocalBroker, scheme: str = "nats", host: str = "127.0.0.1", **settings: object) -> NatsConfig:
    return NatsConfig.model_validate({"servers": f"{scheme}://{host}:{server.port}", **settings})


async def make_stream(server: LocalBroker, subjects: tuple[str, ...] = ("portos.>",), **how: object) -> None:
    login = {"user": "bridge", "password": PASSWORD}
    async with await nats.connect(f"nats://127.0.0.1:{server.port}", **login) as operator:
        await operator.jetstream().add_stream(StreamConfig("PORTOS", subjects=list(subjects), **how))


async def delivered(config: NatsConfig, *messages: Message) -> list[Outcome]:
    async with asyncio.timeout(20), connect(config) as sink:
        return list(await sink.deliver(messages))


async def test_a_missing_stream_is_held_and_the_text_says_how_to_make_it(server: LocalBroker) -> None:
    with pytest.raises(Unavailable, match=r"nats stream add PORTOS --subjects 'portos\.>'") as held:
        await delivered(config(server), sample(1))

    assert held.value.hold


async def test_a_stream_removed_meanwhile_loses_nothing(server: LocalBroker) -> None:
    await make_stream(server)
    async with asyncio.timeout(20), connect(config(server)) as sink:
        async with await nats.connect(f"nats://127.0.0.1:{server.port}") as operator:
            await operator.jetstream().delete_stream("PORTOS")

        [outcome] = await sink.deliver([sample(1)])

    assert isinstance(outcome, Unavailable)


async def test_a_subject_that_no_stream_takes_is_held_after_a_while(server: LocalBroker) -> None:
    await make_stream(server, ("portos.events.>",))

    [outcome] = await delivered(config(server), sample(1))

    assert isinstance(outcome, Unavailable)
    assert outcome.hold_after == 3
    assert "portos.resources.tickets" in str(outcome)


async def test_what_the_stream_finds_too_large_is_a_dead_letter_alone(server: LocalBroker) -> None:
    await make_stream(server, max_msg_size=2000)

    outcomes = await delivered(config(server), sample(1), sample(2, body=b"x" * 2000), sample(3))

    assert [getattr(outcome, "reason", None) for outcome in outcomes] == [None, "too_large", None]


async def test_a_repeat_is_stored_once(server: LocalBroker) -> None:
    await make_stream(server)

    outcomes = await delivered(config(server), sample(1)) + await delivered(config(server), sample(1))

    assert outcomes == [None, None]
    async with await nats.connect(f"nats://127.0.0.1:{server.port}") as reader:
        assert (await reader.jetstream().stream_info("PORTOS")).state.messages == 1


async def test_a_wrong_password_is_held_and_not_told(tmp_path: Path) -> None:
    with start(tmp_path) as server, pytest.raises(Unavailable, match="USERNAME") as held:
        await delivered(config(server, username="bridge", password="wrong-secret"), sample(1))

    assert held.value.hold
    assert held.value.reason == "unauthorized"
    assert "wrong-secret" not in str(held.value)


async def test_a_missing_right_is_held_and_named(tmp_path: Path) -> None:
    with start(tmp_path) as server:
        await make_stream(server)

        with pytest.raises(Unavailable, match=r"grant publish below PREFIX") as held:
            await delivered(config(server, username="poor", password=PASSWORD), sample(1))

    assert held.value.hold


async def test_closing_does_not_wait_for_a_silent_server_to_read(server: LocalBroker) -> None:
    """More is under way than the socket holds, as behind a cut cable."""
    await make_stream(server)
    messages = [sample(number, resource_id=str(number), body=b"x" * 900_000) for number in range(40)]
    loop = asyncio.get_running_loop()

    async with connect(config(server)) as sink:
        server.freeze()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await sink.deliver(messages)
        left_at = loop.time()

    assert loop.time() - left_at < 4


async def test_the_second_server_is_tried(server: LocalBroker) -> None:
    await make_stream(server)
    servers = f"nats://127.0.0.1:1,nats://127.0.0.1:{server.port}"

    assert await delivered(NatsConfig.model_validate({"servers": servers}), sample(1)) == [None]


async def test_tls_is_verified_and_never_left_out(tmp_path: Path) -> None:
    """A server without TLS, or with a certificate of somebody else, gets no password."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    login = {"username": "bridge", "password": PASSWORD}
    trusting = {**login, "scheme": "tls", "ca_file": tmp_path / "ca.pem"}
    (tmp_path / "plain").mkdir()
    more = f'tls {{ cert_file: "{tmp_path}/server.pem", key_file: "{tmp_path}/server.pem" }}'

    with start(tmp_path, more) as server:
        with pytest.raises(Unavailable, match="no stream PORTOS"):
            await delivered(config(server, host="localhost", **trusting), sample(1))
        with pytest.raises(Unavailable, match="CA_FILE") as stranger:
            await delivered(config(server, scheme="tls", host="localhost", **login), sample(1))
        with pytest.raises(Unavailable, match="SERVERS") as other_host:
            await delivered(config(server, **trusting), sample(1))
    with start(tmp_path / "plain") as server, pytest.raises(Unavailable, match="does not ask for TLS") as plain:
        await delivered(config(server, **trusting), sample(1))

    assert all(each.value.hold and each.value.reason == "tls" for each in (stranger, other_host, plain))


def test_no_resource_reaches_the_place_of_the_bridges_own_events() -> None:
    config = NatsConfig(servers=("nats://h",))
    resources = ["events", "a.b", "a%2Eb", "*", ">", "", " ", "portos.bridge.gap.detected", "\r\nPUB x 0"]

    subjects = [subject(config, sample(1, resource=resource)) for resource in resources]

    assert len(set(subjects)) == len(resources)
    assert all(len(each.split(".")) == 3 and each.startswith("portos.resources.") for each in subjects)
    assert not any(mark in each for each in subjects for mark in "*> \r\n")


def test_headers_are_those_of_the_binding() -> None:
    """NATS binding of CloudEvents 1.0.3-wip, 3.1.3: prefixed with ce-, percent-encoded."""
    said = headers(NatsConfig(servers=("nats://h",)), sample(1, resource='Euro € "1%"'))

    assert said["ce-resourcename"] == "Euro%20%E2%82%AC%20%221%25%22"
    assert said["ce-id"] == said["Nats-Msg-Id"]
    assert said["ce-source"] == "/portos/default"
    assert all(text.isascii() and text.isprintable() and " " not in text for text in said.values())


def test_a_subject_too_long_for_a_line_is_refused_beforehand() -> None:
    message = Message("i", "a." * 600, None, None, None, None, None, None, 0.0, b"{}")

    with pytest.raises(Rejected, match="a subject of"):
        explain(NatsConfig(servers=("nats://h",)), message)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"servers": "h:4222"}, "should be tls://host:port"),
        ({"servers": "nats://u:p@h"}, "without a user or a password"),
        ({"servers": "nats://a,tls://b"}, "should all begin"),
        ({"username": "u"}, "need each other"),
        ({"token": "t", "username": "u", "password": "p"}, "only one of"),
        ({"creds": "x"}, "should hold a user JWT and a seed"),
        ({"ca_file": "/ca"}, "should begin with tls://"),
        ({"stream": "a.b"}, "pattern"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, str], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        NatsConfig.model_validate({"servers": "nats://h"} | settings)
