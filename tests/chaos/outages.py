"""The outages of a coverage run: each breaks something for a time that the dice say, and mends it."""

import time
from collections.abc import Callable
from random import Random

from tests.chaos.trial import QUICK, Trial
from tests.support import wait_until

__all__ = ["OUTAGES", "Outage"]

Outage = Callable[[Trial, Random], None]
_SILENCE_SECONDS = float(QUICK["HUB__SILENCE_SECONDS"])
_HEARING_AGAIN_SECONDS = 12
_TOKEN_SECONDS = 3
_LONG_SECONDS = 3600


def hub_killed(trial: Trial, dice: Random) -> None:
    """Kill the hub, and start it anew some seconds later."""
    with trial.hub_away():
        time.sleep(dice.uniform(0, 3))


def hub_aborts(trial: Trial, _: Random) -> None:
    """Abort every connection."""
    trial.hub.disconnect()


def hub_frozen(trial: Trial, dice: Random) -> None:
    """Freeze the hub for less or for more than the bridge takes for silence."""
    with trial.hub_frozen():
        time.sleep(dice.choice((dice.uniform(0.5, 2), _SILENCE_SECONDS + dice.uniform(0.2, 3))))


def network_cut(trial: Trial, dice: Random) -> None:
    """Let nothing pass for longer than the bridge takes for silence; what was held comes to who no longer listens."""
    trial.wire.cut()
    time.sleep(_SILENCE_SECONDS + dice.uniform(0.2, 3))
    trial.wire.mend()


def network_hangs(trial: Trial, dice: Random) -> None:
    """Let nothing pass for so short a time that all comes late and nothing is lost."""
    trial.wire.cut()
    time.sleep(dice.uniform(0.3, _SILENCE_SECONDS - 1))
    trial.wire.mend()


def network_breaks(trial: Trial, _: Random) -> None:
    """Break every connection at both ends."""
    trial.wire.reset()


def network_hangs_and_breaks(trial: Trial, dice: Random) -> None:
    """Hold everything for a while, let a part of what was held pass, late as it is, and end the connection."""
    trial.wire.cut()
    time.sleep(dice.uniform(0.5, _SILENCE_SECONDS - 0.5))
    trial.wire.mend_in_part(dice.randint(10_000, 100_000))


def bridge_killed(trial: Trial, dice: Random) -> None:
    """Kill the bridge, and start it anew at once or some seconds later."""
    trial.bridge_killed()
    time.sleep(dice.choice((0, dice.uniform(0, 2))))
    trial.world.bridge.start()


def bridge_killed_in_the_dark(trial: Trial, dice: Random) -> None:
    """Kill the bridge while it already hears nothing: one loss, one window."""
    trial.wire.cut()
    time.sleep(dice.uniform(0.2, _SILENCE_SECONDS + 1))
    trial.bridge_killed()
    trial.wire.mend()
    trial.world.bridge.start()


def token_expires(trial: Trial, dice: Random) -> None:
    """End the session and the connection, and let the next token expire on the open connection, which is closed."""
    trial.hub.lifetime(_TOKEN_SECONDS)
    trial.hub.revoke()
    trial.hub.disconnect()
    time.sleep(_TOKEN_SECONDS + dice.uniform(0, 1))
    trial.hub.lifetime(_LONG_SECONDS)


def subscription_forgotten(trial: Trial, _: Random) -> None:
    """Take the subscription away without a word, and wait until the bridge has found out."""
    if trial.hears():
        trial.hub.forget()
        wait_until(trial.hears, _HEARING_AGAIN_SECONDS, "the bridge hears again")


OUTAGES: dict[str, Outage] = {
    "hub killed": hub_killed,
    "hub aborts": hub_aborts,
    "hub frozen": hub_frozen,
    "network cut": network_cut,
    "network hangs": network_hangs,
    "network breaks": network_breaks,
    "network hangs and breaks": network_hangs_and_breaks,
    "bridge killed": bridge_killed,
    "bridge killed in the dark": bridge_killed_in_the_dark,
    "token expires": token_expires,
    "subscription forgotten": subscription_forgotten,
}
