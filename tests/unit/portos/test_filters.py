"""Which events are left out, and why."""

import json

import pytest

from bridge.labels import FILTER_REASONS
from bridge.message import Message
from bridge.portos.filters import filtered
from bridge.portos.notifications import read
from bridge.settings.core import Filter, Subscribe


def message(resource: str = "tickets", action: int = 2, **further: object) -> Message:
    payload = {"u": {"u": "12", "d": "P01", "f": None}, "n": resource, "a": action, "i": {"i": "T-1", "v": 4}}
    sender = {"c": "x", "u": {"u": "SYSTEM", "d": "SYSTEM", "f": None}}
    members = {"e": "portos.resources.changed", "s": sender, "p": payload | further}
    found = read(json.dumps(members).encode(), "default", 1.0)
    assert isinstance(found, Message)
    return found


def reason(of: Message, actions: str = "created,updated,deleted", **filters: str) -> str | None:
    judge = filtered(Subscribe.model_validate({"resources": "*", "actions": actions}), Filter.model_validate(filters))
    assert judge is not None
    found = judge(of)
    assert found is None or found in FILTER_REASONS
    return found


def test_without_a_filter_there_is_nothing_to_ask() -> None:
    """The default costs nothing."""
    assert filtered(Subscribe(resources=("tickets",)), Filter()) is None


@pytest.mark.parametrize(
    ("name", "left_out"), [("apikeys", True), ("ApiKeys", True), ("tickets", False), ("api", False)]
)
def test_a_resource_is_left_out_in_any_letters(name: str, left_out: bool) -> None:  # noqa: FBT001
    assert reason(message(name), exclude_resources="apikeys,sessions") == ("resource" if left_out else None)


@pytest.mark.parametrize(("code", "left_out"), [(1, True), (2, False), (3, False), (9, True)])
def test_an_action_that_was_not_asked_for_is_left_out(code: int, left_out: bool) -> None:  # noqa: FBT001
    """Also one that nobody knows, since only some were asked for."""
    assert reason(message(action=code), actions="updated,deleted") == ("action" if left_out else None)


@pytest.mark.parametrize(
    ("resource_id", "left_out"),
    [("test-1", True), ("TEST-1", False), ("a.test-1", False), ("x7", True), ("x77", False)],
)
def test_an_id_is_left_out_by_its_pattern(resource_id: str, left_out: bool) -> None:  # noqa: FBT001
    found = reason(message(i={"i": resource_id, "v": 1}), exclude_ids="test-*,x[0-9]")

    assert found == ("id" if left_out else None)


@pytest.mark.parametrize(
    ("names", "left_out"),
    [("12", True), ("P01", True), ("x, 12", True), ("1", False), ("p01", False), ("SYSTEM", False)],
)
def test_a_sender_is_the_user_or_device_that_caused_the_change(names: str, left_out: bool) -> None:  # noqa: FBT001
    """The server, which sends what users do, is no sender then."""
    assert reason(message(), exclude_senders=names) == ("sender" if left_out else None)


@pytest.mark.parametrize("further", [{"u": None}, {"u": {}}, {"u": 12}, {"u": {"u": "SYSTEM", "d": "SYSTEM"}}])
def test_the_server_is_the_sender_of_what_no_user_did(further: dict[str, object]) -> None:
    assert reason(message(**further), exclude_senders="SYSTEM") == "sender"


def test_a_user_may_stand_there_without_a_device() -> None:
    assert reason(message(u="12"), exclude_senders="12") == "sender"


@pytest.mark.parametrize("members", [b'"p":{}', b'"s":{"u":{"u":"950"}},"p":[]', b'"s":{"u":{"d":950}}', b'"s":"x"'])
def test_a_sender_is_found_in_any_event(members: bytes) -> None:
    """Nothing that a hub may send in its place does any harm."""
    event = read(b'{"e":"portos.licence.activated",' + members + b"}", "default", 1.0)
    assert isinstance(event, Message)

    assert reason(event, exclude_senders="950") == ("sender" if b"950" in members else None)


@pytest.mark.parametrize("strange", [b"1e999", b"9" * 5000])
@pytest.mark.parametrize("of", ["server", "user"])
def test_a_sender_that_cannot_be_read_is_nobody(strange: bytes, of: str) -> None:
    """It is JSON, so the notification passes the reader; the filter must not stop the bridge for it."""
    strange = b'{"u":' + strange + b',"d":"950"}'
    members = b'"s":{"u":%b},"p":{"n":"tickets"}' if of == "server" else b'"p":{"n":"tickets","u":%b}'
    event = read(b'{"e":"portos.resources.changed",' + members % strange + b"}", "default", 1.0)
    assert isinstance(event, Message)

    assert reason(event, exclude_senders="x") is None


def test_the_first_reason_counts() -> None:
    """An event is left out once."""
    everything = {"exclude_resources": "tickets", "exclude_ids": "T-*", "exclude_senders": "12"}

    assert reason(message(), actions="created", **everything) == "resource"
    assert reason(message("orders"), actions="created", **everything) == "action"
    assert reason(message("orders", 1), actions="created", **everything) == "id"


def test_an_event_without_a_resource_is_none_of_the_resources() -> None:
    event = read(b'{"e":"portos.licence.activated","p":{}}', "default", 1.0)
    assert isinstance(event, Message)

    assert reason(event, actions="created", exclude_resources="tickets", exclude_ids="x*") is None
