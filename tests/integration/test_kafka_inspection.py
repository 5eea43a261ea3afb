"""What `check --connect` says of a real cluster's topics, what it creates, and which rights it names as missing."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from bridge.contract import sample
from bridge.errors import Unavailable
from bridge.message import Message
from bridge.ports import Finding
from sinks.kafka import KafkaConfig, plugin
from tests.brokers import KafkaBroker, start_kafka, start_simulator
from tests.brokers.secured import SecuredKafka
from tests.brokers.tools import revoke_all, run_tool
from tests.chaos.bridge_process import BridgeProcess
from tests.oracle.kafka import KafkaReader
from tests.support import wait_until

pytestmark = pytest.mark.kafka

_RIGHTS = (
    "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer super.users=User:ANONYMOUS"
    " allow.everyone.if.no.acl.found=false"
)
README = Path(__file__).parents[2] / "sinks" / "kafka" / "README.md"


@pytest.fixture(scope="module")
def broker() -> Iterator[KafkaBroker]:
    started = start_kafka(own=True, auto_create=False)
    yield started
    started.close()


@pytest.fixture(scope="module")
def strict() -> Iterator[SecuredKafka]:
    """A broker on which the user `scram` may do nothing that is not said."""
    started = SecuredKafka(_RIGHTS)
    started.set_password("scram", "right")
    yield started
    started.close()


def config_for(bootstrap: str, **values: object) -> KafkaConfig:
    prefix = f"i{uuid4().hex}"
    return KafkaConfig.model_validate(
        {"bootstrap_servers": bootstrap, "topic_template": f"{prefix}.{{resource}}", "request_seconds": 4} | values
    )


def as_scram(strict: SecuredKafka, **values: object) -> KafkaConfig:
    login = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-512"}
    return config_for(strict.address("BARE"), **login, sasl_username="scram", sasl_password="right", **values)


def examples(*resources: str) -> list[Message]:
    return [sample(1, resource=resource) for resource in resources]


async def look(config: KafkaConfig, events: Sequence[Message], *, create: bool = False) -> list[Finding]:
    assert plugin.inspect is not None
    return [finding async for finding in plugin.inspect(config, events, create=create)]


def topic(config: KafkaConfig, resource: str) -> str:
    return config.topic_template.replace("{resource}", resource)


def make(bootstrap: str, name: str, partitions: int, **config: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(30)
    wait_until(lambda: name in admin.list_topics(timeout=10).topics, 30, f"{name} created")


def command_in(finding: Finding, tool: str) -> str:
    return finding.text[finding.text.index(tool) :].split(";")[0]


async def test_each_topic_is_told_as_the_brokers_have_it(broker: KafkaBroker) -> None:
    """Partitions, replicas and settings are the broker's, what is wrong with them is said, and nothing is created."""
    config = config_for(broker.bootstrap)
    make(broker.bootstrap, topic(config, "tickets"), 3)
    make(broker.bootstrap, topic(config, "orders"), 1, **{"cleanup.policy": "compact", "max.message.bytes": "300000"})

    tickets, orders, items = await look(config, examples("tickets", "orders", "items"))

    assert tickets.rank == "warning"
    assert "3 partitions, 1 replica, min.insync.replicas=1, cleanup.policy=delete" in tickets.text
    assert orders.rank == "warning"
    assert all(said in orders.text for said in ("1 partition,", "compacted", "MAX_REQUEST_BYTES is 1048576"))
    assert items.rank == "failed"
    assert "does not exist" in items.text
    assert [finding.rank for finding in await look(config, examples("items"))] == ["failed"]


