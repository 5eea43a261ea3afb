"""A setting that is hot reaches the running bridge: by an upgrade that leaves the pod alone."""

import pytest

from tests.kubernetes.shop import Shop
from tests.support import wait_until

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]  # the first test builds the image and loads it


def test_a_changed_log_level_reaches_the_running_pod(shop: Shop) -> None:
    """The file in the pod changes, the bridge takes it up, and no process is started for it."""
    before, restarts = shop.release.uid(), shop.release.restarts()

    shop.release.upgrade(shop.values(LOG__LEVEL="debug"))
    shop.release.hurry()

    reloads = ("portos_bridge_config_reloads_total", 'result="applied"')
    wait_until(lambda: shop.release.metrics().get(reloads), 120, "the bridge has taken it up")
    assert (shop.release.uid(), shop.release.restarts()) == (before, restarts)
