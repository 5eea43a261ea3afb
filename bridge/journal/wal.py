"""SQLite's write-ahead log as a file: what a damaged one still holds, so that one bad bit does not cut off its end.

Pure. SQLite reads a log up to the first frame whose checksum fails, and takes the rest for nothing. Each checksum is
seeded with the one before, but every frame carries its own, so that each can be judged alone: behind the damage there
are whole frames. A log that is mended has all frames up to the last commit, chained anew; a single flipped bit is put
right where it can be told, other damage stays in its page, for the checksums of the rows to find. Used by
`bridge.journal.salvage`.

Format: https://sqlite.org/fileformat2.html, section 4 (as of SQLite 3.40).
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import mul
from struct import Struct

__all__ = ["PAGE_BYTES", "frames", "mended"]

PAGE_BYTES = 4096
_HEADER = Struct(">8I")  # magic, version, page size, checkpoints, salt 1 and 2, checksum 1 and 2
_FRAME = Struct(">6I")  # page, pages after a commit or 0, salt 1 and 2, checksum 1 and 2
_FRAME_BYTES = _FRAME.size + PAGE_BYTES
_MAGIC = 0x377F0682  # the lowest bit: the words that are summed are big-endian
_VERSION = 3_007_000
_MASK = 0xFFFFFFFF
_MOST_PAGES = 1 << 24  # 64 GiB: a number beyond is damaged
_PAIRS = (8 + PAGE_BYTES) // 8

Sum = tuple[int, int]


def _coefficients(pairs: int) -> tuple[list[int], list[int], tuple[int, int, int, int]]:
    """Say with which factor each word goes into each half of a checksum, and the two halves of its seed."""
    first: list[int] = []
    second: list[int] = []
    p, q, r = 1, 0, 1  # the matrix ((p, q), (q, r)) is what a later pair makes of the sums
    for _ in range(pairs):
        first[:0] = (p + q, q)
        second[:0] = (q + r, r)
        p, q, r = (p + q) & _MASK, (p + 2 * q) & _MASK, (q + 2 * r) & _MASK
    return [x & _MASK for x in first], [x & _MASK for x in second], (p, q, q, r)


_FIRST, _SECOND, _SEED = _coefficients(_PAIRS)
_WORDS = {0: Struct(f"<{2 * _PAIRS}I"), 1: Struct(f">{2 * _PAIRS}I")}


@dataclass(slots=True)
class _Frame:
    page: int
    pages: int
    sum: Sum
    data: bytes
    whole: bool = False
    near: bool = False
    """Whether one bit explains the damage: then it was written whole, and is no frame that a power cut has torn."""


def mended(log: bytes) -> bytes | None:
    """Give a log that SQLite reads to its last commit; None if this one is such a log."""
    if len(log) < _HEADER.size + _FRAME_BYTES:
        return None
    fields = _HEADER.unpack_from(log)
    header_whole = fields[0] | 1 == _MAGIC | 1 and fields[6:] == _header_sum(log[:24], fields[0] & 1)
    if header_whole and fields[2] != PAGE_BYTES:
        return None
    salts = fields[4:6] if header_whole else _salts(log)
    found = list(_frames(log, salts))
    big = fields[0] & 1 if header_whole else _byte_order(found)
    if not header_whole:
        seed = _seed_of_first(found, big)
        header = _HEADER.pack(_MAGIC | big, _VERSION, PAGE_BYTES, fields[3], *salts, 0, 0)[:24]
        sums = _header_sum(header, big)
    else:
        seed = sums = fields[6:]
        header = log[:24]
    readable = _judge(found, seed, big)
    commits = [at for at, frame in enumerate(found) if (frame.whole or frame.near) and frame.pages]
    last = commits[-1] if commits else -1
    if last < 0 or (header_whole and last < readable):
        return None
    kept = found[: last + 1]
    parts = [header, Struct(">2I").pack(*sums)]
    for frame in kept:
        if frame.page:
            head = Struct(">2I").pack(frame.page, frame.pages)
            sums = _sum(head + frame.data, sums, big)
            parts += [head, Struct(">4I").pack(*salts, *sums), frame.data]
    return b"".join(parts)


def frames(log: bytes) -> Iterator[tuple[int, bytes]]:
    """Give the pages in a log that is not damaged, oldest first: number and content."""
    if len(log) < _HEADER.size + _FRAME_BYTES:
        return
    fields = _HEADER.unpack_from(log)
    found = list(_frames(log, fields[4:6]))
    readable = _judge(found, fields[6:], fields[0] & 1)
    commits = [at for at, frame in enumerate(found[:readable]) if frame.pages]
    for frame in found[: commits[-1] + 1 if commits else 0]:
        yield frame.page, frame.data


def _frames(log: bytes, salts: Sequence[int]) -> Iterator[_Frame]:
    """Cut a log into the frames of its last round; those of earlier ones have other salts, both of them.

    Such a frame is the end, unless two commits come behind it: then its head is damaged, and which page it was is not
    known. One commit is not enough: a power cut may leave holes in the last transaction, which was never confirmed.
    """
    heads = [(at, *_FRAME.unpack_from(log, at)) for at in _places(log)]
    commits = [at for at, _, pages, *found, _, _ in heads if pages and tuple(found) == tuple(salts)]
    sure = commits[-2] if len(commits) > 1 else 0
    for at, page, pages, one, two, *sums in heads:
        data = log[at + _FRAME.size : at + _FRAME_BYTES]
        if one == salts[0] or two == salts[1]:
            yield _Frame(page, pages, (sums[0], sums[1]), data)
        elif at < sure:
            yield _Frame(0, 0, (sums[0], sums[1]), data)
        else:
            return


def _salts(log: bytes) -> Sequence[int]:
    """Give the salts of the round that a log begins with, of which the first frame may be damaged as well."""
    salts = [_FRAME.unpack_from(log, at)[2:4] for at in _places(log)]
    return next((one for one, other in pairwise(salts) if one == other), salts[0])


def _places(log: bytes) -> range:
    """Tell where frames begin."""
    return range(_HEADER.size, len(log) - _FRAME_BYTES + 1, _FRAME_BYTES)


def _byte_order(found: Sequence[_Frame]) -> int:
    """Say whether the words that are summed are big-endian: as some frame follows from the one before, or as here."""
    for before, frame in pairwise(found):
        words = Struct(">2I").pack(frame.page, frame.pages) + frame.data
        for big in (0, 1):
            if _sum(words, before.sum, big) == frame.sum:
                return big
    return int(sys.byteorder == "big")


def _judge(found: Sequence[_Frame], seed: Sequence[int], big: int) -> int:
    """Mark the frames that are whole, put right what is damaged in one bit; return how many SQLite would read."""
    stored = computed = (seed[0], seed[1])
    readable = -1
    for at, frame in enumerate(found):
        head = Struct(">2I").pack(frame.page, frame.pages)
        sums = _sum(head + frame.data, stored, big)
        other = sums if stored == computed else _sum(head + frame.data, computed, big)
        frame.whole = frame.sum in (sums, other)
        if not frame.whole or stored != computed:
            readable = at if readable < 0 else readable
        if not frame.whole and frame.page:
            _put_right(frame, head, sums, big)
        stored = frame.sum
        computed = frame.sum if frame.whole else sums
    return len(found) if readable < 0 else readable


def _put_right(frame: _Frame, head: bytes, sums: Sum, big: int) -> None:
    """Find the one bit whose change explains the checksum; of several, which high bits have, none is taken."""
    want = ((frame.sum[0] - sums[0]) & _MASK, (frame.sum[1] - sums[1]) & _MASK)
    words = list(_WORDS[big].unpack(head + frame.data))
    found: list[tuple[int, int]] = []
    for bit in range(32):
        for at, (one, two) in enumerate(zip(_FIRST, _SECOND, strict=True)):
            change = 1 << bit if not words[at] >> bit & 1 else -(1 << bit)
            if (one * change) & _MASK == want[0] and (two * change) & _MASK == want[1]:
                found.append((at, bit))
    frame.near = bool(found)
    for number, value in enumerate((frame.page, frame.pages)):
        if value > _MOST_PAGES:
            found = [(at, bit) for at, bit in found if at == number]
    if len(found) != 1:
        frame.page = frame.page if frame.page <= _MOST_PAGES else 0
        frame.pages = frame.pages if frame.pages <= _MOST_PAGES else 0
        return
    at, bit = found[0]
    words[at] ^= 1 << bit
    data = _WORDS[big].pack(*words)
    frame.page, frame.pages = Struct(">2I").unpack_from(data)
    frame.data, frame.whole = data[8:], True


def _seed_of_first(found: Sequence[_Frame], big: int) -> Sum:
    """Work out the checksum of a damaged header: that which makes its first frame whole.

    The seed goes into the sums by a matrix of determinant 1, so that it can be taken out again.
    """
    head = Struct(">2I").pack(found[0].page, found[0].pages)
    one, two = _sum(head + found[0].data, (0, 0), big)
    x, y = found[0].sum[0] - one, found[0].sum[1] - two
    p, q, _, r = _SEED
    return (r * x - q * y) & _MASK, (p * y - q * x) & _MASK


def _sum(data: bytes, seed: Sum | Sequence[int], big: int) -> Sum:
    words = _WORDS[big].unpack(data)
    p, q, r, s = _SEED
    return (
        (sum(map(mul, _FIRST, words)) + p * seed[0] + q * seed[1]) & _MASK,
        (sum(map(mul, _SECOND, words)) + r * seed[0] + s * seed[1]) & _MASK,
    )


def _header_sum(data: bytes, big: int) -> Sum:
    one = two = 0
    words = Struct((">" if big else "<") + "6I").unpack(data)
    for a, b in zip(words[::2], words[1::2], strict=True):
        one = (one + a + two) & _MASK
        two = (two + b + one) & _MASK
    return one, two
