"""What a bridge shows of a fault to whoever looks from outside: a probe, an alert's metric, an exit status.

Pure: `witness` takes the looks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["PREFIX", "Look", "Sign", "alert", "down", "exits", "unlive", "unready"]

PREFIX = "portos_bridge_"
Metrics = Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen between two moments: the failing checks of both probes, None where there was no answer in time.

    `metrics` is what a scrape got, None where it got nothing; `status` is that of a process which has ended.
    """

    began_at: float
    ended_at: float
    status: int | None = None
    livez: Mapping[str, str] | None = None
    readyz: Mapping[str, str] | None = None
    metrics: Metrics | None = None

    @property
    def well(self) -> bool:
        """Whether both probes are good."""
        return self.livez == {} and self.readyz == {}

    def metric(self, name: str, **labels: str) -> float | None:
        """Sum the samples of a metric that carry all of the labels; None where there is none."""
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        found = [
            value
            for (sample, text), value in (self.metrics or {}).items()
            if sample == PREFIX + name and wanted <= set(text.split(","))
        ]
        return sum(found) if found else None


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that shows a fault: `seen` is asked with a look, and with the one before the fault.

    `alert` is the rule whose expression is then true, `metric` what it is about. `passes` says that it goes when the
    fault does; an alert that counts what has been does not.
    """

    text: str
    within_seconds: float
    seen: Callable[[Look, Look], bool]
    probe: str = ""
    alert: str = ""
    metric: str = ""
    passes: bool = True


def unlive(check: str, within_seconds: float) -> Sign:
    """Expect `/livez` to fail by a check; by none where nothing answers."""

    def seen(look: Look, _: Look) -> bool:
        return look.livez is None if not check else check in (look.livez or {})

    text = f"`/livez` 503, check `{check}`" if check else "`/livez` does not answer"
    return Sign(text, within_seconds, seen, probe="livez")


def unready(check: str, within_seconds: float, says: str = "") -> Sign:
    """Expect `/readyz` to fail by a check, and its text to say something."""

    def seen(look: Look, _: Look) -> bool:
        return look.status is None and says in (look.readyz or {}).get(check, "") and check in (look.readyz or {})

    text = f"`/readyz` 503, check `{check}`" + (f": `... {says} ...`" if says else "")
    return Sign(text, within_seconds, seen, probe="readyz")


def exits(status: int, within_seconds: float) -> Sign:
    """Expect the process to end."""
    return Sign(f"exit status {status}", within_seconds, lambda look, _: look.status == status, probe="exit")


def _linked(alert: str) -> str:
    return f"alert [`{alert}`](runbook/{alert}.md)"


def alert(
    name: str,
    metric: str,
    holds: Callable[[float, float], bool],
    within_seconds: float,
    *,
    passes: bool = True,
    **labels: str,
) -> Sign:
    """Expect the expression of an alert to be true: `holds` is asked with the metric's value now and before."""

    def seen(look: Look, before: Look) -> bool:
        now, then = look.metric(metric, **labels), before.metric(metric, **labels)
        return now is not None and holds(now, then or 0.0)

    return Sign(_linked(name), within_seconds, seen, alert=name, metric=PREFIX + metric, passes=passes)


def down(within_seconds: float) -> Sign:
    """Expect that it cannot be scraped."""
    name = "PortosBridgeDown"
    return Sign(_linked(name), within_seconds, lambda look, _: look.metrics is None, alert=name, metric="up")
