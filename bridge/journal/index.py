"""What a salvage remembers of each event and of each chunk that it finds: a bit and eight bytes.

Pure. A full journal of a GiB may hold five million events, each with a commit of its own, and the memory in which it is
salvaged is that of a small container: a set of their numbers alone takes more. Used by `bridge.journal.found` and
`bridge.journal.rebuild`.
"""

from array import array
from collections.abc import Iterator

__all__ = ["Index", "Numbers"]

_NEAR_BITS = 13  # numbers that differ in these alone are kept together
_NEAR = (1 << _NEAR_BITS) - 1
_PLACE_BITS = 64 - _NEAR_BITS
_LAST_PLACE = (1 << _PLACE_BITS) - 1


class Numbers:
    """A set of numbers, most of them close to each other: a KiB for 8,192 in a row, or for one that is far from all."""

    def __init__(self) -> None:
        self._bits: dict[int, bytearray] = {}
        self._count = 0

    def add(self, number: int) -> bool:
        """Take a number in; say whether it was not there before."""
        bits = self._bits.get(number >> _NEAR_BITS)
        if bits is None:
            bits = self._bits[number >> _NEAR_BITS] = bytearray((_NEAR + 1) // 8)
        at, bit = (number & _NEAR) >> 3, 1 << (number & 7)
        if bits[at] & bit:
            return False
        bits[at] |= bit
        self._count += 1
        return True

    def __contains__(self, number: int) -> bool:
        bits = self._bits.get(number >> _NEAR_BITS)
        return bits is not None and bool(bits[(number & _NEAR) >> 3] >> (number & 7) & 1)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        """Give the numbers in their order."""
        for far in sorted(self._bits):
            for at, byte in enumerate(self._bits[far]):
                for bit in range(8) if byte else ():
                    if byte >> bit & 1:
                        yield (far << _NEAR_BITS) + 8 * at + bit


class Index:
    """Places by a number: eight bytes for each, which is below 2 to the power of 51."""

    def __init__(self) -> None:
        self._packed: dict[int, array[int]] = {}

    def add(self, number: int, place: int) -> None:
        """Note a place, of which there may be several for a number."""
        packed = self._packed.get(number >> _NEAR_BITS)
        if packed is None:
            packed = self._packed[number >> _NEAR_BITS] = array("Q")
        packed.append((number & _NEAR) << _PLACE_BITS | (_LAST_PLACE - place))

    def __iter__(self) -> Iterator[int]:
        """Give the places by their numbers, those of one number from the last on."""
        for far in sorted(self._packed):
            for packed in sorted(self._packed[far]):
                yield _LAST_PLACE - (packed & _LAST_PLACE)
