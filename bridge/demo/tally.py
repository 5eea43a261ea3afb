"""What the demo counts: the hub's ledger against what the subscriber got, events and told windows.

Pure. The bridge's own counter is used for a check only.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import quantiles

import msgspec

__all__ = ["Tally", "tally"]


@dataclass(frozen=True, slots=True)
class Tally:
    """The demo's result; latencies and `blind` are in seconds.

    `cut` is what the hub sent and the bridge never read, since their connection ended, and `unheard` what it told while
    the bridge was away; `hidden` is what of both lies in no window that was told.
    """

    sent: int
    cut: int
    unheard: int
    windows: int
    blind: float
    hidden: int
    accepted: int
    delivered: int
    missing: int
    repeated: int
    latency_p50: float
    latency_p99: float


def tally(  # noqa: PLR0913 - each is what another party saw
    sent: Mapping[str, float],
    unheard: Sequence[float],
    windows: Sequence[bytes],
    accepted: Sequence[str],
    counted: int,
    arrivals: Sequence[tuple[str, float]],
) -> Tally:
    """Compare what the hub sent, what the bridge accepted and what arrived; all are named by the digest of their bytes.

    `sent` has the moment of each, `accepted` what the bridge's other sink printed, `counted` how much the bridge says
    it accepted: what it counts and did not print is missing too. `unheard` has the moments of what nobody heard,
    `windows` the payloads of `portos.bridge.resync.required`.
    """
    told = [_interval(window) for window in windows]
    times = Counter(digest for digest, _ in arrivals)
    expected = set(accepted)
    cut = [at for digest, at in sent.items() if digest not in expected]
    latencies = [at - sent[digest] for digest, at in arrivals if digest in sent]
    cuts = quantiles(latencies, n=100) if len(latencies) > 1 else [latencies[0] if latencies else 0.0] * 99
    return Tally(
        sent=len(sent),
        cut=len(cut),
        unheard=len(unheard),
        windows=len(told),
        blind=sum(until - since for since, until in told if since),
        hidden=sum(not any(since <= at <= until for since, until in told) for at in (*cut, *unheard)),
        accepted=counted,
        delivered=len(times),
        missing=len(expected - times.keys()) + max(0, counted - len(expected)),
        repeated=sum(count - 1 for count in times.values()),
        latency_p50=cuts[49],
        latency_p99=cuts[98],
    )


class _Window(msgspec.Struct, rename={"since": "from", "until": "to"}):
    until: datetime
    since: datetime | None


class _Told(msgspec.Struct):
    window: _Window


def _interval(payload: bytes) -> tuple[float, float]:
    """Read the interval of a window, rounded outwards to what its milliseconds can say; 0 is before all time."""
    window = msgspec.json.decode(payload, type=_Told).window
    return 0.0 if window.since is None else window.since.timestamp(), window.until.timestamp() + 0.001
