"""JSON in the notation of .NET: which characters are escaped and how, and how a moment is written.

Pure. Measured against ASP.NET Core 10 (System.Text.Json with `UnsafeRelaxedJsonEscaping`, SignalR's default) over the
whole Basic Multilingual Plane; only code points without a character are left out, since their set changes with each
Unicode version.
"""

import json
import re
from datetime import UTC, datetime
from functools import lru_cache

__all__ = ["encoded", "moment"]

# Controls, spaces other than the space, line and paragraph separators, private use, the byte order mark, and all that
# needs a surrogate pair. Python's own escapes are matched as a whole, so that an escaped backslash hides what follows.
_DIFFERENT = re.compile(
    r"\\(?:u[0-9a-f]{4}|.)"
    r"|[\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ud800-\uf8ff\ufeff\U00010000-\U0010ffff]"
)


def encoded(value: object) -> bytes:
    """Write a value as compact JSON, keys in their order."""
    return _DIFFERENT.sub(_escape, json.dumps(value, ensure_ascii=False, separators=(",", ":"))).encode()


def moment(seconds: float) -> str:
    """Write a time since the epoch as .NET writes a DateTime in UTC: milliseconds without the zeros at their end."""
    return _millisecond(int(seconds * 1000))


@lru_cache(maxsize=64)
def _millisecond(milliseconds: int) -> str:
    second = datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{milliseconds % 1000:03d}".rstrip("0")
    return f"{second}.{fraction}Z" if fraction else f"{second}Z"


def _escape(match: re.Match[str]) -> str:
    found = match[0]
    if found[0] == "\\":
        return f"\\u{found[2:].upper()}" if found[1] == "u" else found
    units = found.encode("utf-16-be", "surrogatepass").hex().upper()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
