"""What is wrong and what to do about it, in plain words: for whoever is on call and has never seen the bridge before.

Pure. One problem a cause, the worst first; nothing that is over and done with is one. A number that moves all the time
is not in a text, so that who hears texts read out is told changes only. Used by `bridge.status`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bridge.journal.room import Room
from bridge.journal.stage import Step
from bridge.labels import JOURNAL, SOURCE
from bridge.link import Link
from bridge.policy import YOUNG_OUTAGE_SECONDS
from bridge.scrape import LagReading

__all__ = ["Level", "Problem", "View", "diagnosis", "headline", "level", "opening"]

Level = Literal["ok", "warning", "critical"]
"""As severities of alerts: `warning` heals, or can wait; with `critical` somebody has to act now."""

_LATE_SECONDS = 10.0  # a broker that died is believed to be there for as long as its answers are waited for
_FAR_SECONDS = 60.0  # as the alert on `hub_clock_offset_seconds`
_VERY_LATE_SECONDS = 300.0  # as the alert on `sink_lag_seconds`


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a part (`hub`, `journal`, `sink kafka`, ...), and what to do.

    `detail` is what a library or a peer said, in its own words. `since` is in seconds since the epoch.
    """

    level: Level
    part: str
    text: str
    what_to_do: str
    since: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """What is looked at. `letters` count by reason, for each sink and for what stands in the place of one."""

    hub: Link
    sinks: Mapping[str, Link]
    lags: Mapping[str, LagReading]
    room: Room
    failure: str = ""
    """What has ended the journal, if anything has."""
    stalled: bool = False
    """Whether the journal's disk has not answered for long."""
    corrupt_rows: int = 0
    letters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    open_gaps: int = 0
    unbalanced: Sequence[str] = ()
    """Names of stages in which events are counted twice or nowhere."""
    clock_offset_seconds: float | None = None
    """How far the hub's clock is ahead, where that is known."""
    store: Link | None = None
    states: Mapping[str, Link] = field(default_factory=dict)
    dead: Sequence[str] = ()
    """Names of tasks and threads that have ended."""
    restart_needed: Sequence[str] = ()
    """Names of variables that are other than those in effect."""
    rejected: Sequence[str] = ()
    """What is wrong with settings that were read anew and not taken up."""
    unanswered: str = ""
    """What of the settings does not answer, as of a mount that hangs."""
    stopping: bool = False


def diagnosis(view: View) -> Sequence[Problem]:
    """Find what is wrong, the worst first."""
    found = [
        *([_STOPPING] if view.stopping else [*_bridge(view), *_hub(view.hub)]),
        *_journal(view),
        *(problem for name in view.sinks for problem in _sink(name, view)),
        *_states(view),
        *_letters(view.letters),
        *_gaps(view.open_gaps),
        *_clocks(view.clock_offset_seconds),
    ]
    return sorted(found, key=lambda problem: problem.level != "critical")


def opening(step: Step, since: float, *, stopping: bool) -> Sequence[Problem]:
    """Say what a start waits for before anything else can be looked at."""
    text = f"{_OPENING[step]} Portos is listened to when that is done; what it says until then is told as missed."
    advice = "Wait. Do not start the bridge again: that begins anew." if step == "salvaging" else "Wait a moment."
    return [*([_STOPPING] if stopping else []), Problem("warning", JOURNAL, text, advice, since)]


def level(problems: Sequence[Problem]) -> Level:
    """Say how bad it is in all."""
    return problems[0].level if problems else "ok"


def headline(problems: Sequence[Problem], sinks: Sequence[str]) -> str:
    """Say it in a sentence."""
    if problems:
        return problems[0].text
    return f"All is well: what Portos says reaches {_all_of(sinks)}."


_OPENING: Mapping[Step, str] = {
    "checking": "The bridge starts and looks whether its journal is whole.",
    "salvaging": "The journal was damaged: what can be read of it is put into a new one, a minute a gigabyte or more.",
    "reading": "The bridge starts and reads what its journal holds.",
}
_STOPPING = Problem(
    "warning", "bridge", "The bridge is stopping.", "Nothing, if that is meant: it delivers what is stored, then ends."
)


