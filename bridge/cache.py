"""What is worked out for a name from outside and kept for its next event: of ordinary names many, of long ones few.

Pure. `functools.lru_cache` counts what it keeps and does not weigh it, and a hub may send names of any length. Used by
`bridge.message`, `bridge.settings.privacy` and the sinks.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar, TypeVarTuple

__all__ = ["remembered"]

Names = TypeVarTuple("Names")
R = TypeVar("R")
_LONG_CHARACTERS = 256
_MOST_LONG_CHARACTERS = 2**18  # at most a mebibyte, in any script


def remembered(most: int) -> Callable[[Callable[[*Names], R]], Callable[[*Names], R]]:
    """Decorate a pure function to keep its latest `most` results, and a mebibyte of names of over 256 characters.

    With more of these it forgets everything; one that is longer by itself stays until the next long one. That is looked
    at where something is worked out: what is known costs no more than with `lru_cache`.
    """

    def remember(function: Callable[[*Names], R]) -> Callable[[*Names], R]:
        long_characters = 0

        @wraps(function)
        def worked_out(*names: *Names) -> R:
            nonlocal long_characters
            for name in names:
                if isinstance(name, (str, bytes)) and len(name) > _LONG_CHARACTERS:
                    if long_characters + len(name) > _MOST_LONG_CHARACTERS:
                        known.cache_clear()
                        long_characters = 0
                    long_characters += len(name)
            return function(*names)

        known = lru_cache(most)(worked_out)
        return known  # type: ignore[return-value]  # typeshed's `lru_cache` forgets the parameters

    return remember
