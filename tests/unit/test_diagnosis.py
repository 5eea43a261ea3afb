"""What is said to be wrong, and what to do about it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from bridge.diagnosis import View, diagnosis, headline, level
from bridge.errors import Unavailable
from bridge.journal.room import Room
from bridge.link import Link
from tests.unit.loops import link

NO_LAG = (0, 0, 0.0)
OLD_SECONDS = 31.0


def up(name: str) -> Link:
    state = link(name)
    state.began()
    return state


def lost(name: str, reason: str, *, hold: bool = False, seconds: float = 0.0) -> Link:
    """A link that was lost so many seconds ago."""
    state = up(name)
    state.ended(Unavailable("its own words", reason=reason, hold=hold))
    assert state._broken_at is not None
    state._broken_at -= seconds
    return state


def set_back(name: str) -> Link:
    """A link whose connection stands, while a newer one came to nothing."""
    state = up(name)
    state.noted(Unavailable("its own words", reason="unauthorized"))
    return state


def room(used: float = 0.0, *, blocks: bool = False, lacking: str = "") -> Room:
    made = Room(1000, blocks=blocks)
    made.used_bytes, made.lacking = int(1000 * used), lacking
    return made


WELL = View(up("hub"), {"kafka": up("sink kafka"), "mqtt": up("sink mqtt")}, {"kafka": NO_LAG, "mqtt": NO_LAG}, room())


def room_on_a_small_volume() -> Room:
    made = room(0.8)
    made.growth = "make the volume of /data larger"
    return made


def full() -> Room:
    made = room(0.5)
    made.takes(10_000)
    return made


def sinks(kafka: Link) -> Mapping[str, Link]:
    return {**WELL.sinks, "kafka": kafka}


@pytest.mark.parametrize(
    ("seen", "part", "how", "words", "advice"),
    [
        (lambda: replace(WELL, hub=link("hub")), "hub", "warning", "connecting to Portos", "Wait"),
        (lambda: replace(WELL, hub=lost("hub", "refused")), "hub", "warning", "cannot be reached", "Nothing yet"),
        (
            lambda: replace(WELL, hub=lost("hub", "refused", seconds=OLD_SECONDS)),
            "hub",
            "critical",
            "Portos cannot be reached. What it says meanwhile is missed",
            "See that the Portos server runs",
        ),
        (
            lambda: replace(WELL, hub=lost("hub", "unauthorized", hold=True)),
            "hub",
            "critical",
            "refuses the bridge's login",
            "AUTH__PASSWORD",
        ),
        (lambda: replace(WELL, sinks=sinks(link())), "sink kafka", "warning", "sink kafka is connecting", "Wait"),
        (
            lambda: replace(WELL, sinks=sinks(lost("sink kafka", "network"))),
            "sink kafka",
            "warning",
            "kept in",
            "Nothing yet",
        ),
        (
            lambda: replace(WELL, sinks=sinks(lost("sink kafka", "network", seconds=OLD_SECONDS))),
            "sink kafka",
            "critical",
            "The sink kafka cannot be reached. What it should get is kept in the journal.",
            "See that the broker runs",
        ),
        (
            lambda: replace(WELL, sinks=sinks(lost("sink kafka", "missing_topic", hold=True))),
            "sink kafka",
            "critical",
            "lacks a topic",
            "check --create-topics`. The bridge goes on trying",
        ),
        (
            lambda: replace(WELL, sinks=sinks(lost("sink kafka", "a word of theirs", seconds=OLD_SECONDS))),
            "sink kafka",
            "critical",
            "cannot be reached",
            "See that",
        ),
        (
            lambda: replace(WELL, lags={**WELL.lags, "kafka": (9, 90, 10.5)}),
            "sink kafka",
            "warning",
            "is behind",
            "catches up",
        ),
        (
            lambda: replace(WELL, lags={**WELL.lags, "kafka": (9, 90, 301.0)}),
            "sink kafka",
            "critical",
            "is behind",
            "broker",
        ),
        (lambda: replace(WELL, failure="disk I/O error"), "journal", "critical", "has failed", "disk"),
        (
            lambda: replace(WELL, room=room(0.5, lacking="its file system is full")),
            "journal",
            "critical",
            "takes nothing: its file system is full. What Portos says is lost, and the sinks are told.",
            "Make room",
        ),
        (lambda: replace(WELL, room=full()), "journal", "critical", "is full: what Portos says is lost", "dlq list"),
        (
            lambda: replace(WELL, room=room(0.9), lags={"kafka": (7, 70, 1.0), "mqtt": (900, 9000, 2.0)}),
            "journal",
            "critical",
            "without their bodies",
            "Bring the sink mqtt back",
        ),
        (lambda: replace(WELL, room=room(0.8)), "journal", "warning", "filling up", "JOURNAL__MAX_BYTES"),
        (
            lambda: replace(WELL, room=room_on_a_small_volume()),
            "journal",
            "warning",
            "filling up",
            "or make the volume",
        ),
        (lambda: replace(WELL, corrupt_rows=1), "journal", "warning", "damaged on the disk", "journal verify"),
        (
            lambda: replace(WELL, letters={"kafka": {"too_large": 1, "refused": 2}, "mqtt": {}}),
            "dead letters of kafka",
            "warning",
            "dead letters: the broker of kafka will never take them",
            "dlq list --sink kafka",
        ),
        (
            lambda: replace(WELL, letters={"source": {"json": 1}}),
            "dead letters of source",
            "warning",
            "dead letters: Portos sent what cannot be read",
            "dlq purge",
        ),
        (
            lambda: replace(WELL, letters={"journal": {"corrupt": 1}}),
            "dead letters of journal",
            "warning",
            "damaged on the disk",
            "dlq purge",
        ),
        (lambda: replace(WELL, stalled=True), "journal", "critical", "disk does not answer", "Look at the disk"),
        (lambda: replace(WELL, dead=["task audit"]), "bridge", "critical", "A part of the bridge has ended", "Restart"),
        (
            lambda: replace(WELL, restart_needed=["PORTOS_BRIDGE_SITE"]),
            "bridge",
            "warning",
            "take effect with the next start",
            "when it suits",
        ),
        (
            lambda: replace(WELL, rejected=["PORTOS_BRIDGE_LOG__LEVEL: should be ..."]),
            "bridge",
            "warning",
            "a start would fail",
            "portos-bridge check",
        ),
        (
            lambda: replace(WELL, unanswered="the settings directory /etc/portos-bridge/settings"),
            "bridge",
            "warning",
            "a change of them is not seen",
            "the mount that hangs",
        ),
        (
            lambda: replace(WELL, hub=set_back("hub")),
            "hub",
            "warning",
            "The connection to Portos was to be renewed, and that came to nothing: it goes on as it was.",
            "Put right what is named",
        ),
        (
            lambda: replace(WELL, sinks=sinks(set_back("sink kafka"))),
            "sink kafka",
            "warning",
            "The connection of the sink kafka was to be renewed",
            "Put right what is named",
        ),
        (
            lambda: replace(WELL, states={"mqtt": set_back("states")}),
            "state publisher of mqtt",
            "warning",
            "The connection of the state publisher of mqtt was to be renewed",
            "Put right what is named",
        ),
        (lambda: replace(WELL, unbalanced=["kafka"]), "ledger", "critical", "twice or nowhere", "journal verify"),
        (lambda: replace(WELL, clock_offset_seconds=-61.0), "clock", "warning", "differ by more than a minute", "NTP"),
        (lambda: replace(WELL, open_gaps=3), "gaps", "warning", "Versions of resources are missing", "REST API"),
        (
            lambda: replace(WELL, store=lost("state store", "storage", hold=True)),
            "state store",
            "critical",
            "its file",
            "disk",
        ),
        (
            lambda: replace(WELL, states={"mqtt": lost("states", "refused", seconds=OLD_SECONDS)}),
            "state publisher of mqtt",
            "critical",
            "cannot be reached. The newest states wait",
            "broker",
        ),
        (lambda: replace(WELL, stopping=True, hub=link("hub")), "bridge", "warning", "is stopping", "Nothing, if"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(
    seen: Callable[[], View], part: str, how: str, words: str, advice: str
) -> None:
    """In one sentence each, of which the first is the headline, and nothing is said twice."""
    view = seen()  # now, since an outage does not stay young

    (problem,) = found = diagnosis(view)

    assert (problem.part, problem.level, level(found)) == (part, how, how)
    assert words in problem.text
    assert advice in problem.what_to_do
    assert headline(found, list(view.sinks)) == problem.text


@pytest.mark.parametrize(
    ("names", "said"),
    [(("kafka",), "kafka"), (("kafka", "mqtt"), "kafka and mqtt"), (("a", "b", "c"), "a, b and c")],
)
def test_of_a_bridge_that_is_well_it_is_said_that_all_is_well(names: tuple[str, ...], said: str) -> None:
    found = diagnosis(replace(WELL, clock_offset_seconds=59.0))

    assert (found, level(found)) == ([], "ok")
    assert headline(found, names) == f"All is well: what Portos says reaches {said}."


def test_what_somebody_has_to_act_on_comes_first() -> None:
    hub, kafka = lost("hub", "refused"), lost("sink kafka", "missing_topic", hold=True)

    found = diagnosis(replace(WELL, hub=hub, sinks=sinks(kafka), open_gaps=1))

    assert [problem.part for problem in found] == ["sink kafka", "hub", "gaps"]
    assert found[0].detail == "its own words"
    assert found[0].since == kafka.since


def test_a_sink_that_is_connected_and_still_held_is_no_better() -> None:
    """A topic that may not be written lets the sink connect, and nothing through."""
    kafka = lost("sink kafka", "forbidden", hold=True)
    kafka.began()

    (problem,) = diagnosis(replace(WELL, sinks=sinks(kafka)))

    assert problem.level == "critical"


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"room": room(0.5)}, "What it should get"),
        ({"room": room(0.5, lacking="its file system is full")}, "What is stored for it"),
        ({"room": full()}, "What is stored for it"),
        ({"failure": "disk I/O error"}, "What is stored for it"),
    ],
)
def test_of_a_journal_that_takes_nothing_no_sink_is_promised_anything(changes: Mapping[str, Any], kept: str) -> None:
    found = diagnosis(replace(WELL, sinks=sinks(lost("sink kafka", "network")), **changes))

    (problem,) = [problem for problem in found if problem.part == "sink kafka"]
    assert problem.text == f"The sink kafka cannot be reached. {kept} is kept in the journal."


def test_a_journal_that_waits_for_room_loses_nothing_yet() -> None:
    waiting = room(0.9, blocks=True)
    waiting.takes(10_000)

    (problem,) = diagnosis(replace(WELL, room=waiting))

    assert problem.text == "The journal is full: Portos has to wait."


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            lambda: replace(WELL, letters={"kafka": {"refused": 1}, "source": {"json": 1}}),
            lambda: replace(WELL, letters={"kafka": {"refused": 2, "too_large": 9}, "source": {"json": 2000}}),
        ),
        (lambda: replace(WELL, open_gaps=1), lambda: replace(WELL, open_gaps=2)),
        (lambda: replace(WELL, corrupt_rows=1), lambda: replace(WELL, corrupt_rows=2)),
        (
            lambda: replace(WELL, lags={**WELL.lags, "kafka": (9, 90, 11.0)}),
            lambda: replace(WELL, lags={**WELL.lags, "kafka": (90, 900, 12.0)}),
        ),
        (lambda: replace(WELL, room=room(0.8)), lambda: replace(WELL, room=room(0.81))),
    ],
    ids=["letters", "gaps", "damaged rows", "lag", "room"],
)
def test_what_gets_more_is_said_in_the_same_words(before: Callable[[], View], after: Callable[[], View]) -> None:
    """So that a screen reader does not read it out again at every look."""
    first = diagnosis(before())

    assert first
    assert diagnosis(after()) == first
