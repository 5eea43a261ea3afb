"""The bridge's own ledger, as the long runs look at it."""

import pytest

from tests.chaos.trial import imbalances

NAME = "portos_bridge_ledger_imbalance_events"


def test_what_the_ledger_misses_is_named_by_stage() -> None:
    shown = {(NAME, "intake"): 0.0, (NAME, "mqtt"): -2.0, ("portos_bridge_up", "kafka"): 1.0}

    assert imbalances(shown) == {"mqtt": -2.0}


def test_a_bridge_without_a_ledger_proves_nothing() -> None:
    """A renamed metric must not turn the check into one that cannot fail."""
    with pytest.raises(AssertionError, match="there is no portos_bridge_ledger_imbalance_events"):
        imbalances({("portos_bridge_up", "kafka"): 1.0})
