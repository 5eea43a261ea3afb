"""The Kafka sink through the real loops on a secured broker: let in, refused and told why, let in again; lost 0."""

import asyncio
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from bridge.contract import sample
from bridge.message import Message
from bridge.policy import Pauses
from sinks.kafka import KafkaConfig, plugin
from tests.brokers import Hub
from tests.brokers.certificates import Authority
from tests.brokers.secured import IDLE_SECONDS, SecuredKafka
from tests.brokers.tokens import TokenEndpoint, token_endpoint, unsecured
from tests.chaos.bridge_process import BridgeProcess
from tests.delivery import Run, delivering, disordered
from tests.oracle.kafka import KafkaReader
from tests.oracle.record import identities, identity_of_change
from tests.support import until, wait_until

pytestmark = pytest.mark.kafka

_PATIENT = Pauses(first_seconds=0.05, longest_seconds=0.1, hold_seconds=0.5)
SCRAM = {"sasl_mechanism": "SCRAM-SHA-512", "sasl_username": "scram", "sasl_password": "right"}


@pytest.fixture(scope="module")
def broker() -> Iterator[SecuredKafka]:
    started = SecuredKafka()
    started.set_password("scram", "right")
    yield started
    started.close()


def config_for(broker: SecuredKafka, listener: str, **values: object) -> KafkaConfig:
    """Give what reaches a listener, with a topic of its own."""
    prefix = f"s{uuid4().hex}"
    broker.create(f"{prefix}.tickets")
    protocol = {"TLS": "SSL", "MTLS": "SSL", "LOGIN": "SASL_SSL", "BARE": "SASL_PLAINTEXT"}[listener]
    own = {
        "bootstrap_servers": broker.address(listener),
        "topic_template": f"{prefix}.{{resource}}",
        "security_protocol": protocol,
        "ca_file": broker.authority.ca_file if protocol.endswith("SSL") else None,
        "window_events": 50,
        "request_seconds": 4,
    }
    return KafkaConfig.model_validate(own | values)


async def judge(broker: SecuredKafka, config: KafkaConfig, messages: list[Message], run: Run) -> None:
    """Check that everything arrived, in order."""
    reader = KafkaReader(broker.bootstrap, config.topic_template.partition(".")[0])
    arrived = [record.attributes["id"] for record in await asyncio.to_thread(reader.read)]
    assert {message.id for message in messages} - set(arrived) == set()
    assert disordered(messages, arrived) == []
    assert len(arrived) - len(messages) <= 50 * sum(run.lost.values())
    assert run.dead_letters() == {}


def certificate(broker: SecuredKafka) -> dict[str, object]:
    cert, key = broker.authority.client("bridge", "of the key")
    return {"client_cert_file": cert, "client_key_file": key, "client_key_password": "of the key"}


WAYS: dict[str, tuple[str, Callable[[SecuredKafka], dict[str, object]]]] = {
    "TLS": ("TLS", lambda _: {}),
    "mTLS": ("MTLS", certificate),
    "PLAIN": ("LOGIN", lambda _: {"sasl_mechanism": "PLAIN", "sasl_username": "bridge", "sasl_password": "right"}),
    "SCRAM-SHA-256": ("LOGIN", lambda _: SCRAM | {"sasl_mechanism": "SCRAM-SHA-256"}),
    "SCRAM-SHA-512": ("LOGIN", lambda _: SCRAM),
    "SCRAM without TLS": ("BARE", lambda _: SCRAM),
}


@pytest.mark.parametrize("way", WAYS)
async def test_each_way_to_be_let_in_delivers(broker: SecuredKafka, tmp_path: Path, way: str) -> None:
    """1,000 events arrive in order, without a repeat."""
    listener, values = WAYS[way]
    config = config_for(broker, listener, **values(broker))
    messages = [sample(number) for number in range(1000)]

    async with delivering(tmp_path, plugin, config, pauses=_PATIENT) as run:
        await run.append(messages)
        await run.settled(30)

    assert not run.lost
    await judge(broker, config, messages, run)


