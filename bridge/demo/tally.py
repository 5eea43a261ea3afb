"""What the demo counts: the hub's ledger against the subscriber's arrivals.

Pure. The bridge's own counter is used for a check only.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles

__all__ = ["Tally", "tally"]


@dataclass(frozen=True, slots=True)
class Tally:
    """The demo's result. `unheard` is what the hub told while the bridge was away; latencies are in seconds."""

    sent: int
    unheard: int
    accepted: int
    delivered: int
    missing: int
    repeated: int
    latency_p50: float
    latency_p99: float


def tally(
    sent: Mapping[str, float],
    unheard: int,
    accepted: Sequence[str],
    counted: int,
    arrivals: Sequence[tuple[str, float]],
) -> Tally:
    """Compare what the hub sent, what the bridge accepted and what arrived; all are named by the digest of their bytes.

    `sent` has the moment of each, `accepted` what the bridge's other sink printed, `counted` how much the bridge says
    it accepted: what it counts and did not print is missing too.
    """
    times = Counter(digest for digest, _ in arrivals)
    expected = set(accepted)
    latencies = [at - sent[digest] for digest, at in arrivals if digest in sent]
    cuts = quantiles(latencies, n=100) if len(latencies) > 1 else [latencies[0] if latencies else 0.0] * 99
    return Tally(
        sent=len(sent),
        unheard=unheard,
        accepted=counted,
        delivered=len(times),
        missing=len(expected - times.keys()) + max(0, counted - len(expected)),
        repeated=sum(count - 1 for count in times.values()),
        latency_p50=cuts[49],
        latency_p99=cuts[98],
    )
