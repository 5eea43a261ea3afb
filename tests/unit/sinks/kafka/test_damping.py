"""What aiokafka says of connections is logged once, and again when it has been quiet about it."""

import logging

import pytest

from sinks.kafka import connection, damping

# The filter is that of the process, set when the sink is imported.
assert connection
log = logging.getLogger("aiokafka")


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection._damping, "_said_at", {})


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_line_is_said_once_until_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    """By whichever of its loggers, and whatever order brokers stand in."""
    for _ in range(50):
        log.error("Unable connect to node with id %s: %s", 1, "refused")
        logging.getLogger("aiokafka.producer.sender").warning("Cannot send %r to %s: %r", str, 1, "NodeNotReadyError()")
    log.error("Unable connect to node with id %s: %s", 1, "timed out")
    for nodes in ([1, 2, "bootstrap"], [2, "bootstrap", 1]):
        log.error("Unable to update metadata from %s", nodes)

    assert said(caplog) == [
        "Unable connect to node with id 1: refused",
        "Cannot send <class 'str'> to 1: 'NodeNotReadyError()'",
        "Unable connect to node with id 1: timed out",
        "Unable to update metadata from [1, 2, 'bootstrap']",
    ]


def test_a_line_is_said_again_after_a_quiet_time(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next outage is told as the first was; a repeat of it is not quiet."""
    moments = iter((1.0, 50.0, 100.0, 161.0))
    monkeypatch.setattr(damping.time, "monotonic", lambda: next(moments))
    for _ in range(4):
        log.error("Unable connect to node with id %s: %s", 1, "refused")

    assert len(said(caplog)) == 2


def test_a_fault_of_the_library_is_told_each_time(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        log.error("Unexpected error in sender routine", exc_info=ValueError("x"))

    assert len(said(caplog)) == 2


def test_what_the_library_calls_an_error_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A topic that the brokers make a moment later calls nobody, and who logs errors alone does not see it."""
    log = logging.getLogger("aiokafka.cluster")
    log.error("Topic %s not found in cluster metadata", "portos.tickets")
    caplog.set_level(logging.ERROR)
    log.error("Topic %s not found in cluster metadata", "portos.orders")

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "Topic portos.tickets not found in cluster metadata")
    ]


def test_a_password_in_plaintext_is_not_told_with_each_connection(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("aiokafka.conn").warning("Sending username and password in the clear")

    assert said(caplog) == []