class Fault:
    """Something wrong on one of the sides, and its remedy; `said` is what the sink must say."""

    def __init__(self, broker: SecuredKafka, folder: Path, name: str) -> None:
        authority = broker.authority
        self._broker = broker
        self._stranger = Authority(folder / "stranger")
        self._ca = folder / "ca.pem"
        shutil.copy(authority.ca_file, self._ca)
        self.listener, self.values, self.said = {
            "password": ("LOGIN", SCRAM, "SASL_PASSWORD"),
            "certificate expired": ("TLS", {}, "has expired"),
            "host of the certificate": ("TLS", {"bootstrap_servers": self._by_number()}, "BOOTSTRAP_SERVERS"),
            "authority": ("TLS", {"ca_file": self._ca}, "CA_FILE"),
            "certificate of the bridge": ("MTLS", self._copied(), "CLIENT_CERT_FILE"),
        }[name]
        self._name = name

    def _by_number(self) -> str:
        """Give an address that the certificate will be for, other than the one that the broker gives of itself."""
        return self._broker.address("TLS").replace("localhost", "127.0.0.1")

    def _copied(self) -> dict[str, object]:
        cert, key = self._stranger.client("bridge")
        return {"client_cert_file": cert, "client_key_file": key}

    def begin(self) -> None:
        match self._name:
            case "password":
                self._broker.set_password("scram", "another one")
            case "certificate expired":
                self._broker.present("TLS", self._broker.authority.server("expired", expired=True))
            case "host of the certificate":
                self._broker.present("TLS", self._broker.authority.server("elsewhere", "127.0.0.1"))
            case "authority":
                shutil.copy(self._stranger.ca_file, self._ca)

    def end(self) -> None:
        match self._name:
            case "password":
                self._broker.set_password("scram", "right")
            case "certificate expired" | "host of the certificate":
                self._broker.present("TLS", self._broker.authority.server("renewed"))
            case "authority":
                shutil.copy(self._broker.authority.ca_file, self._ca)
            case _:
                cert, key = self._broker.authority.client("renewed")
                shutil.copy(cert, self._stranger.ca_file.with_name("bridge.pem"))
                shutil.copy(key, self._stranger.ca_file.with_name("bridge.key"))


FAULTS = ("password", "certificate expired", "host of the certificate", "authority", "certificate of the bridge")


@pytest.mark.parametrize("name", FAULTS)
async def test_what_is_wrong_is_held_and_told_until_it_is_right(
    broker: SecuredKafka, tmp_path: Path, name: str
) -> None:
    """The variable and the cause are named, attempts are rare, and nobody has to restart anything."""
    fault = Fault(broker, tmp_path / "tls", name)
    config = config_for(broker, fault.listener, **fault.values)
    messages = [sample(number) for number in range(300)]
    await asyncio.to_thread(fault.begin)

    async with delivering(tmp_path, plugin, config, pauses=_PATIENT) as run:
        await run.append(messages)
        await until(lambda: run.link.held and fault.said in run.link.last_error, 20, f"held for {fault.said}")
        failures = run.link.failures
        await asyncio.sleep(1)
        assert run.link.failures - failures <= 4
        await asyncio.to_thread(fault.end)
        await run.settled(30)
        assert not run.link.held

    await judge(broker, config, messages, run)