def _bridge(view: View) -> Iterator[Problem]:
    if view.dead:
        text = "A part of the bridge has ended, which only a restart brings back."
        yield Problem(
            "critical", "bridge", text, "Restart it, and report it with the log.", detail=", ".join(view.dead)
        )
    if view.unbalanced:
        text = "The bridge has counted events twice or nowhere, which is a fault of its own or of the disk."
        advice = "See `portos-bridge journal verify`, keep a copy of the journal, and report it with the log."
        yield Problem("critical", "ledger", text, advice, detail=", ".join(view.unbalanced))
    if view.rejected:
        text = "Settings were changed, and something in them is wrong: they are not taken up, and a start would fail."
        advice = "Correct what is named; `portos-bridge check` tries them."
        yield Problem("warning", "bridge", text, advice, detail="; ".join(view.rejected))
    if view.unanswered:
        text = "The settings cannot be read, so that a change of them is not seen."
        yield Problem("warning", "bridge", text, f"Look at the mount that hangs. {_AGAIN}", detail=view.unanswered)
    if view.restart_needed:
        text = "Settings were changed that take effect with the next start."
        yield Problem("warning", "bridge", text, "Restart when it suits.", detail=", ".join(view.restart_needed))


_Words = tuple[str, str]
"""What is wrong, and what to do."""

_MISSED = "What it says meanwhile is missed, and the sinks are told from when to when."
_AGAIN = "The bridge goes on trying by itself."
_HUB_LOST: _Words = ("Portos cannot be reached.", "See that the Portos server runs and that the network leads to it.")
_HUB: Mapping[str, _Words] = {
    "unauthorized": (
        "Portos refuses the bridge's login.",
        "Correct AUTH__USERNAME, AUTH__PASSWORD or AUTH__DEVICE_NAME, or give the user its rights in BackOffice.",
    ),
    "forbidden": ("Portos does not allow the bridge to listen.", "Give its user the right in BackOffice."),
    "tls": ("The connection to Portos is not secure.", "Put the certificate or the variable right that is named."),
    "protocol": ("Portos does not answer as it should.", "See that HUB__URL is the address of a Portos API."),
    "oversize": ("Portos sent a larger message than the bridge takes.", "Raise HUB__MAX_MESSAGE_BYTES."),
    "silence": ("Portos has fallen silent.", "See that the Portos server is well and that the network leads to it."),
    "shed": ("Portos sends more than there is memory for.", "Look at the journal and its disk."),
}


def _hub(link: Link) -> Iterator[Problem]:
    if link.connected:
        yield from _set_back("hub", "connection to Portos", link)
        return
    if not link.failures:
        yield Problem("warning", "hub", "The bridge is connecting to Portos.", "Wait a moment.", link.since)
        return
    text, advice = _HUB.get(link.last_reason, _HUB_LOST)
    yield _lost("hub", link, f"{text} {_MISSED}", advice)


_SINK_LOST: _Words = ("cannot be reached", "See that the broker runs and that the network leads to it.")
_SINK: Mapping[str, _Words] = {
    "unauthorized": ("is refused", "Correct the login, or grant the bridge the right that is named."),
    "forbidden": ("is refused", "Grant the bridge the right that is named."),
    "missing_topic": ("lacks a topic", "Create it, for instance with `portos-bridge check --create-topics`."),
    "tls": ("has no secure connection", "Put the certificate or the variable right that is named."),
    "protocol": ("does not understand its broker", "Correct the setting that is named."),
    "taken_over": ("is pushed out by another client", "Stop the other one, or give each a name of its own."),
    "clock": ("disagrees with its broker about the time", "Set the clocks right."),
    "storage": ("cannot write its file", "Look at the disk that is named."),
    "contract": ("answers wrongly, which is a fault of the sink", "Report it, with the log."),
    "fault": ("has an error of its own, which is a fault of the sink", "Report it, with the log."),
}
_WAITS = "What it should get is kept in the journal."
_STORED = "What is stored for it is kept in the journal."


def _sink(name: str, view: View) -> Iterator[Problem]:
    link, (events, _, seconds) = view.sinks[name], view.lags[name]
    part = f"sink {name}"
    if link.held or not link.connected:
        yield _sink_lost(part, link, _WAITS if _takes(view) else _STORED)
        return
    yield from _set_back(part, f"connection of the {part}", link)
    if events and seconds > _LATE_SECONDS:
        advice = "See whether the broker is slow; nothing, if it catches up."
        yield Problem("critical" if seconds > _VERY_LATE_SECONDS else "warning", part, f"The {part} is behind.", advice)


def _sink_lost(part: str, link: Link, waits: str = _WAITS) -> Problem:
    if not link.failures:
        return Problem("warning", part, f"The {part} is connecting.", "Wait a moment.", link.since)
    text, advice = _SINK.get(link.last_reason, _SINK_LOST)
    return _lost(part, link, f"The {part} {text}. {waits}", advice)


