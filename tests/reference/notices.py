"""What the bridge says of itself over MQTT, as `docs/events.md` shows it: made by the code, as of a fixed moment."""

import json
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from pydantic import SecretStr

from bridge.health import Heartbeat
from bridge.labels import JOURNAL, SOURCE
from bridge.link import Gauges, Link, Times
from bridge.message import rfc3339
from bridge.metrics import Catalogue
from bridge.notices import Notices
from bridge.policy import Pauses
from bridge.ports import OFFLINE
from bridge.settings import Settings
from bridge.settings.core import Auth, Hub, Subscribe
from bridge.settings.effective import Effective
from bridge.settings.loading import Configuration
from bridge.source import SourceActivity
from bridge.status import Status

__all__ = ["documents", "section"]

_AT = 1_790_000_000.0
_SINKS = ("kafka", "mqtt")
_LEFT = {"kafka": 1204, "mqtt": 0}


def documents() -> Mapping[str, Any]:
    """Give each notice as the MQTT broker of a bridge gets it whose Kafka cluster is away, and `offline`."""
    settings = Settings(
        sinks=_SINKS,
        hub=Hub(url="https://portos.example"),
        auth=Auth(username="950", password=SecretStr("-"), device_name="BRIDGE1"),
        subscribe=Subscribe(resources=("tickets", "orders")),
    )
    links = {name: _link(name) for name in ("hub", *_SINKS)}
    links["hub"].connected = links["mqtt"].connected = True
    journal: Any = SimpleNamespace(
        failure=None, busy_seconds=0.0, room=_ROOM, lag=_lag, letters=SimpleNamespace(numbers=_letters)
    )
    sinks = {name: links[name] for name in _SINKS}
    status = Status(settings, _AT, lambda: False, Heartbeat(), SourceActivity(), links["hub"], sinks, journal)
    catalogue = Catalogue(settings.site, _SINKS, (), 0)
    catalogue.count_window("network", 41.25)
    report = Notices(Effective(Configuration(settings, {})), status, catalogue, lambda: 0).report("mqtt")
    made = {notice.name: json.loads(notice.body) for notice in (report.state(), report.info(), report.health())}
    # What would change with the clock, the machine, or the next variable.
    made["info"] |= {"host": "shop-1", "sinks": list(_SINKS), "configuration": "9b4d5f4e0b6fa8c1"}
    made["health"] |= {"at": rfc3339(_AT + 60)}
    made["health"]["sinks"]["kafka"]["lagSeconds"] = 58.317
    return made | {"offline": json.loads(OFFLINE.body)}


_ROOM = SimpleNamespace(full=False, lacking="", used_bytes=0, capacity_bytes=1)


def _lag(sink: str) -> Any:
    return SimpleNamespace(events=_LEFT[sink], body_bytes=1000 * _LEFT[sink], oldest_at=None)


def _letters(sink: str) -> Mapping[str, int]:
    return {"events": {"kafka": 2, JOURNAL: 0, SOURCE: 1}.get(sink, 0)}


def _link(name: str) -> Link:
    nothing = Gauges(lambda _: None, lambda _: None, lambda _: None, lambda _: None)
    made = Link(name, Times(1, 1, 1, Pauses(1, 1, 1)), nothing)
    made.since = _AT
    return made


def section() -> Iterator[str]:
    """Write the section of the page."""
    made = documents()
    yield "## What the bridge says of itself over MQTT"
    yield ""
    yield (
        "These are no events: the newest replaces the one before, and they come first on every connection. `state` and"
        " `info` are retained. `sinks/mqtt/README.md` says when the state is which; `ANNOUNCE=false` leaves them out."
    )
    texts = {
        "state": "`online`, `degraded`, or `offline`, which the broker says by itself (will) once the bridge is gone",
        "info": "which bridge it is; `configuration` changes with any setting, and is made from no secret",
        "health": "every 30 seconds, and with each change of the state: `because` says why it is degraded",
    }
    for name, text in texts.items():
        yield ""
        yield f"### `{{base}}/bridge/{name}`"
        yield ""
        yield f"{text[0].upper()}{text[1:]}."
        yield ""
        yield from ("```json", json.dumps(made[name], indent=2), "```")
    yield ""
    yield (
        "`blindSeconds` is the sum since the start of what was told in `portos.bridge.resync.required`; `openGaps`,"
        " `deadLetters` and each sink's lag are as of `at`. `deadLetters` counts those of a sink, `source` what the hub"
        " sent that is no event, and `journal` what was damaged."
    )
