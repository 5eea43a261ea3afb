"""The table: what shows each fault, how soon at the latest, and what brings the bridge back.

The times are those of a bridge with the settings that it has by itself; what they follow from stands beside them.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.chaos.zombies import fault
from tests.chaos.zombies.fault import Case, Place
from tests.chaos.zombies.sabotage import BLOCKED_SECONDS
from tests.chaos.zombies.sign import Sign, alert, down, exits, unlive, unready

__all__ = ["ZOMBIES", "Zombie"]

_DISCONNECTED = 0.0
_LATE_SECONDS = 60.0
_CLOCKS_SECONDS = 60.0
_STALLED_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Zombie:
    """A fault: `how` it is made, what shows it, what ends it, and how soon all is well again then.

    `limit` says what the times follow from.
    """

    name: str
    how: str
    fault: Callable[[Place], AbstractContextManager[Case]]
    signs: tuple[Sign, ...]
    end: str
    back_seconds: float
    limit: str


def _source_disconnected(within_seconds: float) -> Sign:
    return alert(
        "PortosBridgeSourceDisconnected", "source_connected", lambda now, _: now == _DISCONNECTED, within_seconds
    )


def _sink_disconnected(sink: str, within_seconds: float) -> Sign:
    name = "PortosBridgeSinkDisconnected"
    return alert(name, "sink_connected", lambda now, _: now == _DISCONNECTED, within_seconds, sink=sink)


def _sink_late(sink: str, within_seconds: float) -> Sign:
    name = "PortosBridgeDeliveryLagHigh"
    return alert(name, "sink_lag_seconds", lambda now, _: now > _LATE_SECONDS, within_seconds, sink=sink)


def _grown(now: float, before: float) -> bool:
    return now > before


ZOMBIES = (
    Zombie(
        "half-open hub",
        "nothing passes on the way to the hub any more, and nothing is closed",
        fault.half_open_hub,
        (unready("hub", 32), _source_disconnected(32)),
        "by itself, once the way is open",
        12,
        "`HUB__SILENCE_SECONDS` (30)",
    ),
    Zombie(
        "expired token",
        "the hub refuses every renewal and every login, and closes the connection when its token expires",
        fault.expired_token,
        (
            unready("hub", 5),
            _source_disconnected(5),
        ),
        "by itself, once the hub takes the login",
        65,
        "the token's own time; `DELIVERY__HOLD_PAUSE_SECONDS` (60) between logins that are refused",
    ),
    Zombie(
        "deaf subscription",
        "the hub forgets the subscription without a word and goes on pinging; ten changes a second until then",
        fault.deaf_subscription,
        (alert("PortosBridgeBlindWindow", "source_blind_windows_total", _grown, 12, passes=False, cause="deaf"),),
        "by itself: it subscribes anew",
        2,
        "`HUB__DOUBT_FIRST_SECONDS` (5) after the last event; with less traffic up to twice the longest silence",
    ),
    Zombie(
        "stuck producer",
        "the Kafka broker is frozen (SIGSTOP): its connections stay open and answer nothing",
        fault.stuck_producer,
        (_sink_disconnected("kafka", 40), _sink_late("kafka", 62)),
        "by itself, once the broker answers",
        45,
        "`DELIVERY__ANSWER_SECONDS` (30) and `DELIVERY__CLOSE_SECONDS` (5)",
    ),
    Zombie(
        "stuck MQTT client",
        "Mosquitto is frozen (SIGSTOP)",
        fault.stuck_mqtt_client,
        (_sink_disconnected("mqtt", 40), _sink_late("mqtt", 62)),
        "by itself, once the broker answers",
        45,
        "`DELIVERY__ANSWER_SECONDS` (30) and `DELIVERY__CLOSE_SECONDS` (5)",
    ),
    Zombie(
        "blocked loop",
        f"a call blocks the event loop for {BLOCKED_SECONDS} s",
        fault.blocked_loop,
        (unlive("", 4), down(4)),
        "by itself, when the call returns; a supervisor may restart it before",
        BLOCKED_SECONDS + 5,
        "`timeoutSeconds` of the probe (3)",
    ),
    Zombie(
        "dead internal task",
        "the task that serves a sink is cancelled, which raises no error",
        fault.dead_task,
        (unlive("tasks and threads", 2),),
        "a restart",
        30,
        "the next probe",
    ),
    Zombie(
        "dead internal thread",
        "the journal's thread ends without an error",
        fault.dead_thread,
        (exits(74, 10), down(5)),
        "a restart",
        30,
        "the next event, or ping of the hub",
    ),
    Zombie(
        "full disk",
        "something else takes every block of the journal's volume while a sink's broker is away",
        fault.full_disk,
        (
            unready("journal", 10, says="file system is full"),
            alert("PortosBridgeEventsDropped", "events_dropped_total", _grown, 10, passes=False),
        ),
        "by itself, once there is room",
        5,
        "the next event that needs a block more",
    ),
    Zombie(
        "stalled disk",
        "the journal's disk answers nothing and fails nothing",
        fault.stalled_disk,
        (
            unready("journal", 13, says="the disk has not answered"),
            alert("PortosBridgeJournalStalled", "journal_busy_seconds", lambda now, _: now > _STALLED_SECONDS, 13),
        ),
        "by itself, once it answers",
        5,
        "10 s from the next event, or ping of the hub",
    ),
    Zombie(
        "read-only disk",
        "ext4 finds a fault of its own and goes read-only",
        fault.read_only_disk,
        (exits(74, 10), down(5)),
        "a restart on a volume that is mended",
        30,
        "the next event, or ping of the hub",
    ),
    Zombie(
        "clock jump",
        "the clock of the bridge's machine is set an hour back",
        fault.clock_jump,
        (
            alert(
                "PortosBridgeHubClockOff",
                "hub_clock_offset_seconds",
                lambda now, _: abs(now) > _CLOCKS_SECONDS,
                2,
            ),
        ),
        "by itself, once the clock is right",
        3,
        "a look at the clock every 0.25 s",
    ),
    Zombie(
        "second owner",
        "a second bridge is started on the journal of one that runs",
        fault.second_owner,
        (exits(75, 30), down(1)),
        "a restart, once the first one has ended",
        30,
        "its start",
    ),
    Zombie(
        "DNS gone",
        "the name server answers nothing any more, and the connection to the hub breaks",
        fault.dns_gone,
        (unready("hub", 2), _source_disconnected(2), unready("hub", 20, says="no name server answers")),
        "by itself, once names are resolved",
        20,
        "at once; the cause after 8 s without an answer",
    ),
)
