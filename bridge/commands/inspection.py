"""What each sink's broker has for the events to come, asked before there are any: a part of `check --connect`.

A sink is asked with an event of each kind that the settings lead to, and knows itself where it would send them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any

from bridge.message import LICENCE_ACTIVATED, RESOURCES_CHANGED, TOLD, Message, example
from bridge.portos.minimisation import bridged
from bridge.ports import Finding, Inspect
from bridge.settings import Settings, SinkConfig
from bridge.settings.privacy import EVERYTHING

__all__ = ["examples", "inspected"]

_UNKNOWN = "portos.unknown"
"""Stands for what a later Portos may send."""


async def inspected(
    inspect: Inspect[Any], config: SinkConfig, settings: Settings, tell: Callable[[Finding], None], *, create: bool
) -> bool:
    """Tell each finding of a sink as it comes, and give whether none is a failure; raises `Unavailable`."""
    well = True
    async with aclosing(inspect(config, examples(settings), create=create)) as findings:
        async for finding in findings:
            tell(finding)
            well = well and finding.rank != "failed"
    if EVERYTHING in settings.subscribe.resources:
        text = "SUBSCRIBE__RESOURCES is *: what resources there are, and so where their events go, nobody knows yet"
        tell(Finding("warning", text))
    return well


def examples(settings: Settings) -> Sequence[Message]:
    """Make an event of each kind that the settings let through, the bridge's own and one that it does not know."""
    return list(_examples(settings))


def _examples(settings: Settings) -> Iterator[Message]:
    for resource in bridged(settings):
        if resource != EVERYTHING:
            for action in settings.subscribe.actions:
                yield example(RESOURCES_CHANGED, resource, action)
    if settings.subscribe.licence:
        yield example(LICENCE_ACTIVATED)
    for event in (*TOLD, _UNKNOWN):
        yield example(event)