async def test_a_password_that_changes_at_the_broker_does_not_lead_to_a_storm(
    broker: SecuredKafka, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """aiokafka logs in again by itself, ten times a second; here once, and then the sink is held, idle or not."""
    config = config_for(broker, "LOGIN", **SCRAM)
    messages = [sample(number) for number in range(600)]

    async with delivering(tmp_path, plugin, config, pauses=_PATIENT) as run:
        await run.append(messages[:300])
        await run.settled(30)
        caplog.set_level(logging.ERROR, "aiokafka")
        await asyncio.to_thread(broker.set_password, "scram", "another one")
        await until(lambda: run.link.held, IDLE_SECONDS + 20, "held, with nothing to deliver")
        await run.append(messages[300:])
        assert "SASL_PASSWORD" in run.link.last_error
        refused = [record for record in caplog.records if "SaslAuthenticationFailed" in record.getMessage()]
        assert len(refused) < 20
        await asyncio.to_thread(broker.set_password, "scram", "right")
        await run.settled(30)

    await judge(broker, config, messages, run)


def by_token(endpoint: TokenEndpoint) -> dict[str, object]:
    client = {"oauth_client_id": "bridge", "oauth_client_secret": "right"}
    return {"sasl_mechanism": "OAUTHBEARER", "oauth_token_url": endpoint.url} | client


@pytest.mark.parametrize(("seconds", "tokens"), [(60.0, 1), (5.0, 3)])
async def test_a_token_lets_in_and_is_renewed(
    broker: SecuredKafka, tmp_path: Path, seconds: float, tokens: int
) -> None:
    """Also where the broker ends each login with its token: 100 events a second over the lives of two of the short."""
    async with token_endpoint() as endpoint:
        endpoint.seconds = seconds
        config = config_for(broker, "LOGIN", **by_token(endpoint))
        messages: list[Message] = []

        async with delivering(tmp_path, plugin, config, pauses=_PATIENT) as run:
            while len(messages) < 300 or (len(endpoint.asked) < tokens and len(messages) < 3000):
                new = [sample(len(messages) + number) for number in range(20)]
                messages += new
                await run.append(new)
                await asyncio.sleep(0.2)
            await run.settled(30)

        print(f"{len(endpoint.asked)} tokens of {seconds:g} s, lost connections: {dict(run.lost)}")
        assert tokens <= len(endpoint.asked) <= tokens + 1
        await judge(broker, config, messages, run)


@pytest.mark.parametrize("wrong", ["secret", "token"])
async def test_a_token_that_is_not_given_or_not_taken_is_told(broker: SecuredKafka, tmp_path: Path, wrong: str) -> None:
    """By the endpoint and by the broker; held until it is right, without a storm on either."""
    async with token_endpoint() as endpoint:
        config = config_for(broker, "LOGIN", **by_token(endpoint))
        messages = [sample(number) for number in range(300)]
        if wrong == "secret":
            endpoint.secret = "another one"
        else:
            endpoint.answer = (200, f'{{"access_token": "{unsecured("bridge", -60)}"}}')

        async with delivering(tmp_path, plugin, config, pauses=_PATIENT) as run:
            await run.append(messages)
            await until(lambda: run.link.held, 20, "held")
            assert "OAUTH_CLIENT_ID" in run.link.last_error
            asked = len(endpoint.asked)
            await asyncio.sleep(1)
            assert len(endpoint.asked) - asked <= 4
            endpoint.secret, endpoint.answer = "right", None
            await run.settled(30)

        await judge(broker, config, messages, run)


async def test_a_token_of_a_file_lets_in(broker: SecuredKafka, tmp_path: Path) -> None:
    """Something else asks for it."""
    config = config_for(broker, "LOGIN", sasl_mechanism="OAUTHBEARER", oauth_token=unsecured("bridge", 60))
    messages = [sample(number) for number in range(100)]

    async with delivering(tmp_path, plugin, config, pauses=_PATIENT) as run:
        await run.append(messages)
        await run.settled(30)

    await judge(broker, config, messages, run)


def rotating(broker: SecuredKafka, hub: Hub, folder: Path) -> tuple[BridgeProcess, str]:
    """Make a bridge whose password, certificate and key for Kafka are files; give the prefix of its topics as well."""
    config = config_for(broker, "LOGIN", **SCRAM)
    broker.create("portos.bridge.gaps")
    cert, key = broker.authority.client("bridge")
    shutil.copy(cert, folder / "bridge.pem")
    shutil.copy(key, folder / "bridge.key")
    kafka = {
        "BOOTSTRAP_SERVERS": config.bootstrap_servers[0],
        "TOPIC_TEMPLATE": config.topic_template,
        "SECURITY_PROTOCOL": "SASL_SSL",
        "SASL_MECHANISM": "SCRAM-SHA-512",
        "SASL_USERNAME": "rotated",
        "SASL_PASSWORD_FILE": str(folder / "password"),
        "CA_FILE": str(broker.authority.ca_file),
        "CLIENT_CERT_FILE": str(folder / "bridge.pem"),
        "CLIENT_KEY_FILE": str(folder / "bridge.key"),
    }
    usual = {
        "SINKS": "kafka",
        **hub.login,
        "SUBSCRIBE__RESOURCES": "tickets",
        "SUBSCRIBE__LICENCE": "false",
        "DELIVERY__HOLD_PAUSE_SECONDS": "1",
        **{f"SINK__KAFKA__{name}": value for name, value in kafka.items()},
    }
    return BridgeProcess(folder, usual), config.topic_template.partition(".")[0]


@pytest.mark.hub
def test_secrets_are_corrected_and_rotated_without_a_restart(broker: SecuredKafka, hub: Hub, tmp_path: Path) -> None:
    """Wrong, right, and three times another one under 200/s, with a new certificate: 0 lost, 0 blind."""
    (tmp_path / "password").write_text("wrong-C4nary\n")
    broker.set_password("rotated", "first-C4nary")
    bridge, prefix = rotating(broker, hub, tmp_path)
    try:
        bridge.start()
        wait_until(lambda: bridge.status()["sinks"]["kafka"]["held"], 30, "held")
        assert "SASL_PASSWORD" in bridge.status()["sinks"]["kafka"]["lastError"]
        (tmp_path / "password").write_text("first-C4nary\n")
        wait_until(lambda: bridge.status()["sinks"]["kafka"]["connected"], 30, "let in")
        windows = bridge.metric("portos_bridge_source_blind_windows_total")
        load = hub.burst(2400, rate=200, size=600, resources=("tickets",))
        for number, secret in enumerate(("second-C4nary", "third-C4nary", "fourth-C4nary"), start=1):
            broker.set_password("rotated", secret)
            (tmp_path / "password").write_text(secret)
            cert, key = broker.authority.client(f"renewed-{number}")
            shutil.copy(cert, tmp_path / "bridge.pem")
            shutil.copy(key, tmp_path / "bridge.key")
            wait_until(lambda: planned(bridge) >= number, 30, f"{number} connections are over")  # noqa: B023 - at once
            wait_until(lambda: bridge.status()["sinks"]["kafka"]["connected"], 30, "and the next one is there")
        hub.wait_burst(load, 120)
        wait_until(lambda: bridge.metric("portos_bridge_events_received_total") >= 2400, 30, "all received")
        wait_until(lambda: bridge.status()["sinks"]["kafka"]["lagEvents"] == 0, 60, "all delivered")
        ledger = {identity_of_change(change) for change in hub.ledger()}
        windows = bridge.metric("portos_bridge_source_blind_windows_total") - windows
        lost = bridge.metric("portos_bridge_sink_disconnects_total", sink="kafka") - planned(bridge)
        assert bridge.terminate() == 0
    finally:
        bridge.kill9()

    records = KafkaReader(broker.bootstrap, prefix).read()
    print(f"{len(ledger)} changes, {len(records)} records, {windows:g} windows, {lost:g} lost connections")
    assert len(ledger) == 2400
    assert ledger - identities(records) == set()
    assert windows == 0
    assert len(records) - 2400 <= 200 * lost
    assert "C4nary" not in bridge.log()


def planned(bridge: BridgeProcess) -> float:
    return bridge.metric("portos_bridge_sink_disconnects_total", sink="kafka", reason="planned")
