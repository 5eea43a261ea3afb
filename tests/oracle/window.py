"""A told window as a consumer reads it: strictly, from the record alone, sharing no code with the bridge."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tests.oracle.record import Received

__all__ = ["CAUSES", "Window", "is_window", "moment", "read_window", "windows"]

KAFKA_TOPIC = "portos.bridge.gaps"
MQTT_SUFFIX = "/bridge/resync"
TYPE = "portos.bridge.resync.required"
CAUSES = frozenset(
    {
        *("first_start", "unclean_start", "stopped", "closed", "silence", "network", "unauthorized", "protocol"),
        *("oversize", "planned", "shed", "deaf", "corruption", "journal_lost", "trimmed", "other"),
    }
)
BEFORE_ALL_TIME = frozenset({"first_start", "journal_lost", "corruption", "trimmed"})
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when something may have been missed, in seconds since the epoch; `since` is None before all time."""

    id: str
    since: float | None
    until: float
    cause: str
    resources: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """How long it is, 0 where it has no beginning."""
        return 0.0 if self.since is None else self.until - self.since

    def __str__(self) -> str:
        return f"{self.cause} of {self.seconds:.3f} s until {self.until:.3f}"


def is_window(record: Received) -> bool:
    """Say whether a record stands where windows are told, whatever it holds."""
    return record.topic == KAFKA_TOPIC or record.topic.endswith(MQTT_SUFFIX)


def moment(text: object) -> float:
    """Read RFC 3339 in UTC with milliseconds; anything else is a ValueError."""
    if not isinstance(text, str) or not _MOMENT.fullmatch(text):
        raise ValueError(f"{text!r} is not RFC 3339 in UTC with milliseconds")
    return datetime.fromisoformat(text).timestamp()


def read_window(record: Received) -> Window:
    """Read a told window; raise ValueError with what is wrong about it."""
    data = json.loads(record.value)
    try:
        told, cause, resources = data["window"], data["cause"], data["resources"]
        identity, since, until = told["id"], told["from"], moment(told["to"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{record.value!r} is no told window") from error
    window = Window(identity, None if since is None else moment(since), until, cause, tuple(resources))
    if not isinstance(resources, list) or not resources:
        raise ValueError(f"{window} is of the resources {resources!r}")
    if cause not in CAUSES:
        raise ValueError(f"the cause {cause!r} is not of the closed set")
    if (since is None and cause not in BEFORE_ALL_TIME) or (since is not None and cause == "first_start"):
        raise ValueError(f"{window} begins with {since!r}")
    if window.since is not None and window.since > until:
        raise ValueError(f"{window} ends before it begins")
    attributes = {name: record.attributes.get(name) for name in ("specversion", "type", "id")}
    if attributes != {"specversion": "1.0", "type": TYPE, "id": identity}:
        raise ValueError(f"the window {identity} has the attributes {attributes}")
    moment(record.attributes.get("recordedtime"))
    return window


def windows(records: Iterable[Received]) -> list[Window]:
    """Read all windows that can be read, in the order of the records, repeats included."""
    found = []
    for record in filter(is_window, records):
        try:
            found.append(read_window(record))
        except ValueError:  # which is for the judge to name
            continue
    return found
