"""Names that a hub might send one day, and templates that somebody might write.

Names are all that is near the encodings: every character there is, every short text of the signs that they write or
replace, and what they make of all of these, so that no name can pass for the encoded form of another.
"""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import product
from random import Random
from typing import NamedTuple

from bridge.message import percent_encoded
from sinks.kafka.layout import segment

__all__ = ["FAMOUS", "KAFKA_KEY", "KAFKA_TOPIC", "MQTT_TOPIC", "names", "templates", "tuples"]

_SIGNS = "-%~2FDa/.+#$ {_"
_SURROGATES = range(0xD800, 0xE000)
FAMOUS = (
    "", "tickets", "licence", "bridge", "state", "other-events", "bridge.gaps", "gaps", "$SYS", "$share", "..", ".",
    "__consumer_offsets", "{resource}", "{site}", "{base}", "x" * 300, "š" * 300, "\x00", "\x7f", "a/b", "mPOS Link",
    "a-", "-a", "a-2D", "2Da", "2Fz", "2F/z", "a/", "b:c", "a:b", "a.b", "%2F", "~7E", "~", "-",
)  # fmt: skip


def names(*, every: bool) -> set[str]:
    """Give every one of them, more than 328,000, or those of the same kinds that are shorter or come earlier."""
    last, longest, step = (0x11000, 4, 1) if every else (0x300, 3, 20)
    found = {chr(code) for code in range(last) if code not in _SURROGATES}
    found |= {f"x{chr(code)}" for code in range(min(last, 0x10000)) if code not in _SURROGATES}
    found |= {"".join(signs) for size in range(longest + 1) for signs in product(_SIGNS, repeat=size)}
    found |= set(FAMOUS)
    found |= {"x" * size for size in range(150, 420, step)} | {"š" * size for size in range(30, 150, step)}
    found |= {f"{'x' * 160}--{_digest('x' * size)}" for size in range(201, 420, step)}
    found |= {f"{'x' * 200}~{_digest('x' * size)}" for size in range(257, 420, step)}
    found |= {encode(name) for name in list(found) for encode in (segment, percent_encoded)}
    return found


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]


class Kind(NamedTuple):
    """What templates of a kind are made of."""

    beginnings: Sequence[str]
    placeholders: Sequence[str]
    separators: Sequence[str]


_MARKS = (".", "/", "-", "_", ":", "", "|", "%", "~")
KAFKA_TOPIC = Kind(
    ("portos.", "portos_", "shop_", "shop", ""), ("{resource}", "{site}", "{resource_id}"), (*"..__", *_MARKS)
)
KAFKA_KEY = Kind(("", "", "x"), ("{resource_id}", "{resource}", "{site}"), (":", ":", *_MARKS))
MQTT_TOPIC = Kind(
    ("{base}/", "portos/", "shop", ""), ("{base}", "{site}", "{resource}", "{resource_id}", "{action}"), ("/", *_MARKS)
)
_TEXTS = ("portos", "shop", "a", "x-", "bridge", "state", "licence", "events", "other-events", "2F")
_WRONG = ("+", "#", "$", "{", "}", "{x}", "{resource.__class__}", "\x00", "//", "..", "*", "é", "__", "p" * 60)


def templates(number: int, seed: int, kind: Kind) -> Iterator[str]:
    """Draw templates, of which some are sound and others as nearly so as may be."""
    dice = Random(seed)  # noqa: S311 - the same ones each time
    for _ in range(number):
        parts = [dice.choice(kind.beginnings)]
        for _ in range(dice.randint(1, 3)):
            what = dice.random()
            parts.append(dice.choice(kind.placeholders if what < 0.7 else _TEXTS if what < 0.97 else _WRONG))
            parts.append(dice.choice(kind.separators))
        yield "".join(parts[:-1])


def tuples(number: int, seed: int) -> Sequence[tuple[str, str, str]]:
    """Draw resources, ids and actions, among them texts cut in two in every way, which names too close confuse."""
    dice = Random(seed)  # noqa: S311 - the same ones each time
    texts = [("a-2Fb", 0), ("x%2Fy", 0), ("abab", 0), ("a-2D-2D", 0)]
    texts += [(mark.join("abcd"), 1) for mark in dice.sample(":/|.-", 3)]
    cut = [(text[:at], text[at + width :]) for text, width in texts for at in range(len(text) + 1)]
    pairs = cut + [(dice.choice(FAMOUS), dice.choice(FAMOUS)) for _ in range(number)]
    return [(*pair, dice.choice(("created", "updated", "deleted", "unknown"))) for pair in dict.fromkeys(pairs)]
