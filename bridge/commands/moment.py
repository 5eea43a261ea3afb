"""A moment as an operator says it on the command line."""

import argparse
import re
import time
from datetime import UTC, datetime

__all__ = ["moment"]

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def moment(text: str) -> float:
    """Read a moment: so long ago, or ISO 8601, in UTC where it names no zone."""
    if (ago := _AGO.fullmatch(text)) is not None:
        return time.time() - float(ago[1]) * _SECONDS[ago[2]]
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is neither 30m, 2h, 3d nor 2026-03-04T09:15Z") from error
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
