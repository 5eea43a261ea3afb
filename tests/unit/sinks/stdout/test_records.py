"""A line of the stdout sink: valid JSON whose data are the bytes of the notification."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.contract import sample
from bridge.message import attributes
from sinks.stdout.records import line


def test_the_notification_stands_in_the_line_as_it_came() -> None:
    """Spacing, escapes and number formats of the hub are kept."""
    body = b'{"a" : 1.0,\t"b":"\\u010d \xc4\x8d"}'

    written = line(sample(1, body=body), "shop")

    assert written.endswith(b'"datacontenttype":"application/json","data":' + body + b"}\n")


@pytest.mark.parametrize("body", [b'{"a":\n1}', b"[\r1]", b'"\xff"', b"no json", b"\xef\xbb\xbf{}"])
def test_what_a_line_of_json_cannot_hold_is_encoded(body: bytes) -> None:
    """A notification with a line end, or that is no JSON, keeps its bytes as base64 and stays one line."""
    written = line(sample(1, body=body), "default")

    assert written.count(b"\n") == 1
    assert base64.b64decode(json.loads(written)["data_base64"]) == body


@settings(deadline=None, max_examples=60)
@given(st.text(), st.text(), st.one_of(st.binary(), st.from_regex(rb'(\{"a" ?: ?[0-9]{1,3}\}|\[.*\]|"[^\n]*"|\s)+')))
def test_any_event_is_one_line_of_json_that_gives_back_its_bytes(resource: str, resource_id: str, body: bytes) -> None:
    """Whatever the hub sends, a line is one event, and its attributes and bytes can be read again."""
    event = sample(1, resource=resource, resource_id=resource_id, body=body or b"0")

    try:
        written = line(event, "default")
    except UnicodeEncodeError:
        return  # a name that is no valid Unicode never reaches a sink

    found = json.loads(written)
    assert written.count(b"\n") == 1
    assert written.endswith(b"\n")
    assert {name: found[name] for name, _ in attributes(event, "default")} == dict(attributes(event, "default"))
    if "data" in found:
        assert found["data"] == json.loads(event.body)
    else:
        assert base64.b64decode(found["data_base64"]) == event.body
