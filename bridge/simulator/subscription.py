"""What a client asked to be told of: the argument of Subscribe and Unsubscribe, turned into topics.

Pure. Used by the hub; the texts of the refusals are the real server's.
"""

from functools import lru_cache

import msgspec

__all__ = ["LICENCE_ACTIVATED", "RESOURCES_CHANGED", "ArgumentError", "RefusalError", "topics", "wants"]

RESOURCES_CHANGED = "portos.resources.changed"
LICENCE_ACTIVATED = "portos.licence.activated"
_ACTIONS = ("created", "updated", "deleted")


class RefusalError(ValueError):
    """The hub's own code refuses the request; the client is told the text."""


class ArgumentError(ValueError):
    """The arguments do not fit the method; the client is told no more than that."""


class _Watched(msgspec.Struct):
    n: str | None = None
    a: list[str] | None = None


class _Request(msgspec.Struct):
    e: str | None = None
    r: list[_Watched] | None = None


def topics(arguments: tuple[object, ...]) -> frozenset[str]:
    """Give the topics of a request: an event, or event, resource and action between slashes, with `*` for all.

    Raise `ArgumentError` or `RefusalError`.
    """
    if len(arguments) != 1:
        raise ArgumentError("takes one argument")
    try:
        request = msgspec.convert(arguments[0], _Request)
    except msgspec.ValidationError as error:
        raise ArgumentError(str(error)) from error
    if request.e == LICENCE_ACTIVATED:
        return frozenset({LICENCE_ACTIVATED})
    if request.e != RESOURCES_CHANGED:
        raise RefusalError(f"Unknown event '{request.e or ''}'.")
    if request.r is None:
        return frozenset({f"{RESOURCES_CHANGED}/*/*"})
    return frozenset(
        f"{RESOURCES_CHANGED}/{watched.n or ''}/{_known(action)}"
        for watched in request.r
        for action in (_ACTIONS if watched.a is None else watched.a)
    )


def wants(subscribed: set[str], topic: str) -> bool:
    """Tell whether somebody with these topics is to be told of `topic`, which has no `*`."""
    return topic in subscribed or _everything(topic) in subscribed


@lru_cache(maxsize=1024)
def _everything(topic: str) -> str:
    event, _, rest = topic.partition("/")
    return f"{event}/*/*" if rest else event


def _known(action: str) -> str:
    if action not in _ACTIONS:
        raise RefusalError(f"Unknown action '{action}'.")
    return action
