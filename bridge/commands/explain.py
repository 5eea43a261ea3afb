"""`portos-bridge explain`: show what becomes of a notification, without hub, journal or broker.

What it shows is what would leave: never the notification itself, and no secret of the settings.
"""

import json
import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from bridge.commands.configuration import configured
from bridge.commands.output import say
from bridge.errors import Rejected
from bridge.message import Message
from bridge.portos.content import Content
from bridge.portos.minimisation import minimisation
from bridge.portos.notifications import read
from bridge.ports import Explanation
from bridge.scope import Minimisation
from bridge.settings import Settings
from bridge.settings.core import Privacy, Subscribe
from bridge.settings.loading import Configuration
from bridge.settings.privacy import EVERYTHING, LICENCE, fields_of, same_name
from bridge.source import Unreadable
from bridge.specimen import notification

__all__ = ["explain"]

_STANDARD_INPUT = "-"
_SAMPLE_RESOURCE = "tickets"


def explain(file: str | None) -> int:
    """Explain the notification in a file (`-` is standard input) or a sample; 1 if it cannot be read."""
    configuration = configured()
    settings = configuration.settings
    try:
        argument = _sample(settings.subscribe) if file is None else _given(file)
    except OSError as error:
        print(f"portos-bridge: {file}: {error.strerror}", file=sys.stderr)  # noqa: T201 - the command's output
        return 1
    found = read(argument, settings.site, time.time())
    steps = minimisation(settings)
    if isinstance(found, Unreadable):
        say(_of_a_record(found, steps))
        return 1
    sample = () if file else ("a sample, since no file was named",)
    say(chain(sample, _of_a_message(found, steps, configuration)))
    return 0


def _sample(subscribe: Subscribe) -> bytes:
    """Make a change of a ticket, by the name of a resource that is subscribed."""
    names = subscribe.resources
    resource = _SAMPLE_RESOURCE if _SAMPLE_RESOURCE in names or EVERYTHING in names else names[0]
    return notification(resource)


def _given(file: str) -> bytes:
    content = sys.stdin.buffer.read() if file == _STANDARD_INPUT else Path(file).read_bytes()
    return content.strip()


def _of_a_record(record: Unreadable, steps: Minimisation) -> Iterator[str]:
    kept = steps.shortened(record) if steps.shortened else record
    yield f"unreadable    {record.reason}: {kept.text}"
    yield f"kept          as a dead letter of the source, {len(kept.body)} of its {len(record.body)} bytes"


def _of_a_message(message: Message, steps: Minimisation, configuration: Configuration) -> Iterator[str]:
    settings = configuration.settings
    yield f"event         {message.event}, {len(message.body)} bytes"
    if message.resource is not None:
        version = "without a version" if message.version is None else f"version {message.version}"
        yield f"resource      {message.resource}, id {message.resource_id}, {version}, {message.action}"
    yield f"id            {message.id}"
    subscribed = message.resource is None or {message.resource, EVERYTHING} & set(settings.subscribe.resources)
    if not subscribed:
        yield "subscribed    no: SUBSCRIBE__RESOURCES does not name it, so that the hub should never send it"
    reason = steps.filtered(message) if steps.filtered else None
    if reason is not None:
        yield f"filter        left out, reason {reason}: no sink gets it"
        return
    yield "filter        passes"
    published = steps.reduced(message) if steps.reduced else message
    yield from _of_the_content(message, published, settings)
    yield from _of_the_sinks(published, configuration)


def _of_the_content(message: Message, published: Message, settings: Settings) -> Iterator[str]:
    yield f"content       {settings.event.content}, {len(published.body)} bytes"
    privacy, name = settings.privacy, same_name(message.resource or LICENCE)
    for doing, paths in (("redact", privacy.redact), ("pseudonymise", privacy.pseudonymise)):
        for path in paths:
            if fields_of(path)[0] != name:
                continue
            alone = Privacy.model_validate({doing: (path,), "hmac_key": privacy.hmac_key})
            changes = _reduced(message, settings, alone) != _reduced(message, settings, Privacy())
            yield f"{doing:<13} {path}: {'replaced' if changes else 'nothing there to replace'}"


def _reduced(message: Message, settings: Settings, privacy: Privacy) -> object:
    """Give what is left by these rules alone, read, since a rule may change how it is spaced."""
    body = Content(settings.subscribe, privacy, references=False).reduced(message).body
    return json.loads(body, parse_int=str, parse_float=str)  # a number may be out of any range


def _of_the_sinks(message: Message, configuration: Configuration) -> Iterator[str]:
    for name, (plugin, config) in configuration.sinks.items():
        yield ""
        yield f"sink {name}"
        if plugin.explain is None:
            yield "  does not explain itself"
            continue
        try:
            yield from _of_a_sink(plugin.explain(config, message))
        except Rejected as refusal:
            yield f"  refused     {refusal.reason}: {refusal}; it becomes a dead letter"


def _of_a_sink(said: Explanation) -> Iterator[str]:
    yield f"  topic       {said.topic}"
    if said.key is not None:
        yield f"  key         {_shown(said.key)}"
    for header, text in said.headers:
        yield f"  header      {header}: {text}"
    yield f"  payload     {_shown(said.payload)}"


def _shown(data: bytes) -> str:
    return data.decode(errors="backslashreplace")
