"""The hub object itself: what the tests take for the truth must be told right."""

import pytest

from tests.brokers import Hub

pytestmark = pytest.mark.hub


def test_the_ledger_holds_every_change_in_order(hub: Hub) -> None:
    """A change and a burst stand in the ledger one after another, with nobody there to be told."""
    first = hub.change("tickets", action="created", id="a")
    burst = hub.burst(20, rate=0, ids=2, resources=["tickets", "orders"])
    hub.wait_burst(burst, 10)

    ledger = hub.ledger()

    assert ledger[0] == first
    assert [change.sequence for change in ledger] == list(range(1, 22))
    assert {change.sent_to for change in ledger} == {0}
    assert hub.ledger(since=20) == ledger[20:]


def test_a_killed_hub_comes_back_empty_on_its_port(hub: Hub) -> None:
    """A crash loses the ledger, so a test must have read it before."""
    hub.change("tickets")
    url = hub.url

    hub.kill()
    reachable = hub.reachable()
    hub.restart()

    assert not reachable
    assert hub.url == url
    assert hub.ledger() == []
