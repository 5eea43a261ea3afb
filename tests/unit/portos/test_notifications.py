"""What is read out of a notification, in tables."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.message import Message, event_id
from bridge.portos.notifications import UNREADABLE, read
from bridge.source import Unreadable
from tests.support import require

NAMESPACE = uuid.UUID("dd01bf0a-0978-532c-bd6e-c06402f5b279")
SENDER = {"c": "SYSTEM", "u": {"u": "SYSTEM", "d": "SYSTEM", "f": None}}


def changed(**changes: Any) -> dict[str, Any]:
    """Write a ticket's change; what is given replaces members of `p`."""
    payload = {"u": {}, "n": "tickets", "a": 2, "i": {"i": "67c6", "n": "tickets", "v": 4}, "r": [{"id": "67c6"}]}
    moment = "2025-03-04T09:15:27.104Z"
    return {"e": "portos.resources.changed", "s": SENDER, "r": None, "ca": moment, "ea": None, "p": payload | changes}


def reading(notification: object) -> Message | Unreadable:
    return read(json.dumps(notification).encode(), "default", 7.0)


def message(notification: object) -> Message:
    got = reading(notification)
    assert isinstance(got, Message), got
    return got


def test_a_change_is_read_as_documented() -> None:
    """Every field of the message comes from its place in the notification, and the bytes stay."""
    body = json.dumps(changed(), indent=1).encode()

    got = read(body, "default", 7.0)

    assert got == Message(
        event_id("default", "tickets", "67c6", 4, "updated"),
        "portos.resources.changed",
        "tickets",
        "67c6",
        4,
        "updated",
        1741079727.104,
        None,
        7.0,
        body,
    )


def test_a_licence_event_has_no_resource() -> None:
    """Another event than a change is passed through with its name and nothing else."""
    got = message({"e": "portos.licence.activated", "ca": "2025-03-04T09:16:00Z", "p": {"shopId": 700123}})

    assert (got.event, got.resource, got.resource_id, got.version, got.action) == (
        "portos.licence.activated", None, None, None, None,
    )  # fmt: skip
    assert got.created_at == 1741079760.0


@pytest.mark.parametrize("payload", [{"n": 5, "i": [], "a": {}}, [], "text", None, 1e400, {"n": "tickets"}])
def test_an_unknown_event_is_passed_through_whatever_its_payload(payload: object) -> None:
    """The shape of a payload is known for changes only; it never costs another event."""
    body = json.dumps({"e": "portos.future.event", "p": payload}).replace("Infinity", "1e400").encode()

    got = read(body, "default", 7.0)

    assert isinstance(got, Message)
    assert (got.event, got.resource, got.body) == ("portos.future.event", None, body)


@pytest.mark.parametrize(
    ("code", "action"),
    [
        (1, "created"), (2, "updated"), (3, "deleted"), ("created", "created"), ("updated", "updated"),
        ("deleted", "deleted"), (0, "unknown"), (4, "unknown"), ("renamed", "unknown"), (None, "unknown"),
        (True, "unknown"), ([1], "unknown"), ({}, "unknown"), (2.5, "unknown"), (10**30, "unknown"),
    ],
)  # fmt: skip
def test_an_action_is_a_word_of_the_closed_set(code: object, action: str) -> None:
    """Integers and strings are accepted, anything else is `unknown` and never fails."""
    assert message(changed(a=code)).action == action


@pytest.mark.parametrize(
    ("info", "resource_id", "version"),
    [
        ({"i": "a", "v": None}, "a", None),
        ({"i": "a"}, "a", None),
        ({"i": 5, "v": 1}, "5", 1),
        ({"i": "", "v": 0}, "", 0),
        ({"i": "mPOS Link/č", "v": -1}, "mPOS Link/č", -1),
        ({"v": 3}, None, 3),
        (None, None, None),
        ({"i": "a", "v": 2**63 - 1}, "a", 2**63 - 1),
    ],
)
def test_id_and_version_are_optional(info: object, resource_id: str | None, version: int | None) -> None:
    """A change without a version or even without an id is a change; a numeric key is taken as text."""
    got = message(changed(i=info))

    assert (got.resource_id, got.version) == (resource_id, version)


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "$SYS/x", "..", "x" * 300, "\x00", "č", "tickets "])
def test_a_hostile_name_is_only_a_name(name: str) -> None:
    """Names are taken as they are: encoding them is the sinks' business."""
    assert message(changed(n=name)).resource == name


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2025-03-04T09:15:27Z", 1741079727.0),
        ("2025-03-04T09:15:27.1Z", 1741079727.1),
        ("2025-03-04T09:15:27.104Z", 1741079727.104),
        ("2025-03-04T09:15:27.1234567Z", 1741079727.123456),
        ("2025-03-04T10:15:27+01:00", 1741079727.0),
        ("2025-03-04T09:15:27.104", 1741079727.104),
        ("0001-01-01T00:00:00", -62135596800.0),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_times_of_dotnet_are_read(text: str | None, seconds: float | None) -> None:
    """Zero to seven digits of a fraction, UTC unless said otherwise; what is no time is left out."""
    got = message({**changed(), "ca": text, "ea": text})

    assert got.created_at == pytest.approx(seconds) if seconds is not None else got.created_at is None
    assert got.expires_at == got.created_at


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "json"),
        (b"{", "json"),
        (b'{"e":"x"} {"e":"y"}', "json"),
        (b'{"e":"x"},{"e":"y"}', "json"),
        (b'{"e":"x","p":NaN}', "json"),
        (b'{"e":"x","p":"\\ud800"}', "json"),
        (b'{"e":"x","p":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "json"),
        (b'{"e":"x","p":"\xff"}', "encoding"),
        (b'{"e":"portos.resources.changed","p":{"n":"\xc3"}}', "encoding"),
        (b'{"e":"x","p":"\xed\xa0\x80"}', "encoding"),
        (b"null", "shape"),
        (b"[]", "shape"),
        (b'"text"', "shape"),
        (b"{}", "shape"),
        (b'{"e":5}', "shape"),
        (b'{"e":null}', "shape"),
        (b'{"e":""}', "shape"),
        (b'{"e":"portos.bridge.resync.required","p":{}}', "shape"),
        (b'{"e":"portos.resources.changed"}', "shape"),
        (b'{"e":"portos.resources.changed","p":null}', "shape"),
        (b'{"e":"portos.resources.changed","p":[]}', "shape"),
        (b'{"e":"portos.resources.changed","p":{}}', "shape"),
        (b'{"e":"portos.resources.changed","p":{"n":5}}', "shape"),
        (b'{"e":"portos.resources.changed","p":{"n":"t","i":"x"}}', "shape"),
        (b'{"e":"portos.resources.changed","p":{"n":"t","i":{"v":"4"}}}', "shape"),
        (b'{"e":"portos.resources.changed","p":{"n":"t","i":{"v":9223372036854775808}}}', "shape"),
        (b'{"e":"portos.resources.changed","p":{"n":"t","i":{"v":' + b"9" * 5000 + b"}}}", "shape"),
    ],
)
def test_what_is_no_notification_is_set_aside_with_its_reason(body: bytes, reason: str) -> None:
    """The unreadable keep their bytes and get one of three reasons."""
    got = read(body, "default", 7.0)

    assert isinstance(got, Unreadable), got
    assert (got.reason, got.body, got.received_at) == (reason, body, 7.0)


