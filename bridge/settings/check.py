"""What is wrong, or at least unwise, about settings that are right one by one.

The only question asked of the world outside is how large the journal's volume is and whether a file can be used.
Used by `bridge.settings.loading`.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bridge.errors import Rejected
from bridge.message import RESOURCES_CHANGED, example
from bridge.ports import SinkPlugin
from bridge.settings import privacy
from bridge.settings.base import SinkConfig, is_loopback
from bridge.settings.core import ACTIONS, LEAST_JOURNAL_BYTES, Settings, largest_journal
from bridge.settings.reference import PREFIX, sink_prefix
from bridge.settings.tls import TlsFiles
from bridge.tls import UnusableFile

__all__ = ["cautions", "contradictions", "unusable_files", "without_a_topic"]

_NO_TOPIC = {
    "reserved_topic": "a topic that is kept for the bridge; change its templates",
    "topic_not_allowed": "a topic that is not among those allowed; see its TOPIC_ALLOW",
}
_ASCENDING = (
    ("HUB__FIRST_PAUSE_SECONDS", "HUB__LONGEST_PAUSE_SECONDS"),
    ("DELIVERY__FIRST_PAUSE_SECONDS", "DELIVERY__LONGEST_PAUSE_SECONDS"),
    ("HUB__DOUBT_FIRST_SECONDS", "HUB__DOUBT_LONGEST_SECONDS"),
    ("HUB__DOUBT_LONGEST_SECONDS", "HUB__DOUBT_CLOSED_SECONDS"),
)


def contradictions(given: Mapping[str, object]) -> Iterator[str]:
    """Yield what cannot work, by the name of the variable to change.

    `given` holds the valid values by variable, without prefix: what is wrong with one hides no contradiction of others.
    """
    for shorter, longer in _ASCENDING:
        match given.get(shorter), given.get(longer):
            case float(first) | int(first), float(longest) | int(longest) if first > longest:
                yield f"{PREFIX}{shorter}: is longer than {longer}"
    match given:
        case {"JOURNAL__MEMORY_MAX_BYTES": int(memory), "JOURNAL__MAX_BYTES": int(most)} if memory > most:
            yield f"{PREFIX}JOURNAL__MEMORY_MAX_BYTES: is more than JOURNAL__MAX_BYTES"
    match given:
        case {"JOURNAL__PATH": Path() as path}:
            yield from _journal_place(path)
    yield from _hub_tls(given)
    for variable, why in privacy.contradictions(given):
        yield f"{PREFIX}{variable}: {why}"
    match given:
        case {"VERSION__MODE": "contiguous", **rest}:
            for variable in _gaps_of_ones_own(rest):
                yield f"{PREFIX}VERSION__MODE: cannot be contiguous, since what {variable} leaves out looks like a gap"


def cautions(settings: Settings, sinks: Mapping[str, tuple[Any, SinkConfig]]) -> Iterator[str]:
    """Yield what works but should be known: less than what was asked for, data that travel in plaintext."""
    hub = urlsplit(settings.hub.url)
    if hub.scheme == "http" and not is_loopback(hub.hostname or ""):
        yield f"{PREFIX}HUB__URL: the login and all events travel in plaintext to another host; use https where you can"
    proxy = urlsplit(settings.hub.proxy_url.get_secret_value() if settings.hub.proxy_url else "")
    if proxy.password and not is_loopback(proxy.hostname or ""):
        yield f"{PREFIX}HUB__PROXY_URL: the password for the proxy travels in plaintext to another host"
    total = shutil.disk_usage(_existing(settings.journal.path)).total
    if total and (most := largest_journal(total)) < settings.journal.max_bytes:
        yield f"{PREFIX}JOURNAL__MAX_BYTES: is more than its volume has room for, and counts as {most} there"
    if settings.hub.recycle_seconds and not settings.auth.make_before_break:
        yield f"{PREFIX}HUB__RECYCLE_SECONDS: each time is a blind window, since AUTH__MAKE_BEFORE_BREAK is off"
    for variable, text in privacy.cautions(settings.subscribe.resources, settings.filter, settings.privacy):
        yield f"{PREFIX}{variable}: {text}"
    for name, (_, config) in sinks.items():
        for field, text in config.cautions():
            yield f"{sink_prefix(name)}{field.upper()}: {text}"


def _journal_place(path: Path) -> Iterator[str]:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:  # a folder that may not be entered, for instance
        yield f"{PREFIX}JOURNAL__PATH: cannot be looked at: {error.strerror}"
        return
    if path.is_dir():
        yield f"{PREFIX}JOURNAL__PATH: is a folder; name a file in it"
    elif not _existing(path).is_dir():
        yield f"{PREFIX}JOURNAL__PATH: a part of it is a file, not a folder"
    elif (total := shutil.disk_usage(_existing(path)).total) > 0 and largest_journal(total) < LEAST_JOURNAL_BYTES:
        few = f"its volume has {total} bytes, too few for a journal and its log"
        yield f"{PREFIX}JOURNAL__PATH: {few}: take one of 16 MiB or more"


def _existing(path: Path) -> Path:
    return next((parent for parent in path.absolute().parents if parent.exists()), Path("/"))


def unusable_files(sink: str, config: SinkConfig) -> Iterator[str]:
    """Yield what is wrong with the certificates and keys of a sink."""
    if isinstance(config, TlsFiles):
        try:
            config.try_files()
        except UnusableFile as error:
            yield f"{sink_prefix(sink)}{error.field.upper()}: {error}"


def without_a_topic(sink: str, plugin: SinkPlugin[Any], config: SinkConfig, resources: Sequence[str]) -> Iterator[str]:
    """Yield which of the subscribed resources a sink has no topic for: all their events would be dead letters."""
    for place, name in enumerate(resources, start=1):
        try:
            if plugin.explain is not None and name != privacy.EVERYTHING:
                plugin.explain(config, example(RESOURCES_CHANGED, name))
        except Rejected as refusal:
            if why := _NO_TOPIC.get(refusal.reason):
                yield f"{PREFIX}SUBSCRIBE__RESOURCES: item {place} leads sink {sink} to {why}"


def _hub_tls(given: Mapping[str, object]) -> Iterator[str]:
    files = {name: given.get(f"HUB__{name.upper()}") for name in TlsFiles.model_fields}
    if str(given.get("HUB__URL", "")).startswith("http:"):
        for name in (name for name, value in files.items() if value):
            yield f"{PREFIX}HUB__{name.upper()}: is of no use, since HUB__URL is not https"
        if given.get("HUB__PROXY_URL"):
            yield f"{PREFIX}HUB__PROXY_URL: needs a HUB__URL with https, since proxies pass on nothing else unseen"
    try:
        TlsFiles.model_validate(files).try_files()
    except UnusableFile as error:
        yield f"{PREFIX}HUB__{error.field.upper()}: {error}"


def _gaps_of_ones_own(given: Mapping[str, object]) -> Iterator[str]:
    """Name what leaves out some changes of a resource, but not all of them."""
    match given:
        case {"SUBSCRIBE__ACTIONS": tuple(actions)} if len(actions) < len(ACTIONS):
            yield "SUBSCRIBE__ACTIONS"
    if given.get("FILTER__EXCLUDE_SENDERS"):
        yield "FILTER__EXCLUDE_SENDERS"
