"""Templates are filled in once, and what would let two names give the same is found."""

from itertools import product

import pytest

from bridge.message import percent_encoded
from bridge.template import (
    ENCODED,
    allows,
    filled,
    literals,
    may_allow,
    placeholders,
    problem_of_allowed,
    too_close,
    unknown,
)


def test_what_is_filled_in_is_not_read_again() -> None:
    """A value that looks like a placeholder stays what it is."""
    assert filled("{a}.{b}.{a}", {"a": "{b}", "b": "{a}"}) == "{b}.{a}.{b}"


def test_a_template_is_taken_apart() -> None:
    """Into its placeholders and one text more than there are of them."""
    assert placeholders("x{a}{b}y") == ["a", "b"]
    assert literals("x{a}{b}y") == ["x", "", "y"]


@pytest.mark.parametrize("template", ["{c}", "{}", "{a", "a}", "{{a}}", "{a!r}", "{a.b}", "{a[0]}", "{ a}"])
def test_what_cannot_be_filled_in_is_found(template: str) -> None:
    """An unknown name, half a placeholder, or anything that `str.format` would take."""
    assert unknown(template, ("b", "a")) == "only {a}, {b} can be filled in"


def test_a_sound_template_has_no_problem() -> None:
    """Nor does plain text."""
    assert unknown("x{a}/{b}", ("a", "b")) is None
    assert unknown("x", ("a", "b")) is None
    assert too_close("x{a}/{b}y", ENCODED, "a slash") is None


@pytest.mark.parametrize("between", ["", "-", "x", "%", "~2F", ".", "_"])
def test_placeholders_that_no_character_keeps_apart_are_found(between: str) -> None:
    """Where all between them may be part of a name as well."""
    assert too_close(f"{{a}}{between}{{b}}", ENCODED, "a slash") == (
        "two placeholders need a slash between them, else different names could give the same"
    )


@pytest.mark.parametrize(
    ("between", "first", "second"),
    [("", ("a", "bc"), ("ab", "c")), ("-", ("a", "b-c"), ("a-b", "c")), ("%", ("a", "2F/z"), ("a/", "2Fz"))],
)
def test_what_is_refused_would_have_been_one(between: str, first: tuple[str, str], second: tuple[str, str]) -> None:
    """Two pairs of names that such templates make the same."""
    one, other = (between.join(map(percent_encoded, names)) for names in (first, second))

    assert one == other


def test_encoded_names_are_of_the_characters_that_are_said() -> None:
    """Every character of the first planes, alone and in long names."""
    names = [chr(code) for code in range(0x3000) if not 0xD800 <= code < 0xE000]

    assert set().union(*(percent_encoded(name) for name in names), percent_encoded("ž" * 300)) <= ENCODED


def test_a_topic_is_allowed_as_it_is_or_by_its_beginning() -> None:
    """No list allows all."""
    assert [allows(("a.b", "c*"), topic) for topic in ("a.b", "a.bc", "a", "c", "cd", "d")] == [
        *(True, False, False, True, True, False)
    ]
    assert allows((), "x")


def test_whether_anything_can_be_allowed_is_told_from_the_beginning() -> None:
    """In either direction: the list may name less of the topic, or more."""
    allowed = [may_allow(("ab.c", "xy*"), beginning) for beginning in ("", "ab.", "ab.c", "ab.cd", "x", "xyz", "b")]
    assert allowed == [True, True, True, True, True, True, False]


def test_a_list_of_topics_with_other_signs_is_found() -> None:
    """Which item it is, by its place."""
    assert problem_of_allowed(("a", "b*")) is None
    assert problem_of_allowed(("a", "*")) == "item 2 would allow everything"
    assert problem_of_allowed(("a*b",)) == "item 1 holds a * that is not its end"
    assert problem_of_allowed(("a", "a/#")) == "item 2 holds # or +; the wildcard here is * at the end"


def test_two_names_of_two_never_give_the_same() -> None:
    """Every pair of short names of the characters that matter, kept apart by a slash."""
    names = ["".join(signs) for size in range(3) for signs in product("a/-%~.2F", repeat=size)]
    made = {f"{percent_encoded(one)}/{percent_encoded(other)}" for one in names for other in names}

    assert len(made) == len(names) ** 2
