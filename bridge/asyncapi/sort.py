"""Which sorts of events a configuration leads to, each with a specimen in the form in which it is published. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bridge.message import (
    DLQ_REDRIVEN,
    GAP_CLOSED,
    GAP_DETECTED,
    LICENCE_ACTIVATED,
    RESOURCES_CHANGED,
    RESYNC_REQUIRED,
    Message,
)
from bridge.portos.minimisation import bridged, minimisation
from bridge.portos.notifications import read
from bridge.settings import Settings
from bridge.settings.privacy import EVERYTHING
from bridge.source import Unreadable
from bridge.specimen import LICENCE, OTHER, RECEIVED_AT, notification, own_events

__all__ = ["Sort", "sorts"]

_ANY_RESOURCE = "tickets"


@dataclass(frozen=True, slots=True)
class Sort:
    """Events of one name and one kind of resource: specimens, and the schemas one of which their payload has.

    `open` is that the kind of resource stands for any; `event` is None where the name is not known beforehand.
    """

    event: str | None
    specimens: Sequence[Message]
    schemas: Sequence[str]
    open: bool = False


def sorts(settings: Settings) -> Iterator[Sort]:
    """Give every sort: those of the hub, resource by resource, then the bridge's own."""
    resources = bridged(settings)
    for name in resources:
        change = _published(notification(_ANY_RESOURCE if name == EVERYTHING else name), settings)
        yield Sort(RESOURCES_CHANGED, [change], _schemas(RESOURCES_CHANGED, settings), open=name == EVERYTHING)
    if settings.subscribe.licence:
        licence = _published(LICENCE, settings)
        yield Sort(LICENCE_ACTIVATED, [licence], _schemas(LICENCE_ACTIVATED, settings))
    other = "notification" if settings.event.content == "notification" else "reference"
    yield Sort(None, [_published(OTHER, settings)], tuple(dict.fromkeys((other, *_shed(settings)))))
    change = _published(notification(_ANY_RESOURCE), settings)
    own = list(own_events(change, resources or [_ANY_RESOURCE], settings.site).values())
    for event in _told(settings):
        yield Sort(event, [specimen for specimen in own if specimen.event == event], (event,))


def _schemas(event: str, settings: Settings) -> Sequence[str]:
    match settings.event.content:
        case "notification":
            return (event, *_shed(settings))
        case "resource":
            return ("resource", "reference")
    return ("reference",)


def _shed(settings: Settings) -> Sequence[str]:
    """Name the schema of what is too large for a broker."""
    return ("reference",) if settings.event.oversize == "reference" else ()


def _told(settings: Settings) -> Iterator[str]:
    """Name what the bridge may say itself."""
    yield RESYNC_REQUIRED
    contiguous = settings.version.mode == "contiguous"
    if contiguous or settings.journal.on_full == "shed":
        yield GAP_DETECTED
    if contiguous:
        yield GAP_CLOSED
    yield DLQ_REDRIVEN


def _published(argument: bytes, settings: Settings) -> Message:
    """Let a notification go the way of the hub's own, but for what would leave it out."""
    message = read(argument, settings.site, RECEIVED_AT)
    if isinstance(message, Unreadable):
        raise TypeError(f"a specimen is {message.reason}: {message.text}")
    reduced = minimisation(settings).reduced
    return message if reduced is None else reduced(message)
