"""The settings of the core, one model a section: `HUB__URL` is the field `url` of `Hub`.

Pure. Here are the sections of the process itself, and all of them put together; those of Portos, of what leaves the
shop and of the disk have modules of their own. Read by `bridge.settings.loading` alone; every component is given its
own section.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from bridge.settings.base import AnyCase, CommaList, Hot, Part, Positive, Site
from bridge.settings.portos import ACTIONS, Auth, Hub, Subscribe, Version
from bridge.settings.privacy import Event, Filter, Privacy
from bridge.settings.storage import LEAST_JOURNAL_BYTES, Dlq, Journal, State, largest_journal

__all__ = [
    "ACTIONS",
    "LEAST_JOURNAL_BYTES",
    "Admin",
    "Auth",
    "Delivery",
    "Dlq",
    "Event",
    "Filter",
    "Hub",
    "Journal",
    "Log",
    "Metrics",
    "Privacy",
    "Settings",
    "State",
    "Stop",
    "Subscribe",
    "Version",
    "largest_journal",
]

_SHORTEST_TOKEN = 16


class Delivery(Part):
    """How the bridge deals with every sink."""

    connect_seconds: Positive = 10
    """Longest time for connecting to a broker."""
    answer_seconds: Positive = 30
    """Longest time until a broker has confirmed a batch."""
    close_seconds: Positive = 5
    """Longest time for closing a connection in order."""
    stable_seconds: Positive = 30
    """A connection that lasted this long ends the series of failures that lengthens the pauses."""
    first_pause_seconds: Positive = 0.5
    """Upper bound of the first pause before a new attempt; it doubles with each failure in a row."""
    longest_pause_seconds: Positive = 30
    """Upper bound of all pauses; 2 seconds while an outage is younger than 30 seconds."""
    hold_pause_seconds: Positive = 60
    """Pause between attempts while an operator must act: a missing right, a missing topic."""
    cursor_every_events: int | None = Field(default=None, ge=1)
    """At most this many confirmed events may be unrecorded on disk; as many more may be repeated after a crash. Not
    set, it is each sink's `WINDOW_EVENTS`."""
    cursor_every_seconds: Positive = 0.1
    """Confirmed events are recorded on disk at least this often."""


class Admin(Part):
    """The HTTP port for probes, metrics and status."""

    host: str = "0.0.0.0"
    """Address to listen on."""
    port: int = Field(default=8080, ge=0, le=65_535)
    """Port to listen on; 0 takes any free one and logs it."""
    token: SecretStr | None = None
    """At least 16 characters that let `portos-bridge dlq` change something on a bridge that runs, and show what the hub
    sent; none lets nobody."""

    @field_validator("token")
    @classmethod
    def _hard_to_guess(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < _SHORTEST_TOKEN:
            raise ValueError(f"should have at least {_SHORTEST_TOKEN} characters, such as `openssl rand -hex 32` gives")
        return value


class Metrics(Part):
    """What the metrics may cost."""

    max_resources: int = Field(default=50, ge=1, le=1000)
    """How many resource names may be labels; all others count as `other`."""


class Log(Part):
    """What is logged, to standard error."""

    level: Annotated[Literal["debug", "info", "warning", "error"], AnyCase, Hot] = "info"
    """The least severe level that is logged."""
    format: Literal["auto", "json", "console"] = "auto"
    """`auto` is `console` on a terminal and `json` elsewhere."""


class Stop(Part):
    """What an orderly stop may take."""

    drain_seconds: float = Field(default=20, ge=0, allow_inf_nan=False)
    """How long the sinks may go on delivering what is journaled after a SIGTERM."""


class Settings(Part):
    """Everything but the sinks' own settings."""

    sinks: CommaList = Field(min_length=1)
    """The sinks to feed, by name: `kafka,mqtt`."""
    site: Site = "default"
    """Short name of the shop: part of every event's identity and source."""
    secrets_dir: Path = Path("/run/secrets/portos-bridge")
    """Folder of files that hold one secret each, named as the variable in lower case; it may be absent."""
    settings_dir: Path = Path("/etc/portos-bridge/settings")
    """Folder of files likewise, for what is no secret; it may be absent. A change in it is noticed while the bridge
    runs."""
    hub: Hub
    auth: Auth
    subscribe: Subscribe
    event: Event = Event()
    filter: Filter = Filter()
    privacy: Privacy = Privacy()
    version: Version = Version()
    journal: Journal = Journal()
    state: State = State()
    dlq: Dlq = Dlq()
    delivery: Delivery = Delivery()
    admin: Admin = Admin()
    metrics: Metrics = Metrics()
    log: Log = Log()
    stop: Stop = Stop()

    @field_validator("sinks")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a name occurs twice")
        return value