@given(st.binary(max_size=200) | st.builds(lambda head, tail: head + tail, st.just(b'{"e":"x","p":'), st.binary()))
def test_no_bytes_make_the_reader_fail(body: bytes) -> None:
    """Whatever comes is a message or is set aside: the reader never raises."""
    got = read(body, "default", 7.0)

    assert got.body == body
    if isinstance(got, Unreadable):
        assert got.reason in UNREADABLE
    else:
        assert json.loads(body.decode())


def test_the_id_of_the_documented_vector() -> None:
    """The published example has its published id."""
    got = event_id("default", "tickets", "67c6c5a1f0b2d4e6a8091b2c", 4, "updated")

    assert got == "dc7281b9-8649-5188-9589-a02f34042efb"


names = st.none() | st.text(st.characters(exclude_categories=["Cs"]))


@given(names, names, st.none() | st.integers(-(2**63), 2**63 - 1))
def test_ids_are_uuids_over_compact_json(name: str | None, resource_id: str | None, version: int | None) -> None:
    """The quick way gives what the standard library's uuid5 gives."""
    parts = ["default", name, resource_id, version, "updated"]
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    quick = event_id(*parts)

    if not any(ord(character) < 0x20 or ord(character) == 0x7F for character in f"{name}{resource_id}"):
        assert quick == str(uuid.uuid5(NAMESPACE, text))
    assert uuid.UUID(quick).version == 5
    assert uuid.UUID(quick).variant == uuid.RFC_4122


def test_without_a_version_time_and_payload_tell_events_apart() -> None:
    """The same time and payload are the same event, another of either is another, and so is another event's name."""
    base = changed(i={"i": "a"})
    ids = [
        message(base).id,
        message({**base, "ca": "2025-03-04T09:15:27.105Z"}).id,
        message(changed(i={"i": "a"}, r=[])).id,
        message({**base, "e": "portos.other.event"}).id,
    ]

    assert len(set(ids)) == 4
    assert message({**base, "s": None}).id == ids[0]


def test_the_recorded_notifications_of_a_real_server_are_all_read() -> None:
    """What ASP.NET Core sent is read without exception."""
    recording = Path(require("hub", "TEST_WIRE")) / "normal.jsonl"
    lines = [json.loads(line) for line in recording.read_text(encoding="utf-8").splitlines()]
    records = [record for line in lines for record in line.get("in", "").split("\x1e") if '"OnEvent"' in record]

    read_ones = [reading(json.loads(record)["arguments"][0]) for record in records]

    assert read_ones
    assert all(isinstance(one, Message) for one in read_ones)
    assert {one.action for one in read_ones if isinstance(one, Message)} >= {"created", "updated", "deleted", None}


@pytest.mark.parametrize(
    ("reference", "flags"),
    [
        ("r-17", (("correlationid", "r-17"),)),
        ("žltý", (("correlationid", "žltý"),)),
        ("a\nb", (("correlationid", "a%0Ab"),)),
        ("x" * 256, (("correlationid", "x" * 256),)),
        (None, ()),
        ("", ()),
        (17, ()),
        ({"id": "17"}, ()),
    ],
)
@pytest.mark.parametrize("event", ["portos.resources.changed", "portos.licence.activated"])
def test_a_notifications_own_reference_is_an_attribute(
    event: str, reference: object, flags: tuple[tuple[str, str], ...]
) -> None:
    """`r` becomes `correlationid` as a text without control characters; what is no text costs nothing."""
    got = message({**changed(), "e": event, "r": reference})

    assert got.flags == flags


def test_a_long_reference_is_cut() -> None:
    """An attribute is bounded, whatever the hub sends."""
    got = message({**changed(), "r": "x" * 5000})

    ((_, text),) = got.flags
    assert text.startswith("x" * 200 + "~")
    assert len(text) == 217
