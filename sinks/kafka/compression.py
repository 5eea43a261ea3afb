"""How the records of a batch are compressed, under the names and numbers of Kafka's protocol.

Pure. Of what Kafka knows, `snappy` is left out: it needs a framing of its own for Java, and lz4 does better.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

__all__ = ["COMPRESSIONS", "Compression"]

_GZIP_WINDOW = 31  # 15 bits of window, and 16 for gzip's own head
_ZSTD_LEVEL = 3
_LZ4_LEVEL = 1


class Compression(NamedTuple):
    """The number that stands in a batch's attributes, and what makes its records smaller."""

    number: int
    squeezed: Callable[[Sequence[bytes]], Sequence[bytes]]


def _gzip(parts: Sequence[bytes]) -> Sequence[bytes]:
    squeezer = zlib.compressobj(wbits=_GZIP_WINDOW)
    return [*map(squeezer.compress, parts), squeezer.flush()]


def _lz4(parts: Sequence[bytes]) -> Sequence[bytes]:
    """Compress to one frame of independent blocks, since Java's clients read no others (KIP-57)."""
    import cramjam  # noqa: PLC0415 - 4 MiB and 50 ms, for whoever compresses by it

    squeezer = cramjam.lz4.Compressor(level=_LZ4_LEVEL, content_checksum=False, block_linked=False)
    squeezer.compress(b"".join(parts))
    return [bytes(squeezer.finish())]


def _zstd(parts: Sequence[bytes]) -> Sequence[bytes]:
    import cramjam  # noqa: PLC0415 - as above

    return [bytes(cramjam.zstd.compress(b"".join(parts), level=_ZSTD_LEVEL))]


COMPRESSIONS: Mapping[str, Compression] = {
    "none": Compression(0, lambda parts: parts),
    "gzip": Compression(1, _gzip),
    "lz4": Compression(3, _lz4),
    "zstd": Compression(4, _zstd),
}
