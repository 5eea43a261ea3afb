"""What of a notification is published, and that nothing of the rest is."""

import hmac
import json
import re
from hashlib import sha256
from typing import Any, Literal
from unicodedata import normalize

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bridge.message import Message
from bridge.portos.content import Content
from bridge.portos.notifications import read
from bridge.settings.core import Privacy, Subscribe
from bridge.source import Unreadable

KEY = "0123456789abcdef0123456789abcdef"
CANARY = "c4nary@example.sk"


def content(
    *, redact: str = "", pseudonymise: str = "", resources: str = "customers", references: bool = False
) -> Content:
    privacy = {"redact": redact, "pseudonymise": pseudonymise, "hmac_key": SecretStr(KEY) if pseudonymise else None}
    return Content(
        Subscribe.model_validate({"resources": resources}), Privacy.model_validate(privacy), references=references
    )


def notification(*objects: object, resource: str = "customers", **further: object) -> bytes:
    payload = {"u": {"u": "12", "d": "P01"}, "n": resource, "a": 2, "i": {"i": "7", "v": 4}, "r": list(objects)}
    members = {"e": "portos.resources.changed", "ca": "2025-03-04T09:15:27.104Z", "p": payload | further}
    return json.dumps(members, ensure_ascii=False).encode()


def message(body: bytes) -> Message:
    found = read(body, "default", 1.0)
    assert isinstance(found, Message)
    return found


def published(body: bytes, by: Content) -> Any:
    return json.loads(by.reduced(message(body)).body)


def pseudonym(text: str) -> str:
    return hmac.new(KEY.encode(), text.encode(), "sha256").hexdigest()[:32]


REFERENCE = {
    "resource": "customers",
    "id": "7",
    "version": 4,
    "action": "updated",
    "createdAt": "2025-03-04T09:15:27.104Z",
}


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ([{"id": "7"}], {"id": "7"}),
        ([{"id": "7"}, {"id": "8"}], [{"id": "7"}, {"id": "8"}]),
        ([], REFERENCE),
        ([None], REFERENCE),
        (["7", 8], REFERENCE),
        ([{"id": "7"}, None], {"id": "7"}),
    ],
)
def test_a_resource_is_the_object_that_came(objects: list[object], expected: object) -> None:
    """One object stands alone, several as a list, and where there is none a reference takes its place."""
    assert published(notification(*objects), content()) == expected


@pytest.mark.parametrize("r", [None, {"id": "7"}, "7", 5, [[{"id": "7"}]]])
def test_whatever_stands_for_the_objects_nothing_else_is_published(r: object) -> None:
    """An object by itself is taken; anything else that is no list of objects is a reference."""
    assert published(notification(r=r), content()) == (r if isinstance(r, dict) else REFERENCE)


def test_a_reference_holds_nothing_of_the_resource() -> None:
    body = notification({"id": "7", "email": CANARY})

    assert published(body, content(references=True)) == REFERENCE


def test_a_resource_that_nobody_asked_for_is_a_reference() -> None:
    """No rule can be given for it, so nothing of it leaves; where everything is asked for, it does."""
    body = notification({"email": CANARY}, resource="users")

    assert published(body, content()) == REFERENCE | {"resource": "users"}
    assert published(body, content(resources="*")) == {"email": CANARY}


def test_what_is_not_redacted_stays_as_the_hub_wrote_it() -> None:
    """Numbers keep all their digits and texts their spelling."""
    inner = (
        b'{"total": 1.50, "big": 123456789012345678901234567890, "text": "\\u0161 \xc5\xa1", "email": "x", "n": 1e2}'
    )
    body = notification("OBJECT").replace(b'"OBJECT"', inner)

    reduced = content(redact="customers.email").reduced(message(body)).body

    assert reduced == (
        b'{"total":1.50,"big":123456789012345678901234567890,"text":"\\u0161 \xc5\xa1","email":null,"n":1e2}'
    )


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("email", {"email": CANARY}, {"email": None}),
        ("email", {"email": None}, {"email": None}),
        ("email", {"name": "A"}, {"name": "A"}),
        ("email", {"EMail": CANARY, "email": CANARY}, {"EMail": None, "email": None}),
        ("EMAIL", {"email": CANARY}, {"email": None}),
        ("email", {"email": {"work": CANARY}}, {"email": None}),
        ("email", {"email": [CANARY]}, {"email": None}),
        ("a.b", {"a": {"b": CANARY, "c": 1}}, {"a": {"b": None, "c": 1}}),
        ("a.b", {"a": [{"b": CANARY}, {"b": 2, "c": 3}, []]}, {"a": [{"b": None}, {"b": None, "c": 3}, []]}),
        ("a.b", {"a": [[{"b": CANARY}]]}, {"a": [[{"b": None}]]}),
        ("a.b", {"a": CANARY}, {"a": None}),
        ("a.b", {"a": [CANARY, {"b": 1}]}, {"a": [None, {"b": None}]}),
        ("a.b", {"a": None}, {"a": None}),
        ("email", {"inner": {"email": "stays"}}, {"inner": {"email": "stays"}}),
    ],
)
def test_a_redacted_field_is_null_wherever_it_is(path: str, value: object, expected: object) -> None:
    """Lists on the way are walked; what stands in the way of a path, and is no object, is redacted itself."""
    assert published(notification(value), content(redact=f"Customers.{path}")) == expected


