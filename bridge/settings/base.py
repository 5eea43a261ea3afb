"""What every part of the settings is made of: the base models and the field types.

Pure. Sinks build their own settings from these; the core's are in `bridge.settings.core`. A docstring under a field
is its description in the reference table, so it is written for the operator.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import NoDecode

__all__ = [
    "INHERITED",
    "AnyCase",
    "CommaList",
    "Hot",
    "Part",
    "Positive",
    "SinkConfig",
    "Site",
    "Switch",
    "is_loopback",
]

INHERITED = frozenset({"site", "oversize"})
"""Fields of a sink's settings that the bridge fills in and that are no variables of the sink."""


class Part(BaseModel):
    """A section of the settings: frozen, without unknown names, and without an input value in any error."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_default=True,
        use_attribute_docstrings=True,
    )


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    items = tuple(map(str.strip, value.split(",")))
    if "" in items and len(items) > 1:
        raise ValueError(f"item {items.index('') + 1} is empty")
    return items if items != ("",) else ()


CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""A list written with commas; spaces around the items are ignored, and none is empty."""


def _switched(value: object) -> object:
    if isinstance(value, str) and value not in ("true", "false"):
        raise ValueError("should be true or false")
    return value


Switch = Annotated[bool, BeforeValidator(_switched)]
"""`true` or `false`, and no other way to say so."""

AnyCase = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
"""Makes a word that is written in small letters be taken in letters of any case."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A number of seconds or of anything else that cannot be zero."""


class Hot:
    """Marks a field of the core whose change takes effect while the bridge runs: `Annotated[CommaList, Hot]`."""


_SITE = r"^[a-z0-9][a-z0-9-]{0,40}$"


def _short_name(value: object) -> object:
    if isinstance(value, str) and not re.search(_SITE, value):
        raise ValueError("should be of small letters, digits and hyphens, 41 at most, and begin with no hyphen")
    return value


Site = Annotated[str, Field(pattern=_SITE), BeforeValidator(_short_name)]
"""The name of a shop, short enough for every topic."""


class SinkConfig(Part):
    """The base of every sink's settings; what follows is filled in by the bridge and is no variable of the sink."""

    site: Site = "default"
    """The shop that the bridge serves, from `PORTOS_BRIDGE_SITE`."""

    oversize: Literal["reference", "dead_letter"] = "dead_letter"
    """What becomes of an event that is too large for the broker, from `PORTOS_BRIDGE_EVENT__OVERSIZE`."""

    window_events: int = Field(default=100, ge=1, le=100_000)
    """How many events may be on their way to the broker at once; this many may be repeated after a lost connection."""

    @property
    def sheds(self) -> bool:
        """Whether what is too large goes out as a reference."""
        return self.oversize == "reference"

    def cautions(self) -> Iterator[tuple[str, str]]:
        """Yield what works but the operator should know, as field and text; each is a warning at start.

        Data or secrets in plaintext to a host that is not loopback are one.
        """
        yield from ()


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine itself, as far as its name shows."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