async def test_missing_topics_are_created_and_no_others_touched(broker: KafkaBroker) -> None:
    """With the partitions and settings that were told before; afterwards the sink delivers to them."""
    config = config_for(broker.bootstrap)
    make(broker.bootstrap, topic(config, "tickets"), 3)
    told = (await look(config, examples("orders")))[0]

    findings = await look(config, examples("tickets", "orders"), create=True)

    assert [finding.text for finding in findings if "is created" in finding.text] == [
        f"topic {topic(config, 'orders')} is created"
    ]
    assert "6 partitions" in findings[-1].text
    assert "--partitions 6 --replication-factor 1 --config cleanup.policy=delete" in told.text
    there = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0}).list_topics(timeout=10).topics
    assert [len(there[topic(config, name)].partitions) for name in ("tickets", "orders")] == [3, 6]
    async with plugin.connect(config) as sink:
        assert await sink.deliver([sample(1, resource="orders"), sample(2)]) == [None, None]


async def test_a_topic_of_states_is_created_compacted(broker: KafkaBroker) -> None:
    """And one that is not is told as a failure."""
    name = f"s{uuid4().hex[:12]}"
    config = config_for(broker.bootstrap, state_topic_template=f"portos.state.{name}.{{resource}}")
    make(broker.bootstrap, f"portos.state.{name}.orders", 3)

    findings = await look(config, examples("tickets", "orders"), create=True)

    told = {finding.text.split()[1].strip(":"): finding for finding in findings if "is created" not in finding.text}
    assert "cleanup.policy=compact" in told[f"portos.state.{name}.tickets"].text
    assert told[f"portos.state.{name}.orders"].rank == "failed"


async def test_the_command_that_is_told_makes_the_same_topic(broker: KafkaBroker) -> None:
    """For whoever may not create topics with the bridge's own login."""
    config = config_for(broker.bootstrap, max_request_bytes=2_000_000)
    told = (await look(config, examples("tickets")))[0]
    run_tool(broker.bootstrap, command_in(told, "kafka-topics.sh"))
    created = await look(config, examples("orders"), create=True)

    by_hand = (await look(config, examples("tickets")))[0]

    assert by_hand.text.replace("tickets", "orders") == created[-1].text
    assert "max.message.bytes=2000000" in by_hand.text
    resource = ConfigResource(ResourceType.TOPIC, topic(config, "orders"))
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    settings = admin.describe_configs([resource])[resource].result(30)
    assert settings["retention.ms"].is_default, "how long events are kept is the brokers' business"


async def test_brokers_that_make_topics_by_themselves_are_known() -> None:
    """A missing topic is then no failure, and is not made by asking for it either."""
    own = start_kafka(own=True, real=True)
    try:
        config = config_for(own.bootstrap)

        finding = (await look(config, examples("tickets")))[0]
        make(own.bootstrap, topic(config, "orders"), 1)  # behind which the other one would be there as well
        there = AdminClient({"bootstrap.servers": own.bootstrap, "log_level": 0}).list_topics(timeout=10).topics
    finally:
        own.close()

    assert finding.rank == "warning"
    assert "num.partitions=6" in finding.text
    assert topic(config, "tickets") not in there


async def changed(config: KafkaConfig, before: Finding) -> Finding:
    """Look until there is something else to say: brokers learn of a right a little after the tool has said so."""
    async with asyncio.timeout(30):
        while True:
            now = (await look(config, examples("tickets")))[0]
            if now != before:
                return now


async def test_a_missing_right_is_named_and_the_command_told_gives_it(strict: SecuredKafka) -> None:
    """From no right at all to a topic that is as it should be, by doing what each line says."""
    config = as_scram(strict)
    make(strict.bootstrap, topic(config, "tickets"), 3)

    nothing = (await look(config, examples("tickets")))[0]
    run_tool(strict.bootstrap, command_in(nothing, "kafka-acls.sh").replace(" --operation Write", ""))
    describing = await changed(config, nothing)
    run_tool(strict.bootstrap, command_in(describing, "kafka-acls.sh"))
    both = await changed(config, describing)

    revoke_all(strict.bootstrap)
    assert (nothing.rank, describing.rank, both.rank) == ("failed", "failed", "warning")
    assert "the rights Describe and Write are missing" in nothing.text
    assert "the right Write is missing" in describing.text
    assert "DescribeConfigs" in both.text


