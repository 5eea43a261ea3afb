"""A sink as an operator names it: one that is misspelt would look like one that has nothing."""

from collections.abc import Iterable

from bridge.commands.remote import Refused

__all__ = ["check_sink"]


def check_sink(name: str, known: Iterable[str]) -> None:
    """Raise `Refused` for a sink that neither the configuration nor the journal knows."""
    names = sorted(set(known))
    if name not in names:
        raise Refused(f"there is no sink {name!r} here: there is {', '.join(names) or 'none'}")