def _set_back(part: str, connection: str, link: Link) -> Iterator[Problem]:
    if link.setback:
        text = f"The {connection} was to be renewed, and that came to nothing: it goes on as it was."
        yield Problem("warning", part, text, "Put right what is named, before it ends.", detail=link.setback)


def _lost(part: str, link: Link, text: str, advice: str) -> Problem:
    if link.held:
        advice = f"{advice} {_AGAIN}"
    elif link.outage_seconds < YOUNG_OUTAGE_SECONDS:
        return Problem("warning", part, text, f"Nothing yet. {_AGAIN}", link.since, link.last_error)
    return Problem("critical", part, text, advice, link.since, link.last_error)


def _journal(view: View) -> Iterator[Problem]:
    room = view.room
    if view.failure:
        text = "The journal has failed, and the bridge ends."
        yield Problem("critical", JOURNAL, text, "Look at the disk.", detail=view.failure)
    elif view.stalled:
        text = "The journal's disk does not answer: what Portos says waits in memory, and is lost when that is full."
        yield Problem("critical", JOURNAL, text, "Look at the disk.")
    elif room.lacking:
        advice = "Make room on its volume." if "file system" in room.lacking else _drain(view)
        text = f"The journal takes nothing: {room.lacking}. What Portos says is lost, and the sinks are told."
        yield Problem("critical", JOURNAL, text, advice)
    elif room.full:
        what = "Portos has to wait" if room.blocks else "what Portos says is lost, and the sinks are told"
        yield Problem("critical", JOURNAL, f"The journal is full: {what}.", _drain(view))
    elif room.crowded(0):
        text = "The journal is nearly full: changes are stored without their bodies."
        yield Problem("critical", JOURNAL, text, _drain(view))
    elif not room.roomy:
        yield Problem("warning", JOURNAL, "The journal is filling up.", _drain(view))
    if view.corrupt_rows:
        text = "Stored events were damaged on the disk. The sinks are told which."
        advice = "Look at the disk, then at `portos-bridge journal verify` and `portos-bridge dlq list --sink journal`."
        yield Problem("warning", JOURNAL, text, advice)


def _takes(view: View) -> bool:
    return not (view.failure or view.room.lacking or (view.room.full and not view.room.blocks))


def _drain(view: View) -> str:
    """Say how the journal gets room again."""
    behind = [name for name, lag in sorted(view.lags.items(), key=lambda item: -item[1][0]) if lag[0]]
    first = f"Bring the sink {behind[0]} back, which is behind" if behind else "Look at `portos-bridge dlq list`"
    return f"{first}, or {view.room.growth}."


def _states(view: View) -> Iterator[Problem]:
    if view.store is not None and (view.store.held or not view.store.connected):
        yield _sink_lost("state store", view.store)
    for name, link in view.states.items():
        if link.held or not link.connected:
            yield _sink_lost(f"state publisher of {name}", link, "The newest states wait for it.")
        else:
            part = f"state publisher of {name}"
            yield from _set_back(part, f"connection of the {part}", link)


def _letters(letters: Mapping[str, Mapping[str, int]]) -> Iterator[Problem]:
    for name, reasons in letters.items():
        if not any(reasons.values()):
            continue
        if name == SOURCE:
            why = "Portos sent what cannot be read"
        elif name == JOURNAL:
            why = "they were damaged on the disk"
        else:
            why = f"the broker of {name} will never take them"
        see = f"`portos-bridge dlq list --sink {name}`"
        advice = f"See {see}, remove the cause, then send them again (`dlq retry`) or drop them (`dlq purge`)."
        if name in {SOURCE, JOURNAL}:
            advice = f"See {see}, then drop them (`dlq purge`)."
        yield Problem("warning", f"dead letters of {name}", f"Events are kept as dead letters: {why}.", advice)


def _gaps(count: int) -> Iterator[Problem]:
    if count:
        text = "Versions of resources are missing. The sinks are told which."
        yield Problem(
            "warning", "gaps", text, "Fetch these resources over the REST API; what comes late closes its gap."
        )


def _clocks(offset_seconds: float | None) -> Iterator[Problem]:
    if offset_seconds is not None and abs(offset_seconds) > _FAR_SECONDS:
        text = "The clocks of Portos and of the bridge differ by more than a minute."
        yield Problem("warning", "clock", text, "Set the one that is wrong, by NTP; nothing has to be restarted.")


def _all_of(names: Sequence[str]) -> str:
    *first, last = names or ["the journal"]
    return f"{', '.join(first)} and {last}" if first else last
