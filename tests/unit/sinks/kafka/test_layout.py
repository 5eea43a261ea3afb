"""Where an event goes in Kafka: legal, confined, and never where another one goes by accident."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.contract import sample
from bridge.errors import Rejected
from sinks.kafka.layout import Layout, segment

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("tickets", "tickets"),
        ("mPOS Link", "mPOS-20Link"),
        ("a.b", "a-2Eb"),
        ("$SYS/x", "-24SYS-2Fx"),
        ("", "-"),
        ("-", "-2D"),
        ("Š", "-C5-A0"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 160 + "--84a0678c90937f5d"),
    ],
)
def test_a_name_becomes_a_legal_segment(name: str, encoded: str) -> None:
    """The vectors of the convention hold."""
    assert segment(name) == encoded


@given(st.lists(NAMES, unique=True, min_size=2, max_size=20))
def test_two_names_never_share_a_segment(names: list[str]) -> None:
    """Encoding is injective, also against names that look like encoded ones."""
    everything = set(names) | {segment(name) for name in names}

    assert len({segment(name) for name in everything}) == len(everything)


@given(NAMES)
def test_a_segment_is_legal_in_kafka(name: str) -> None:
    """Whatever the name, its segment has 1 to 200 characters of A-Z, a-z, 0-9 and '-'."""
    encoded = segment(name)

    assert 1 <= len(encoded) <= 200
    assert encoded.isascii()
    assert encoded.replace("-", "").isalnum() or not encoded.replace("-", "")


@pytest.mark.parametrize(
    ("template", "resource"),
    [
        ("portos.{resource}", "licence"),
        ("portos_{resource}", "licence"),
        ("portos.{resource}.events", "bridge"),
        ("portos.{resource}.x", "state"),
    ],
)
def test_a_name_cannot_address_a_reserved_topic(template: str, resource: str) -> None:
    """A resource that would land on a topic of the bridge's own is rejected, with the reason and where it led."""
    made = Layout(topic_template=template).topic(resource)

    assert isinstance(made, Rejected)
    assert (made.reason, made.target) == ("reserved_topic", template.replace("{resource}", resource))


def test_a_name_cannot_address_the_topic_of_the_copies() -> None:
    """Events and copies of dead letters do not mix."""
    layout = Layout(dlq_topic="portos.dlq")

    assert isinstance(layout.topic("dlq"), Rejected)
    assert layout.topic("dl") == "portos.dl"


@given(NAMES)
def test_no_name_at_all_reaches_a_reserved_topic(name: str) -> None:
    """With the default template only the name `licence` leads to a reserved topic."""
    assert isinstance(Layout().topic(name), Rejected) == (name == "licence")


def test_what_is_filled_in_is_not_a_template() -> None:
    """A resource that is named like a placeholder stays a name."""
    assert Layout("shop", "a.{site}.{resource}").topic("{site}") == "a.shop.-7Bsite-7D"
    key = Layout("shop", key_template="{resource}:{resource_id}").key(sample(1, resource_id="{resource}"))
    assert key == b"tickets:%7Bresource%7D"


@pytest.mark.parametrize(
    ("allowed", "taken"),
    [
        ((), ["tickets", "orders", "tickets2"]),
        (("portos.tickets",), ["tickets"]),
        (("portos.tickets*",), ["tickets", "tickets2"]),
        (("portos.orders", "portos.t*"), ["tickets", "orders", "tickets2"]),
    ],
)
def test_only_what_is_allowed_has_a_topic(allowed: tuple[str, ...], taken: list[str]) -> None:
    """Anything else is rejected, with the reason and where it led."""
    layout = Layout(allowed=allowed)

    made = {name: layout.topic(name) for name in ("tickets", "orders", "tickets2")}

    assert [name for name, topic in made.items() if isinstance(topic, str)] == taken
    refused = [topic for topic in made.values() if isinstance(topic, Rejected)]
    assert {topic.reason for topic in refused} <= {"topic_not_allowed"}


def test_an_id_alone_is_the_key_as_it_is() -> None:
    """Who joins by the ids of Portos need decode nothing."""
    assert Layout().key(sample(1, resource_id="a/b š")) == "a/b š".encode()


def test_beside_anything_else_names_are_encoded() -> None:
    """A colon in a name is none between two."""
    layout = Layout("shop-1", key_template="{site}:{resource}:{resource_id}")

    assert layout.key(sample(1, resource="a:b", resource_id="c")) == b"shop-1:a%3Ab:c"
    assert layout.key(sample(1, resource="a", resource_id="b:c")) == b"shop-1:a:b%3Ac"
