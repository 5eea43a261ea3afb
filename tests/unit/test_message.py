"""What identifies a message: the same everywhere, for ever, whatever its names are."""

from uuid import UUID, uuid5

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.message import (
    RESOURCES_CHANGED,
    Message,
    attributes,
    event_id,
    is_ordinary,
    percent_encoded,
    rfc3339,
)

NAMESPACE = UUID("dd01bf0a-0978-532c-bd6e-c06402f5b279")
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


def message(**changes: object) -> Message:
    fields = {
        "id": "dc7281b9-8649-5188-9589-a02f34042efb",
        "event": RESOURCES_CHANGED,
        "resource": "tickets",
        "resource_id": "67c6",
        "version": 4,
        "action": "updated",
        "created_at": 1.5,
        "expires_at": None,
        "received_at": 2.25,
        "body": b"{}",
    }
    return Message(**{**fields, **changes})  # type: ignore[arg-type]


def test_an_id_is_the_same_on_every_replica() -> None:
    """The published vector: whoever computes it elsewhere gets the same."""
    assert event_id("default", "tickets", "67c6c5a1f0b2d4e6a8091b2c", 4, "updated") == (
        "dc7281b9-8649-5188-9589-a02f34042efb"
    )


@given(st.lists(st.none() | NAMES | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=7))
def test_an_id_is_the_uuid_of_its_parts(parts: list[str | int | None]) -> None:
    """The quick way gives what Python's own `uuid5` gives over the compact JSON."""
    assert event_id(*parts) == str(uuid5(NAMESPACE, msgspec.json.encode(parts).decode()))


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("tickets", "tickets"),
        ("mPOS Link", "mPOS%20Link"),
        ("a.b", "a.b"),
        ("$SYS/x", "%24SYS%2Fx"),
        ("", "~"),
        ("~", "%7E"),
        ("+", "%2B"),
        ("#", "%23"),
        ("č", "%C4%8D"),
        ("\x00", "%00"),
        ("..", ".."),
    ],
)
def test_a_foreign_name_becomes_one_harmless_level(name: str, encoded: str) -> None:
    assert percent_encoded(name) == encoded


@given(st.lists(NAMES, min_size=2, max_size=6, unique=True))
def test_no_two_names_become_the_same_level(names: list[str]) -> None:
    """Also against names that look like encoded ones."""
    everything = set(names) | {percent_encoded(name) for name in names}

    levels = [percent_encoded(name) for name in everything]

    assert len(set(levels)) == len(everything)
    assert all(0 < len(level) <= 256 and not set(level) & set("/+#\x00") for level in levels)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1.9996, "1970-01-01T00:00:02.000Z"),
        (1764033742.407, "2025-11-25T01:22:22.407Z"),
        (-1.0, "1969-12-31T23:59:59.000Z"),
        (1e15, "9999-12-31T23:59:59.000Z"),
        (-1e15, "0001-01-01T00:00:00.000Z"),
    ],
)
def test_a_moment_is_written_as_the_hub_writes_its_own(seconds: float, text: str) -> None:
    assert rfc3339(seconds) == text


def test_attributes_say_what_a_message_is_about() -> None:
    assert dict(attributes(message(expires_at=9.0), "shop-1")) == {
        "specversion": "1.0",
        "id": "dc7281b9-8649-5188-9589-a02f34042efb",
        "source": "/portos/shop-1",
        "type": "portos.resources.changed",
        "time": "1970-01-01T00:00:01.500Z",
        "recordedtime": "1970-01-01T00:00:02.250Z",
        "expirytime": "1970-01-01T00:00:09.000Z",
        "subject": "tickets/67c6",
        "resourcename": "tickets",
        "resourceid": "67c6",
        "resourceversion": "4",
        "resourceaction": "updated",
    }


def test_flags_are_attributes() -> None:
    """Consumers learn beside the notification what the bridge has to say of it; such a message is no ordinary one."""
    flagged = message(flags=(("gapfrom", "3"),))

    assert dict(attributes(flagged, "shop-1")) == {**dict(attributes(message(), "shop-1")), "gapfrom": "3"}
    assert is_ordinary(message())
    assert not is_ordinary(flagged)


def test_an_attribute_that_is_not_set_is_absent() -> None:
    bare = message(resource=None, resource_id=None, version=None, action=None, created_at=None)

    assert {name for name, _ in attributes(bare, "default")} == {"specversion", "id", "source", "type", "recordedtime"}


def test_an_attribute_holds_no_control_character() -> None:
    """CloudEvents forbids them in strings, and headers of others choke on them."""
    named = dict(attributes(message(resource="a\nb", resource_id="\x07"), "default"))

    assert (named["resourcename"], named["resourceid"], named["subject"]) == ("a%0Ab", "%07", "a%0Ab/%07")
