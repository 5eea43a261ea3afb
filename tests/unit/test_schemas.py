"""The published schemas: they are what the code makes, and say neither more nor less of a payload than is true."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema_rs import meta

from bridge.__main__ import main
from bridge.message import OWN_EVENTS, Message, attributes, structured
from bridge.portos.content import Content
from bridge.portos.notifications import read
from bridge.reference import reference, without_body
from bridge.schemas import names, schema
from bridge.settings.core import Privacy, Subscribe
from tests.oracle.published import CONTENTS, check, validator
from tests.oracle.record import Received
from tests.reference.events import ATTRIBUTES, examples
from tests.reference.schemas import FOLDER, schemas
from tests.unit.sinks.any_message import any_message

EVENT_ID = "dc7281b9-8649-5188-9589-a02f34042efb"
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


_RIGHT = {
    "e": "portos.resources.changed",
    "s": {"c": "7", "u": None},
    "r": None,
    "ca": "2025-03-04T09:15:27.104Z",
    "ea": None,
    "p": {"u": None, "n": "tickets", "a": 2, "i": {"i": "7", "n": "tickets", "v": 4}, "r": [{"id": "7"}]},
}
_PLACES = ("e", "s", "r", "ca", "ea", "p", "p/u", "p/n", "p/a", "p/i", "p/r", "p/i/i", "p/i/n", "p/i/v")
_NAMES = st.sampled_from(["portos.licence.activated", "portos.shop.opened", "portos.bridge.gap.closed", ""])
_ODD = st.none() | st.integers(-(2**64), 2**64) | st.text(max_size=5) | _NAMES | _JSON
_GONE = "gone"


def _changed(changes: dict[str, object]) -> dict[str, Any]:
    """Give a right notification with something else, or nothing, in some of its places."""
    notification: dict[str, Any] = json.loads(json.dumps(_RIGHT))
    for place, value in sorted(changes.items()):
        *way, name = place.split("/")
        inner: Any = notification
        for step in way:
            inner = inner.get(step) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            inner.pop(name, None)
            inner |= {} if value == _GONE else {name: value}
    return notification


_NOTIFICATIONS = st.dictionaries(st.sampled_from(_PLACES), _ODD | st.just(_GONE), max_size=2).map(_changed)


def _as_a_schema_sees_it(number: str) -> float:
    """To a schema 4.0 is the integer 4 (JSON Schema 2020-12, 4.2.3); the bridge, as Portos, takes 4 alone for one."""
    value = float(number)
    return int(value) if value.is_integer() else value


def _received(message: Message, payload: bytes, content_type: str = "application/json") -> Received:
    binary = content_type == "application/json"
    return Received("s", "t", None, payload, dict(attributes(message, "default")) if binary else {}, content_type)


def test_the_files_are_up_to_date() -> None:
    made = {f"{name}.json": json.dumps(each, indent=2, ensure_ascii=False) + "\n" for name, each in schemas().items()}

    assert {path.name: path.read_text() for path in FOLDER.glob("*.json")} == made, "run: make reference"


@pytest.mark.parametrize("name", names())
def test_a_schema_is_valid_says_what_it_is_for_and_takes_its_own_examples(name: str) -> None:
    found = schema(name)

    meta.validate(found)
    assert found["$id"].endswith(f":{name}")
    assert found["title"]
    assert found["description"]
    assert found["examples"]
    for one in found["examples"]:
        validator(name).validate(one)


def test_every_attribute_has_a_schema() -> None:
    assert schema("attributes")["properties"].keys() == ATTRIBUTES.keys()


@given(_NOTIFICATIONS)
def test_every_notification_that_the_bridge_reads_is_valid(notification: dict[str, Any]) -> None:
    """A schema that demanded more than the reader does would call wrong what the bridge publishes."""
    body = json.dumps(notification).encode()
    message = read(body, "default", 7.0)

    if isinstance(message, Message):
        check(_received(message, body))
        check(_received(message, structured(message, "default"), "application/cloudevents+json"))


@given(_NOTIFICATIONS)
@example(_changed({"p/i/i": 0.0}))
def test_what_the_bridge_cannot_read_is_not_valid(notification: dict[str, Any]) -> None:
    """A schema that demanded less would promise less than is true: every notification says what it is about."""
    body = json.dumps(json.loads(json.dumps(notification), parse_float=_as_a_schema_sees_it)).encode()
    event = notification.get("e")
    name = event if event in names() else "notification"

    if not isinstance(read(body, "default", 7.0), Message):
        assert not validator(name).is_valid(notification)


@given(any_message(st.text(max_size=20)))
def test_the_attributes_and_the_reference_of_any_event_are_valid(message: Message) -> None:
    message = msgspec.structs.replace(message, id=EVENT_ID)

    shorter = without_body(msgspec.structs.replace(message, body=b"x" * 5000))

    check(_received(message, reference(message)), ["reference"])
    if shorter is not None:
        check(_received(shorter, shorter.body))


@pytest.mark.parametrize("message", examples().values(), ids=examples())
def test_every_sort_of_event_is_valid(message: Message) -> None:
    check(_received(message, message.body))
    check(_received(message, structured(message, "default"), "application/cloudevents+json"))
    check(Received("s", "t", None, structured(message, "default")))


@pytest.mark.parametrize("references", [False, True])
@pytest.mark.parametrize("resources", [[], [{"id": "1"}], [{"id": "1"}, {"id": "2"}]], ids=len)
def test_what_is_published_in_the_place_of_a_notification_is_valid(
    resources: list[dict[str, str]],
    references: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """One resource, several, and the reference where there is none or none is wanted."""
    change = {"e": "portos.resources.changed", "p": {"n": "tickets", "i": {"i": "1", "v": 1}, "r": resources}}
    message = read(json.dumps(change).encode(), "default", 7.0)
    assert isinstance(message, Message)

    reduced = Content(Subscribe(resources=("tickets",)), Privacy(), references=references).reduced(message)

    check(_received(reduced, reduced.body), ["reference" if references else "resource"])


@pytest.mark.parametrize(
    ("spoilt", "named"),
    [
        ({"cause": "sunspots"}, "cause"),
        ({"window": {"id": "7", "from": None, "to": "yesterday"}}, "window/to"),
        ({"resources": "tickets"}, "resources"),
        ({"unheardOf": 1}, "root"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_payload_that_is_wrong_is_named(spoilt: dict[str, object], named: str) -> None:
    message = examples()["a blind window"]
    wrong = json.dumps(json.loads(message.body) | spoilt).encode()

    with pytest.raises(AssertionError, match=named):
        check(_received(message, wrong))


def test_attributes_that_are_wrong_are_named() -> None:
    message = examples()["a change of a resource"]
    received = _received(message, message.body)

    for name, text in {"time": "now", "id": "7", "resourceversion": "four", "unheardof": "x"}.items():
        with pytest.raises(AssertionError, match="attributes"):
            check(Received("s", "t", None, message.body, received.attributes | {name: text}, "application/json"))


def test_an_event_that_says_that_something_is_gone_has_no_payload() -> None:
    attributes_alone = _received(examples()["a change of a resource"], b"")

    check(attributes_alone)
    check(Received("s", "t", None, b""))
    with pytest.raises(AssertionError, match="attributes"):
        check(Received("s", "t", None, b"", attributes_alone.attributes | {"id": "7"}, "application/json"))


@pytest.mark.parametrize("content", CONTENTS)
def test_what_is_the_bridge_s_own_is_the_same_whatever_is_published_of_the_hub_s(content: str) -> None:
    message = next(each for each in examples().values() if each.event.startswith(OWN_EVENTS))

    check(_received(message, message.body), [content])


def test_the_command_prints_a_schema_and_lists_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(names())

    assert main(["schema", "event"]) == 0
    assert json.loads(capsys.readouterr().out) == schema("event")

    assert main(["schema", "evnt"]) == 1
    assert "'evnt'" in capsys.readouterr().err
