"""What follows from a reason code of MQTT 5: the whole tables, held against the specification and paho-mqtt's names."""

from collections.abc import Mapping

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from bridge.errors import Rejected, TooLarge, Unavailable
from sinks.mqtt import meaning as tables
from sinks.mqtt.meaning import (
    CONNACK,
    DISCONNECT,
    PUBACK,
    Meaning,
    connect_refused,
    disconnected,
    ended,
    publish_outcome,
)

# MQTT 5.0: 3.2.2.2, 3.4.2.1 and 3.14.2.1, what a server may send.
SPECIFIED = {
    "CONNACK": {*range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F},
    "PUBACK": {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99},
    "DISCONNECT": {
        *(0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90),
        *range(0x93, 0xA3),
    },
}
FURTHER = {"CONNACK": set(), "PUBACK": {0x95}, "DISCONNECT": {0x04, 0x8C}}
"""What Mosquitto says besides, and what paho-mqtt knows: a client's own code, and one of AUTH."""


@pytest.mark.parametrize("packet", sorted(SPECIFIED))
def test_every_reason_code_has_a_row(packet: str) -> None:
    """The codes of the specification, and those that paho-mqtt lets through, no more and no less."""
    kind = getattr(PacketTypes, packet)
    known = {code for code, names in ReasonCode(kind).names.items() for kinds in names.values() if kind in kinds}
    table: Mapping[int, Meaning] = getattr(tables, packet)

    assert set(table) == SPECIFIED[packet] | FURTHER[packet]
    assert known - set(table) <= {0x00}, "success of CONNACK is no refusal"


@pytest.mark.parametrize(
    ("code", "verb"),
    [
        (0x00, "deliver"),
        (0x10, "deliver"),
        (0x80, "blame"),
        (0x83, "blame"),
        (0x87, "hold"),
        (0x90, "bury"),
        (0x91, "doubt"),
        (0x95, "bury"),
        (0x97, "hold"),
        (0x99, "bury"),
        (0xFF, "doubt"),
    ],
)
def test_a_puback_decides_what_becomes_of_its_message(code: int, verb: str) -> None:
    """Confirmed, buried, held, tried three times, or tried again slowly: MQTT 5, 3.4.2.1."""
    match publish_outcome(code, lambda: "a/topic"):
        case None:
            found = "deliver"
        case Rejected():
            found = "bury"
        case Unavailable(bury_after=3, hold=False):
            found = "blame"
        case Unavailable(hold=True, bury_after=None):
            found = "hold"
        case Unavailable(slowly=True, bury_after=None):
            found = "doubt"

    assert found == verb


HELD = {
    "CONNACK": {0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x90, 0x95, 0x99, 0x9A, 0x9B, 0x9D},
    "PUBACK": {0x87, 0x97},
    "DISCONNECT": {0x87, 0x8C, 0x97, 0x9B, 0x9D},
}
PASSING = {"CONNACK": {0x80, 0x83, 0x88, 0x89}, "PUBACK": set(), "DISCONNECT": {0x00, 0x80, 0x83, 0x8B, 0x8D, 0xA0}}
"""What ends by itself and soon; all else that is not held takes the longest pause."""


@pytest.mark.parametrize("packet", ["CONNACK", "DISCONNECT"])
def test_what_is_held_and_what_passes_is_on_purpose(packet: str) -> None:
    """Whoever moves a code from one verb to another says so twice; a hold says what to do."""
    table: Mapping[int, Meaning] = getattr(tables, packet)
    told = {
        code: connect_refused(code, "") if packet == "CONNACK" else disconnected(code, "", alone=False)
        for code in table
    }

    assert {code for code, error in told.items() if error.hold} == HELD[packet]
    assert {code for code, error in told.items() if not error.hold and not error.slowly} == PASSING[packet] | {
        code for code, row in table.items() if row.verb in {"blame", "bury"}
    }
    assert all(table[code].advice in str(error) for code, error in told.items())
    assert all(table[code].advice for code in HELD[packet])
    assert not [error for error in told.values() if error.bury_after is not None]


@pytest.mark.parametrize("code", sorted(DISCONNECT))
def test_only_a_message_that_is_alone_is_blamed_for_the_end_of_a_connection(code: int) -> None:
    """A broker that disconnects for a topic, a size or a payload names no message; others are never blamed."""
    alone, among_others = (disconnected(code, "", alone=alone) for alone in (True, False))

    assert isinstance(alone, TooLarge) == (code == 0x95)
    assert getattr(alone, "bury_after", None) == (3 if code in {0x81, 0x90, 0x99} else None)
    assert isinstance(among_others, Unavailable)
    assert among_others.bury_after is None


@pytest.mark.parametrize("error", [None, ConnectionResetError(104, "reset")], ids=["closed", "reset"])
@pytest.mark.parametrize(
    ("version", "alone_bytes", "blamed"),
    [("3.1.1", 16_385, True), ("3.1.1", 16_384, False), ("3.1.1", 0, False), ("5", 1_000_000, False)],
)
def test_only_over_mqtt_3_a_large_event_is_blamed_for_a_connection_that_just_ends(
    error: Exception | None,
    version: str,
    alone_bytes: int,
    blamed: bool,  # noqa: FBT001
) -> None:
    """MQTT 5 has words for it: Maximum Packet Size and 0x95. Mosquitto 2.0.11 resets the connection over 3.1.1."""
    found = ended(error, answered=True, version=version, alone_bytes=alone_bytes)

    assert (found.reason == "too_large", found.bury_after) == (blamed, 3 if blamed else None)


def test_what_no_specification_names_takes_the_longest_pause() -> None:
    """An unknown code buries nothing, holds nothing, and is not hammered at."""
    for error in (connect_refused(0xFE, ""), disconnected(0xFE, "", alone=True), publish_outcome(0xFE, str)):
        assert isinstance(error, Unavailable)
        assert (error.slowly, error.hold, error.bury_after) == (True, False, None)


def test_a_taken_over_session_comes_back_slowly_and_is_held_when_it_is_taken_again() -> None:
    """Two clients of one name must not throw each other out in turns; a check of the configuration does it once."""
    error = disconnected(0x8E, "Session taken over", alone=False)

    assert (error.reason, error.slowly, error.hold_after) == ("taken_over", True, 1)
    assert "CLIENT_ID" in str(error)


@pytest.mark.parametrize("table", [CONNACK, PUBACK, DISCONNECT])
def test_reasons_are_words_of_the_metrics(table: Mapping[int, Meaning]) -> None:
    """What is no word of the closed set would be counted as `other`."""
    from bridge.labels import CONNECT_RESULTS, SINK_DISCONNECTS

    words = CONNECT_RESULTS if table is CONNACK else SINK_DISCONNECTS

    told = {
        row.reason for row in table.values() if row.verb != "deliver" and (row.verb != "bury" or table is DISCONNECT)
    }
    assert told <= set(words)