def test_every_object_is_redacted() -> None:
    body = notification({"email": CANARY}, {"email": CANARY})

    assert published(body, content(redact="customers.email")) == [{"email": None}, {"email": None}]


def test_a_member_that_is_there_twice_is_redacted_twice() -> None:
    """JSON allows it, and parsers differ in which they take."""
    body = notification("OBJECT").replace(b'"OBJECT"', b'{"email":"c4nary-1","name":"A","email":"c4nary-2"}')

    assert b"c4nary" not in content(redact="customers.email").reduced(message(body)).body


def test_a_name_written_in_escapes_is_the_same_name() -> None:
    body = notification("OBJECT").replace(b'"OBJECT"', b'{"\\u0065mail":"c4nary"}')

    assert b"c4nary" not in content(redact="customers.email").reduced(message(body)).body


@pytest.mark.parametrize("resource", ["Customers", "CUSTOMERS", " customers"])
def test_a_rule_holds_for_its_resource_in_any_letters(resource: str) -> None:
    body = notification({"email": CANARY}, resource=resource)

    assert published(body, content(redact="customers.email")) == {"email": None}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("jana", pseudonym("jana")),
        ("Čučoriedka", pseudonym("Čučoriedka")),
        (12, pseudonym("12")),
        ("12", pseudonym("12")),
        (True, pseudonym("true")),
        ("", pseudonym("")),
        (None, None),
        (["jana", None, "12"], [pseudonym("jana"), None, pseudonym("12")]),
        ({"b": 1, "a": "x"}, pseudonym('{"a":"x","b":1}')),
    ],
)
def test_a_pseudonym_is_the_keyed_hash_of_the_text(value: object, expected: object) -> None:
    """Whoever has the key can make it with any HMAC-SHA-256: the first 32 digits; null stays null."""
    assert published(notification({"name": value}), content(pseudonymise="customers.name")) == {"name": expected}


def test_a_person_is_the_same_pseudonym_in_every_resource() -> None:
    """So that consumers can still join, also where one resource writes a number and the other a text."""
    rules = content(pseudonymise="customers.id,tickets.customer.id", resources="customers,tickets")

    customer = published(notification({"id": 12}), rules)
    ticket = published(notification({"customer": {"id": "12"}}, resource="tickets"), rules)

    assert customer["id"] == ticket["customer"]["id"]


def test_another_key_gives_other_pseudonyms() -> None:
    other = Privacy(pseudonymise=("customers.name",), hmac_key=SecretStr("another " * 4))

    first = published(notification({"name": "A"}), content(pseudonymise="customers.name"))
    second = published(
        notification({"name": "A"}), Content(Subscribe(resources=("customers",)), other, references=False)
    )

    assert first != second


def test_the_identity_is_that_of_the_original() -> None:
    """Id, resource, version and times are what they were: a repeat of the hub stays one."""
    before = message(notification({"email": CANARY}, i={"i": "7"}))

    after = content(redact="customers.email").reduced(before)

    assert after == msgspec.structs.replace(before, body=after.body)


def test_a_licence_is_its_payload_with_rules_of_its_own() -> None:
    body = (
        b'{"e":"portos.licence.activated","ca":"2025-03-04T09:16:00Z","p":{"shopId":7,"features":[{"rawValue":"8"}]}}'
    )

    rules = content(redact="licence.features.rawValue")

    assert published(body, rules) == {"shopId": 7, "features": [{"rawValue": None}]}
    assert published(body, content(references=True)) == {
        "event": "portos.licence.activated",
        "createdAt": "2025-03-04T09:16:00.000Z",
    }


def test_an_event_that_nobody_knows_is_a_reference() -> None:
    body = b'{"e":"portos.tables.moved","p":{"guest":"c4nary"}}'

    assert published(body, content()) == {"event": "portos.tables.moved", "createdAt": None}


def test_what_cannot_be_searched_is_a_reference() -> None:
    """A body that does not decode where it did before holds nobody knows what."""
    before = message(notification({"email": CANARY}))
    damaged = msgspec.structs.replace(before, body=b'{"p":{"r":[' + b"x")

    assert json.loads(content(redact="customers.email").reduced(damaged).body) == REFERENCE