async def test_creating_without_the_right_says_which_one_is_missing(strict: SecuredKafka) -> None:
    """The one that is told is enough."""
    config = as_scram(strict)
    run_tool(
        strict.bootstrap,
        f"kafka-acls.sh --bootstrap-server x --add --allow-principal User:scram --operation Write"
        f" --topic {topic(config, 'tickets')}",
    )

    refused = (await look(config, examples("tickets"), create=True))[0]
    run_tool(strict.bootstrap, command_in(refused, "kafka-acls.sh"))
    created = (await look(config, examples("tickets"), create=True))[0]

    revoke_all(strict.bootstrap)
    assert "the right Create is missing" in refused.text
    assert (refused.rank, created.rank) == ("failed", "ok")


def test_the_program_says_what_is_missing_creates_it_and_then_delivers(broker: KafkaBroker, tmp_path: Path) -> None:
    """`check --connect` ends with 1, `check --create-topics` with 0, and a bridge started after that holds nothing."""
    prefix = f"i{uuid4().hex}"
    hub = start_simulator("--rate", "0")
    settings = {
        "SINKS": "kafka",
        **hub.login,
        "SUBSCRIBE__RESOURCES": "tickets",
        "SINK__KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap,
        "SINK__KAFKA__TOPIC_TEMPLATE": f"{prefix}.{{resource}}",
    }
    bridge = BridgeProcess(tmp_path, settings)
    try:
        first, second, third = (bridge.command("check", word) for word in ("--connect", "--create-topics", "--connect"))
        bridge.start()
        hub.wait_burst(hub.burst(100, rate=0, size=600, resources=("tickets",)), 30)
        wait_until(lambda: bridge.metric("portos_bridge_events_received_total") >= 100, 30, "all received")
        wait_until(lambda: bridge.status()["sinks"]["kafka"]["lagEvents"] == 0, 30, "all delivered")
        held = bridge.metric("portos_bridge_sink_disconnects_total", sink="kafka")
    finally:
        bridge.kill9()
        hub.close()

    missing = f"failed: sink kafka: topic {prefix}.tickets does not exist"
    assert (first.returncode, missing in first.stdout) == (1, True), first.stdout
    assert (second.returncode, f"ok: sink kafka: topic {prefix}.tickets is created\n" in second.stdout) == (0, True)
    assert (third.returncode, "does not exist" in third.stdout) == (0, False), third.stdout
    assert held == 0
    assert len(KafkaReader(broker.bootstrap, prefix).read()) == 100


def rights_in_the_readme(config: KafkaConfig) -> list[str]:
    """Give the commands of the README, for the names of this test."""
    block = README.read_text().split("<!-- rights -->")[1]
    names = {"portos.": topic(config, ""), "User:bridge": "User:scram", "portos-bridge-default": "i-default"}
    lines = [line for line in re.sub(r"\\\n\s*", "", block).splitlines() if line.startswith("kafka-acls.sh")]
    for before, after in names.items():
        lines = [line.replace(before, after) for line in lines]
    return lines


async def test_the_rights_in_the_readme_are_enough_and_none_is_too_many(strict: SecuredKafka) -> None:
    """With all of them events arrive; without any one of those for running they do not."""
    config = as_scram(strict, transactional_id="i-{site}")
    make(strict.bootstrap, topic(config, "tickets"), 3)
    lines = rights_in_the_readme(config)
    assert len(lines) == 2

    for line in lines:
        run_tool(strict.bootstrap, line)
    async with plugin.connect(config) as sink:
        assert await sink.deliver([sample(1)]) == [None]

    for left_out in lines:
        revoke_all(strict.bootstrap)
        for line in lines:
            if line != left_out:
                run_tool(strict.bootstrap, line)
        with pytest.raises(Unavailable) as refused:
            async with plugin.connect(config) as sink:
                raise next(each for each in await sink.deliver([sample(2)]) if isinstance(each, Unavailable))
        assert (refused.value.reason, refused.value.hold) == ("forbidden", True)
    revoke_all(strict.bootstrap)
