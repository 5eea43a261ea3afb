"""The quick subscriber's reading of MQTT."""

from itertools import pairwise

from tests.bench.packets import connect, created_at, publications, publish, subscribe


def test_publications_are_found_and_acknowledged_in_one_go() -> None:
    """Of two PUBLISH with another packet between them both are found, and each packet id is acknowledged."""
    first, second = publish("a/b", 7, b"x" * 300), publish("a", 0x1234, b"")

    found, acknowledgements, used = publications(first + b"\xd0\x00" + second)

    assert found == [(0, len(first)), (len(first) + 2, used)]
    assert acknowledgements == b"\x40\x02\x00\x07\x40\x02\x12\x34"
    assert used == len(first) + 2 + len(second)


def test_a_packet_that_is_cut_anywhere_waits_for_its_rest() -> None:
    """However the bytes are cut by the network, every publication is found exactly once."""
    data = publish("topic", 1, b"y" * 200) * 3

    for cut in range(len(data) + 1):
        first, _, used = publications(data[:cut])
        second, _, end = publications(data[used:])
        assert (len(first) + len(second), used + end) == (3, len(data))


def test_a_publication_of_qos_0_is_not_acknowledged() -> None:
    """It has no packet id."""
    found, acknowledgements, _ = publications(b"\x30\x04\x00\x01ax")

    assert (found, acknowledgements) == ([(0, 6)], b"")


def test_the_time_stamp_is_read_with_and_without_a_space() -> None:
    """Bridges that write the JSON anew put a space behind the colon."""
    moments = [created_at(b'{"ca":%s"2026-01-01T00:00:00.250Z"}' % space) for space in (b"", b" ")]

    assert moments == [1767225600.25, 1767225600.25]


def test_the_time_stamp_of_one_publication_is_not_that_of_its_neighbour() -> None:
    """Each is read within its own bounds."""
    both = b"".join(publish("t", 1, b'{"ca":"2026-01-01T00:00:0%dZ"}' % second) for second in (1, 3))

    moments = [created_at(both, start, end) for start, end in publications(both)[0]]

    assert [later - sooner for sooner, later in pairwise(moments)] == [2.0]


def test_connect_and_subscribe_are_what_the_standard_says() -> None:
    """Examples by hand after MQTT 3.1.1, sections 3.1 and 3.8."""
    assert connect("me") == b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02me"
    assert subscribe("a/#") == b"\x82\x08\x00\x01\x00\x03a/#\x01"
