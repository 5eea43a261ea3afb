"""What an operator does to a release, and what happens to its pod: nothing accepted is lost, the volume is the same."""

import pytest

from tests.kubernetes.shop import Shop
from tests.support import wait_until

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]  # the first test builds the image and loads it


def test_a_changed_value_rolls_the_pod(shop: Shop) -> None:
    before, claim = shop.release.uid(), shop.release.claim()

    with shop.load():
        shop.release.upgrade(shop.values(DELIVERY__CURSOR_EVERY_EVENTS=50))

    assert shop.judge().problems == []
    assert shop.release.uid() != before
    assert shop.release.claim() == claim


def test_a_changed_secret_rolls_the_pod(shop: Shop) -> None:
    shop.release.upgrade(shop.values(secrets={"ADMIN__TOKEN": "first" * 8}))
    before, claim = shop.release.uid(), shop.release.claim()

    with shop.load():
        shop.release.upgrade(shop.values(secrets={"ADMIN__TOKEN": "second" * 8}))

    assert shop.judge().problems == []
    assert shop.release.uid() != before
    assert shop.release.claim() == claim


def test_the_same_values_leave_the_pod_alone(shop: Shop) -> None:
    shop.release.upgrade(shop.values())
    before = shop.release.uid()

    shop.release.upgrade(shop.values())

    assert shop.release.uid() == before


def test_a_deleted_pod_loses_nothing(shop: Shop) -> None:
    """It stops in order; the next one goes on with the same journal."""
    before, claim = shop.release.uid(), shop.release.claim()

    with shop.load():
        shop.release.delete_pod()
        shop.release.wait_ready(not_pod=before)

    assert shop.judge().problems == []
    assert shop.release.claim() == claim


def test_a_killed_process_loses_nothing(shop: Shop) -> None:
    """Kubernetes starts it again in the same pod."""
    before, restarts = shop.release.uid(), shop.release.restarts()

    with shop.load():
        shop.heard(500)
        shop.kill_bridge()
        wait_until(lambda: shop.release.restarts() == restarts + 1, 60, "the process is started again")
        shop.release.wait_ready()

    assert shop.judge().problems == []
    assert shop.release.uid() == before


def test_a_drained_node_loses_nothing(shop: Shop) -> None:
    """The pod is evicted in order, waits for a node, and goes on with the same volume when the node is back."""
    before, claim = shop.release.uid(), shop.release.claim()

    with shop.load():
        shop.heard(500)
        with shop.release.node.drained():
            wait_until(lambda: shop.release.uid() not in {"", before}, 60, "another pod waits")
            assert shop.release.pod()["status"]["phase"] == "Pending"
        shop.release.wait_ready(not_pod=before)

    assert shop.judge().problems == []
    assert shop.release.claim() == claim


def test_a_rollback_ends_what_never_got_ready(shop: Shop) -> None:
    """A pod that ends with 78 does not get in the way of the release before."""
    good = shop.release.revision()

    with shop.load():
        failed = shop.release.try_upgrade(shop.values(SINK__MQTT__CA_FILE="/nowhere/ca.pem"), seconds=15)
        assert failed.returncode != 0
        wait_until(lambda: shop.release.exit_status() == 78, 30, "the pod has ended with 78")
        bad = shop.release.uid()
        shop.release.rollback(good)
        shop.release.wait_ready(not_pod=bad)

    assert shop.judge().problems == []


def test_an_uninstalled_release_keeps_its_volume(shop: Shop) -> None:
    """What is installed next under the same name goes on with the journal that is there."""
    claim = shop.release.claim()

    with shop.load():
        shop.heard(500)
        shop.release.uninstall()
        wait_until(lambda: shop.release.uid() == "", 60, "the pod is gone")
        assert shop.release.claim() == claim
        shop.release.install(shop.values())

    report = shop.judge()
    assert report.problems == []
    assert [window.cause for window in report.coverage.told].count("first_start") == 1
    assert shop.release.claim() == claim
