"""All faults at once, each in a thread of its own: what is seen of each, held against the table."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.brokers import KafkaBroker, MqttBroker, start_hub
from tests.chaos.zombies.fault import Case, Place, busy
from tests.chaos.zombies.sign import Look, Sign
from tests.chaos.zombies.witness import Witness
from tests.chaos.zombies.zombie import ZOMBIES, Zombie

__all__ = ["Outcome", "haunted"]

_START_SECONDS = 120.0
_PATIENCE = 2.0
_ACCEPTED = "events_accepted_total"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was seen of a fault: after how many seconds each sign, and all well again; and every promise broken."""

    zombie: Zombie
    seen_seconds: Sequence[float]
    back_seconds: float
    problems: Sequence[str]

    @property
    def summary(self) -> str:
        """Say it in a line, which `page` reads again."""
        seen = ", ".join(f"{seconds:.1f}" for seconds in self.seen_seconds)
        return f"{self.zombie.name}: seen after {seen} s, well {self.back_seconds:.1f} s after the end"


@contextmanager
def haunted(
    kafka: KafkaBroker, mqtt: MqttBroker, zombies: Sequence[Zombie] = ZOMBIES
) -> Iterator[dict[str, Future[Outcome]]]:
    """Begin all of them, and give by name what each comes to; leaving waits for them."""
    together = threading.Barrier(len(zombies))
    hub = busy(start_hub())
    try:
        with ThreadPoolExecutor(len(zombies)) as lanes:
            place = Place(hub, kafka, mqtt)
            yield {zombie.name: lanes.submit(_haunt, zombie, place, together.wait) for zombie in zombies}
    finally:
        hub.close()


def _haunt(zombie: Zombie, place: Place, all_ready: Callable[[float], object]) -> Outcome:
    """Make a fault when all bridges have started, for none to be slowed down by the start of another one."""
    with ExitStack() as stack:
        try:
            case = stack.enter_context(zombie.fault(place))
            if case.runs:
                case.bridge.start(_START_SECONDS)
            witness = stack.enter_context(Witness(case.bridge))
            before = witness.wait(_usual(case), 0, 20, "all is well before the fault")
        finally:
            all_ready(2 * _START_SECONDS)
        return _judged(zombie, case, witness, before)


def _usual(case: Case) -> Callable[[Look], bool]:
    return lambda look: look.well and bool(look.metric(_ACCEPTED)) if case.runs else True


def _judged(zombie: Zombie, case: Case, witness: Witness, before: Look) -> Outcome:
    case.strike()
    struck = time.monotonic()
    seen = [_seconds(sign, witness, before, struck) for sign in zombie.signs]
    problems = [*case.further(), *_wrong_way(zombie, witness.since(struck))]
    mending = time.monotonic()
    case.mend()
    lasting = [sign for sign in zombie.signs if sign.passes]
    stored = witness.last.metric(_ACCEPTED) or 0.0

    def well(look: Look) -> bool:
        flows = (look.metric(_ACCEPTED) or 0.0) > stored
        return look.well and flows and not any(sign.seen(look, before) for sign in lasting)

    healed = witness.wait(well, mending, _PATIENCE * zombie.back_seconds, f"{zombie.name}: all is well again")
    back = healed.ended_at - mending
    late = [(sign.text, after, sign.within_seconds) for sign, after in zip(zombie.signs, seen, strict=True)]
    late.append(("well again", back, zombie.back_seconds))
    problems += [f"{what} after {after:.1f} s, not within {most:g}" for what, after, most in late if after > most]
    return Outcome(zombie, seen, back, problems)


def _seconds(sign: Sign, witness: Witness, before: Look, struck: float) -> float:
    look = witness.wait(
        lambda look: sign.seen(look, before), struck, _PATIENCE * sign.within_seconds, f"{sign.text} is seen"
    )
    return look.ended_at - struck


def _wrong_way(zombie: Zombie, looks: Sequence[Look]) -> list[str]:
    """Name the probes that failed though the table does not say so: a supervisor would do harm."""
    probes = {sign.probe for sign in zombie.signs}
    if probes & {"exit"}:
        return []
    found = []
    if "livez" not in probes and (bad := [look.livez for look in looks if look.livez != {}]):
        found.append(f"/livez failed {len(bad)} times: {bad[0]}")
    if not probes & {"livez", "readyz"} and (bad := [look.readyz for look in looks if look.readyz != {}]):
        found.append(f"/readyz failed {len(bad)} times: {bad[0]}")
    return found
