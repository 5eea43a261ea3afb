"""Many changes at once; last of all, since the judge of every test looks at all that has been so far."""

import pytest

from tests.kubernetes.shop import RESOURCES, Shop

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]  # the first test builds the image and loads it


def test_ten_thousand_changes_arrive(shop: Shop) -> None:
    """A burst of 2,000 a second is at both brokers, in order, each once."""
    before = shop.trial.world.mqtt_reader.count()

    seconds = shop.burst(10_000, rate=2_000)

    print(f"10,000 changes in {seconds:.1f} s")
    assert shop.judge().problems == []
    assert shop.trial.world.mqtt_reader.count() - before == 10_000 + len(RESOURCES)
