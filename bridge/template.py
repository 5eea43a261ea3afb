"""Templates of topics and keys: literal text and placeholders in braces, filled in once.

Pure. Sinks check their templates with it when their settings are read, and fill them in for each resource. A name that
is filled in comes from outside: it chooses its own place in the result and nothing else, since what is filled in is
never read as a template again, and two names are kept apart by a character that no encoded name has.
"""

import re
from collections.abc import Collection, Mapping, Sequence

__all__ = [
    "ENCODED",
    "allows",
    "filled",
    "literals",
    "may_allow",
    "placeholders",
    "problem_of_allowed",
    "too_close",
    "unknown",
]

ENCODED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%")
"""What `bridge.message.percent_encoded` writes; a site is made of some of it."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_REST = "*"
_WILDCARDS_OF_MQTT = frozenset("+#")  # which people write where ours is meant


def placeholders(template: str) -> list[str]:
    """Name the placeholders of a template, in order, each as often as it occurs."""
    return _PLACEHOLDER.findall(template)


def literals(template: str) -> list[str]:
    """Give the text before, between and behind the placeholders: one more than there are of them."""
    return _PLACEHOLDER.split(template)[::2]


def filled(template: str, values: Mapping[str, str]) -> str:
    """Fill in the placeholders, each of which needs a value."""
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template)


def unknown(template: str, known: Collection[str]) -> str | None:
    """Say that a template holds a placeholder that is not known, or half of one; None if it does not."""
    if set(placeholders(template)) <= set(known) and not set("{}") & set("".join(literals(template))):
        return None
    return f"only {', '.join(f'{{{name}}}' for name in sorted(known))} can be filled in"


def too_close(template: str, encoded: Collection[str], separator: str) -> str | None:
    """Say that the values of a template cannot be read from the result, since two of them stand too close; or None.

    Values are made of `encoded`. Every other character occurs in the literals alone, so that with one of them between
    any two placeholders different values give different results; `separator` is such a character, in words.
    """
    if any(set(text) <= set(encoded) for text in literals(template)[1:-1]):
        return f"two placeholders need {separator} between them, else different names could give the same"
    return None


def allows(allowed: Sequence[str], topic: str) -> bool:
    """Say whether a topic is one of these, or begins like one of those that end in `*`; no list allows everything."""
    return not allowed or any(
        topic.startswith(item[:-1]) if item.endswith(_REST) else topic == item for item in allowed
    )


def may_allow(allowed: Sequence[str], beginning: str) -> bool:
    """Say whether a topic that begins so can be allowed at all."""
    texts = [item.removesuffix(_REST) for item in allowed]
    return not allowed or any(text.startswith(beginning) or beginning.startswith(text) for text in texts)


def problem_of_allowed(allowed: Sequence[str]) -> str | None:
    """Say what is wrong with such a list, or None."""
    for place, item in enumerate(allowed, start=1):
        if item == _REST:
            return f"item {place} would allow everything"
        if set(item) & _WILDCARDS_OF_MQTT:
            return f"item {place} holds {' or '.join(sorted(_WILDCARDS_OF_MQTT))}; the wildcard here is * at the end"
        if _REST in item[:-1]:
            return f"item {place} holds a * that is not its end"
    return None
