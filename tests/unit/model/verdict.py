"""What a run of the model may not show, held against the truth."""

from itertools import pairwise

from tests.unit.model.world import World

__all__ = ["faults_of"]

_ROUNDED = 0.0011  # the times of a window are told in milliseconds
_WIDE_SECONDS = 1.0


def faults_of(world: World) -> list[str]:
    """Say what is wrong: a change that is hidden, repeated or out of order, a window that is told twice or too wide."""
    faults: list[str] = []
    stored, windows = world.numbers, world.windows
    if sorted(set(stored)) != stored:
        faults.append(f"not in order once each: {stored}")
    delivered = set(stored)
    for change in world.hub.changes:
        inside = any(since - _ROUNDED <= change.at <= until + _ROUNDED for since, until, _ in windows)
        if change.number not in delivered and not inside:
            faults.append(f"change {change.number} at {change.at:.3f} is hidden; windows: {windows}")
    for (_, until, _), (since, _, cause) in pairwise(windows):
        if since < until - _ROUNDED:
            faults.append(f"told twice: {since} to {until}, again as {cause}")
    faults += _too_wide(world)
    if world.hub.most_connections > 2:
        faults.append(f"{world.hub.most_connections} connections at a time")
    return faults


def _too_wide(world: World) -> list[str]:
    """A change that the stream has proves that the bridge was not blind: none lies further inside a window than 1 s."""
    faults = []
    delivered = set(world.numbers)
    for since, until, cause in world.windows:
        heard = [
            change.at
            for change in world.hub.changes
            if change.number in delivered and since + _WIDE_SECONDS < change.at < until - _ROUNDED
        ]
        if heard:
            faults.append(f"{cause} from {since:.3f} to {until:.3f}, but {len(heard)} were heard in it: {heard[:3]}")
    return faults
