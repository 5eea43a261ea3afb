import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.simulator.notation import encoded, moment


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Čašník <a> & 'b' +/", "\"Čašník <a> & 'b' +/\""),
        ('"\\/', r'"\"\\/"'),
        ("\b\t\n\f\r\x1e\x00", r'"\b\t\n\f\r\u001E\u0000"'),
        ("\x7f\x9f\xa0", r'"\u007F\u009F\u00A0"'),
        ("\u2028\u2029\u3000\ufeff", r'"\u2028\u2029\u3000\uFEFF"'),
        ("\ue000\uf8ff", r'"\uE000\uF8FF"'),
        ("\U0001f600", r'"\uD83D\uDE00"'),
        ("\\u001e", r'"\\u001e"'),
        ("\u200b\u00ad€", '"\u200b\u00ad€"'),
    ],
)
def test_text_is_escaped_as_dotnet_does(text: str, written: str) -> None:
    """What .NET escapes is escaped, in capitals, and nothing else."""
    assert encoded(text).decode() == written


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # two busy cores are no property of the code
@given(st.lists(st.text() | st.integers() | st.booleans() | st.none()))
def test_what_is_written_reads_as_the_same(value: object) -> None:
    """Escaping never changes a value."""
    assert json.loads(encoded(value)) == value


def test_no_separator_can_stand_inside_a_record() -> None:
    """No text can end a record early."""
    assert b"\x1e" not in encoded({"a\x1eb": ["\x1e"]})


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (1_741_078_280.76, "2025-03-04T08:51:20.76Z"),
        (1_741_078_280.104, "2025-03-04T08:51:20.104Z"),
        (1_741_078_280.0, "2025-03-04T08:51:20Z"),
        (1_741_078_280.5, "2025-03-04T08:51:20.5Z"),
    ],
)
def test_a_moment_has_no_zeros_at_its_end(seconds: float, written: str) -> None:
    """A fraction of a second is cut as .NET cuts it."""
    assert moment(seconds) == written