@pytest.mark.parametrize("depth", [100, 400, 900])
def test_no_depth_hides_anything(depth: int) -> None:
    """Nested deeper than a program can follow it is a reference, otherwise it is redacted where it is."""
    inner = b'{"a":' + b"[" * depth + b'"c4nary"' + b"]" * depth + b"}"
    body = notification("OBJECT").replace(b'"OBJECT"', inner)

    assert b"c4nary" not in content(redact="customers.a.b").reduced(message(body)).body


@pytest.mark.parametrize("path", ["NFC", "NFD"])
@pytest.mark.parametrize("field", ["NFC", "NFD"])
@pytest.mark.parametrize("name", ["priezvisk\u00e1", "\u01f0"], ids=["one accent", "taken apart by case"])
def test_a_letter_and_its_accent_may_be_one_character_or_two(
    name: str, field: Literal["NFC", "NFD"], path: Literal["NFC", "NFD"]
) -> None:
    """However the hub and the operator compose a letter, the rule finds the field."""
    sent, written = normalize(field, name), normalize(path, name.upper())

    assert published(notification({sent: CANARY}), content(redact=f"customers.{written}")) == {sent: None}


@pytest.mark.parametrize("pseudonymise", ["", "customers.name"], ids=["plain", "keyed"])
def test_an_unreadable_record_leaves_its_length_and_a_hash(pseudonymise: str) -> None:
    """Where it broke and why stays, what it held is gone; with a key nobody can guess it from the hash."""
    record = read(b'{"e":"portos.resources.changed","p":{"n":"customers","r":["c4nary"}', "default", 1.0)
    assert isinstance(record, Unreadable)

    short = content(pseudonymise=pseudonymise).shortened(record)

    assert (short.reason, short.body, short.received_at) == (record.reason, b"", record.received_at)
    assert short.text.startswith(record.text)
    assert "(byte 66)" in short.text
    assert re.search(r"; not kept: 67 bytes, (HMAC-)?SHA-256 [0-9a-f]{64}$", short.text)
    assert ("HMAC" in short.text) == bool(pseudonymise)
    hashed = hmac.new(KEY.encode(), record.body, "sha256") if pseudonymise else sha256(record.body)
    assert short.text.endswith(hashed.hexdigest())


NAMES = st.sampled_from(["a", "b", "c", "E", "é"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("xyž", max_size=3) | st.just(CANARY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


def _redacted(value: Any, fields: list[str]) -> Any:
    """Say in plain Python what a rule does."""
    if isinstance(value, list):
        return [_redacted(each, fields) for each in value]
    if not isinstance(value, dict):
        return None
    first, *rest = fields
    hit = {name for name in value if name.casefold() == first.casefold()}
    return {
        name: member if name not in hit else _redacted(member, rest) if rest else None for name, member in value.items()
    }


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.lists(NAMES, min_size=1, max_size=3))
def test_exactly_what_a_path_names_is_gone(value: dict[str, object], fields: list[str]) -> None:
    """Whatever the resource looks like, the rule does what it says and nothing else."""
    body = notification(value)

    assert published(body, content(redact=".".join(["customers", *fields]))) == _redacted(value, fields)


@given(st.binary(max_size=60), st.integers(0, 300))
def test_why_a_record_is_unreadable_never_quotes_it(noise: bytes, cut: int) -> None:
    """Whatever is cut or put into a notification, the text of the error is free of what it held."""
    whole = notification({"c4nary": "c4nary", "name": "c4nary"}, n="c4nary")
    found = read(whole[:cut] + noise + whole[cut + 5 :], "default", 1.0)

    assert isinstance(found, Message) or "c4nary" not in found.text


def test_a_notifications_own_reference_goes_with_the_notification() -> None:
    """Nobody knows what `r` holds, so that it is published with the whole notification only."""
    got = message(json.dumps({**json.loads(notification({"name": "Jana"})), "r": CANARY}).encode())

    reduced = content().reduced(got)

    assert ("correlationid", CANARY) in got.flags
    assert reduced.flags == ()


@pytest.mark.parametrize("references", [False, True])
@pytest.mark.parametrize("flag", [("versionreset", "true"), ("gapfrom", "3")])
def test_what_the_bridge_has_found_out_stays(flag: tuple[str, str], *, references: bool) -> None:
    """Letters and states go by it: of a resource whose versions begin anew the lower one is the newer."""
    got = message(json.dumps({**json.loads(notification({"name": "Jana"})), "r": CANARY}).encode())
    judged = msgspec.structs.replace(got, flags=(*got.flags, flag))

    assert content(references=references).reduced(judged).flags == (flag,)
