"""What a run of the model may not show, held against the truth."""

from itertools import pairwise

from tests.unit.model.world import World

__all__ = ["faults_of"]

_ROUNDED = 0.0011  # the times of a window are told in milliseconds
_WIDE_SECONDS = 1.0
_UNTOLD_SECONDS = 0.3  # a connection that ends so soon after it was forgotten seemed to hear everything
_LONGEST_WAY_SECONDS = 4.1  # the model holds nothing longer than 4 s


def faults_of(world: World) -> list[str]:
    """Say what is wrong: a change that is hidden, repeated or out of order, a window that is told twice or too wide."""
    faults: list[str] = []
    stored, windows = world.numbers, world.windows
    if sorted(set(stored)) != stored:
        faults.append(f"not in order once each: {stored}")
    delivered = set(stored)
    for change in world.hub.changes:
        inside = any(since - _ROUNDED <= change.at <= until + _ROUNDED for since, until, _ in windows)
        just_forgotten = any(0 <= change.at - at < _UNTOLD_SECONDS for at in world.hub.forgotten_at)
        if change.number not in delivered and not inside and not just_forgotten:
            faults.append(f"change {change.number} at {change.at:.3f} is hidden; windows: {windows}")
    for (_, until, _), (since, _, cause) in pairwise(windows):
        if since < until - _ROUNDED:
            faults.append(f"told twice: {since} to {until}, again as {cause}")
    faults += _too_wide(world)
    if world.hub.most_connections > 2:
        faults.append(f"{world.hub.most_connections} connections at a time")
    return faults


def _too_wide(world: World) -> list[str]:
    """A change that the stream has proves that the hub knew the bridge: none lies deep inside a window.

    One that stands before the window lies at most a second behind its beginning. One that stands behind it was made
    between the hub's taking the subscription and the bridge's hearing so, which takes as long as the network holds it.
    """
    faults = []
    made_at = {change.number: change.at for change in world.hub.changes}
    for place, (since, until, cause) in world.placed_windows():
        before = [made_at[number] for number in world.numbers[:place]]
        behind = [made_at[number] for number in world.numbers[place:]]
        early = [at for at in before if at > since + _WIDE_SECONDS]
        late = [at for at in behind if at < until - _LONGEST_WAY_SECONDS]
        if early or late:
            faults.append(f"{cause} from {since:.3f} to {until:.3f}, but heard in it: {early[:3]}, {late[:3]}")
    return faults
