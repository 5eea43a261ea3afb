"""A chunk gives back what was put in, and a damaged byte costs one message."""

import random
import struct
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.journal.chunk import CorruptRow, decode, encode, tail_of
from bridge.message import Message
from tests.unit.journal.conftest import messages

text = st.none() | st.text()
number = st.none() | st.floats(allow_nan=False, allow_infinity=False)
any_message = st.builds(
    Message,
    id=st.text(),
    event=st.text(),
    resource=text,
    resource_id=text,
    version=st.none() | st.integers(-(2**63), 2**63 - 1),
    action=text,
    created_at=number,
    expires_at=number,
    received_at=st.floats(allow_nan=False, allow_infinity=False),
    body=st.binary(),
    flags=st.just(()) | st.just((("versionreset", "true"), ("gapfrom", "3"))),
)


@given(st.lists(any_message, max_size=20), st.integers(1, 2**40))
def test_a_chunk_gives_back_every_message_as_it_was(batch: list[Message], first: int) -> None:
    assert decode(encode(batch, first), first, first + len(batch) - 1) == batch


def test_a_chunk_of_a_release_that_knew_no_flags_is_read() -> None:
    """Such a row ends with the body."""
    old = msgspec.msgpack.encode(msgspec.msgpack.decode(msgspec.msgpack.encode(messages(1, 1)[0]))[:10])
    chunk = struct.pack("<II", len(old), zlib.crc32(old, 1)) + old

    assert decode(chunk, 1, 1) == messages(1, 1)


def test_flags_that_are_not_set_cost_a_byte() -> None:
    """Nearly every message has none."""
    unflagged = messages(1, 1)[0]
    old = msgspec.msgpack.encode(msgspec.msgpack.decode(msgspec.msgpack.encode(unflagged))[:10])

    assert len(msgspec.msgpack.encode(unflagged)) == len(old) + 1


def test_a_flipped_bit_costs_at_most_the_row_it_hits_and_is_never_taken_for_data() -> None:
    """Whatever bit is flipped: what is returned as a message is as it was written, in its place."""
    batch = messages(1, 5, b'{"p":' + b"x" * 40 + b"}")
    chunk = encode(batch, 1)
    rng = random.Random(7)  # noqa: S311 - repeatable, not secret

    for _ in range(500):
        damaged = bytearray(chunk)
        at = rng.randrange(len(chunk))
        damaged[at] ^= 1 << rng.randrange(8)
        rows = decode(bytes(damaged), 1, 5)

        assert len(rows) == 5
        corrupt = [row.seq - 1 for row in rows if isinstance(row, CorruptRow)]
        assert corrupt in ([], [at * 5 // len(chunk)]), f"flip at {at}"
        assert all(row == batch[index] for index, row in enumerate(rows) if index not in corrupt)


@pytest.mark.parametrize("byte", range(4))
def test_a_row_whose_length_alone_is_damaged_is_read(byte: int) -> None:
    """Its checksum says where it ends."""
    batch = messages(1, 5)
    chunk = encode(batch, 1)
    for row in range(5):
        damaged = bytearray(chunk)
        damaged[row * len(chunk) // 5 + byte] ^= 0x11

        assert decode(bytes(damaged), 1, 5) == batch


def test_rows_around_a_destroyed_sector_are_read() -> None:
    """A lost block of the disk takes several rows with it, and what stood in the middle of it only."""
    batch = messages(10, 40, b'{"p":' + b"x" * 100 + b"}")
    chunk = encode(batch, 10)
    row = len(chunk) // 40

    rows = decode(chunk[: 10 * row + 5] + bytes(4 * row) + chunk[14 * row + 5 :], 10, 49)

    assert [at for at, one in enumerate(rows) if isinstance(one, CorruptRow)] == [10, 11, 12, 13, 14]
    assert [one for one in rows if not isinstance(one, CorruptRow)] == batch[:10] + batch[15:]


@pytest.mark.parametrize("cut", [0, 3, 8, 50, -1])
def test_a_cut_chunk_names_every_row_that_is_gone(cut: int) -> None:
    rows = decode(encode(messages(10, 4), 10)[:cut], 10, 13)

    assert [row.seq for row in rows if isinstance(row, CorruptRow)] == list(
        range(14 - sum(isinstance(r, CorruptRow) for r in rows), 14)
    )
    assert isinstance(rows[-1], CorruptRow)
    assert len(rows) == 4


def test_a_row_in_a_wrong_place_is_found() -> None:
    rows = decode(encode(messages(1, 1), 1), 2, 2)

    assert isinstance(rows[0], CorruptRow)


def readable(rows: list[Message | CorruptRow]) -> dict[int, Message]:
    return {at: row for at, row in enumerate(rows, 10) if isinstance(row, Message)}


@pytest.mark.parametrize("seq", range(10, 51))
def test_the_tail_of_a_chunk_is_a_chunk(seq: int) -> None:
    batch = messages(10, 40)

    assert decode(tail_of(encode(batch, 10), 10, 49, seq), seq, 49) == batch[seq - 10 :]


@pytest.mark.parametrize("blocks", [1, 2])
def test_the_tail_of_a_damaged_chunk_has_all_that_the_whole_has_there(blocks: int) -> None:
    """Wherever it is cut, and whatever lies on both sides of the cut."""
    batch = messages(10, 40)
    chunk = encode(batch, 10)
    dice = random.Random(3)  # noqa: S311 - repeatable, not secret
    for _ in range(60):
        damaged, seq = bytearray(chunk), dice.randrange(11, 50)
        for _ in range(blocks):
            at, size = dice.randrange(len(chunk)), dice.choice((1, 4, 60, 300))
            damaged[at : at + size] = bytes(len(damaged[at : at + size]))
        whole = readable(decode(bytes(damaged), 10, 49))

        tail = decode(tail_of(bytes(damaged), 10, 49, seq), seq, 49)

        assert len(tail) == 50 - seq
        found = {at - 10 + seq: row for at, row in readable(tail).items()}
        assert found == {at: row for at, row in whole.items() if at >= seq}
