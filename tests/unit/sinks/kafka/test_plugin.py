"""The Kafka sink as the bridge finds it, and what it needs below aiokafka's public names."""

import inspect
import subprocess
import sys
from typing import Any

import aiokafka
import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.producer.sender import Sender
from aiokafka.producer.transaction_manager import TransactionManager

from bridge.errors import Unavailable
from bridge.settings import SinkConfig
from sinks.kafka import KafkaConfig, plugin, sink
from tests.support import free_port


def test_the_settings_can_be_read_without_the_client_library() -> None:
    """`config env` and `check` do not pay for aiokafka."""
    code = "import sys, sinks.kafka; print('aiokafka' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "False"


def test_the_plugin_names_its_settings() -> None:
    """The entry point gives the model that the bridge fills."""
    assert plugin.config is KafkaConfig
    assert issubclass(KafkaConfig, SinkConfig)


async def test_the_producer_waits_for_all_replicas_and_is_idempotent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weaker choices, aiokafka's own defaults among them, lose or reorder events."""
    options: dict[str, Any] = {}

    class Seen(aiokafka.AIOKafkaProducer):  # type: ignore[misc]
        def __init__(self, **given: Any) -> None:
            options.update(given)
            super().__init__(**given)

    monkeypatch.setattr(sink, "AIOKafkaProducer", Seen)
    with pytest.raises(Unavailable):
        async with plugin.connect(KafkaConfig(bootstrap_servers=(f"127.0.0.1:{free_port()}",))):
            pytest.fail("nobody listens there")

    assert (options["acks"], options["enable_idempotence"]) == ("all", True)


async def test_the_private_names_that_closing_needs_are_there() -> None:
    """Closing reaches below aiokafka's public names: a new version needs another look at `abandon`."""
    assert aiokafka.__version__ == "0.14.0"
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers="127.0.0.1:1")
    producer._closed = True
    connection = AIOKafkaConnection("127.0.0.1", 1)

    assert isinstance(producer._sender, Sender)
    assert callable(producer._message_accumulator.fail_all)
    assert producer.client._sync_task is None
    assert vars(TransactionManager(None, 1000))["transactional_id"] is None
    assert isinstance(producer.client, AIOKafkaClient)
    assert producer.client._conns == {}
    assert connection._writer is None
    assert inspect.iscoroutinefunction(Sender._sender_routine)
    assert next(iter(inspect.signature(Sender._send_produce_req).parameters)) == "self"
