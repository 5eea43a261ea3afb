"""Which life of a bridge repeated how much. Pure.

After a crash a bridge begins again at the last cursor on disk, and what it had sent beyond is bounded by its window and
by how far that cursor may lag. That bound holds for each life, so that it can be held against each: a sum over many
crashes would let one of them hide behind the others.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence

from tests.oracle.record import Identity, Received, identity_of

__all__ = ["repeats_by_life"]


def repeats_by_life(records: Sequence[Received], ends: Sequence[Mapping[str, int]]) -> list[int]:
    """Count the repeats among what each life sent; what the broker itself hands out again is none.

    `ends` has an entry for each life but the last: how many records each stream had when it was over.
    """
    seen: set[Identity] = set()
    places: Counter[str] = Counter()
    repeats = [0] * (len(ends) + 1)
    bounds = {stream: [end.get(stream, 0) for end in ends] for stream in {record.stream for record in records}}
    for record in records:
        place = places[record.stream]
        places[record.stream] += 1
        identity = identity_of(record.value)
        if identity is None:
            continue
        if identity in seen and not record.redelivered:
            repeats[bisect_right(bounds[record.stream], place)] += 1
        seen.add(identity)
    return repeats
