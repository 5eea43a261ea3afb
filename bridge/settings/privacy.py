"""What leaves the shop: the settings of content, filters and privacy, and what of them cannot be done.

Pure. Names of resources are compared whatever their letter case, and so are the fields of a path: nobody has documented
how Portos spells them, and a rule must not fail for that. A problem names an item by its place in its list, since no
value of a variable stands in any.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Literal
from unicodedata import normalize

from pydantic import SecretStr, field_validator

from bridge.cache import remembered
from bridge.settings.base import CommaList, Hot, Part

__all__ = [
    "EVERYTHING",
    "LICENCE",
    "Event",
    "Filter",
    "Privacy",
    "cautions",
    "contradictions",
    "fields_of",
    "same_name",
]

EVERYTHING = "*"
"""Written as the only resource to subscribe to, it is every resource there is."""
LICENCE = "licence"
"""What stands for a licence where a path begins with the name of a resource."""

_SECRET_BEARING = ("apikeys", "sessions", "settings")
_SHORTEST_KEY = 32
_NO_PART_OF_A_PATH = "[]*"
_LISTS_ARE_WALKED = "name a list alone, since a path goes through all that is in it: tickets.items.name"
_RULES = ("PRIVACY__REDACT", "PRIVACY__PSEUDONYMISE")


class Event(Part):
    """What of a notification is published."""

    content: Literal["notification", "resource", "reference"] = "notification"
    """`notification`: what the hub sent; `resource`: the resource in it, redacted; `reference`: only which one."""
    oversize: Literal["reference", "dead_letter"] = "reference"
    """What becomes of an event that is too large for a broker: as `reference` it goes out without its body and says so,
    as `dead_letter` it is kept, whole, until somebody has it sent again."""


class Filter(Part):
    """What of all that the hub sends is left out, before it is stored."""

    exclude_resources: Annotated[CommaList, Hot] = ()
    """Names of resources to leave out of `SUBSCRIBE__RESOURCES=*`."""
    exclude_ids: Annotated[CommaList, Hot] = ()
    """Ids to leave out, whatever the resource; they may hold `*`, `?` and `[...]`."""
    exclude_senders: Annotated[CommaList, Hot] = ()
    """Users and devices whose changes are left out, by name, such as those of a program that writes to Portos."""

    @field_validator("exclude_resources")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if EVERYTHING in value:
            raise ValueError("should be names of resources, without `*`")
        if LICENCE in map(same_name, value):
            raise ValueError("licence is no resource: its events are switched off by SUBSCRIBE__LICENCE")
        return value

    @field_validator("exclude_ids")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(set(glob) == {EVERYTHING} for glob in value):
            raise ValueError("would leave out everything: an item is `*` alone")
        return value

    @field_validator("exclude_senders")
    @classmethod
    def _in_full(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(EVERYTHING in name for name in value):
            raise ValueError("should be names in full, since `*` stands for nothing here")
        return value


class Privacy(Part):
    """What must not leave the shop, and is not stored either."""

    acknowledge_resources: CommaList = ()
    """Resources that carry secrets (`apikeys`, `settings`, `sessions`) are refused unless they are named here too."""
    redact: CommaList = ()
    """Fields to replace by `null`, as `resource.field.field`: `customers.email,tickets.customer.phone`."""
    pseudonymise: CommaList = ()
    """Fields to replace by a keyed hash, written likewise; the same value is the same hash, wherever it stands."""
    hmac_key: SecretStr | None = None
    """Key of these hashes, at least 32 characters; with another key all of them are others."""


@remembered(1024)
def same_name(name: str) -> str:
    """Give what all spellings of a resource or a field have in common: letter case and composition do not count."""
    return normalize("NFC", normalize("NFC", name).strip().casefold())  # casefold may take letters apart


def fields_of(path: str) -> tuple[str, ...]:
    """Take a path apart: a resource, then its fields, each as `same_name` gives it."""
    return tuple(map(same_name, path.split(".")))


def contradictions(given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield what cannot be done, as variable and reason; `given` holds the valid values by variable, without prefix."""
    match given:
        case {"SUBSCRIBE__RESOURCES": tuple(resources), "FILTER__EXCLUDE_RESOURCES": tuple(excluded), **rest}:
            gone = frozenset(map(same_name, excluded))
            left = [name for name in map(same_name, resources) if name not in gone]
            if not left:
                yield "FILTER__EXCLUDE_RESOURCES", "leaves nothing of what SUBSCRIBE__RESOURCES names"
            if isinstance(acknowledged := rest.get("PRIVACY__ACKNOWLEDGE_RESOURCES"), tuple):
                yield from _unacknowledged(left, {*gone, *map(same_name, acknowledged)})
            if rest.get("SUBSCRIBE__LICENCE") is not False:
                left.append(LICENCE)
            for variable in _RULES:
                yield from _of_paths(variable, _paths(given, variable), left, gone)
    yield from _without_effect(given)
    yield from _ruled_twice(*(_paths(given, variable) for variable in _RULES))
    match given:
        case {"PRIVACY__PSEUDONYMISE": tuple(paths), "PRIVACY__HMAC_KEY": None | SecretStr() as key}:
            yield from _of_the_key(key, needed=bool(paths))


def cautions(resources: Sequence[str], filters: Filter, privacy: Privacy) -> Iterator[tuple[str, str]]:
    """Yield what works but should be known, as variable and text."""
    if EVERYTHING in resources:
        yield "SUBSCRIBE__RESOURCES", "`*` names no resource to the hub; Portos does not document what it sends then"
    else:
        yield from _not_subscribed("FILTER__EXCLUDE_RESOURCES", filters.exclude_resources, resources)
        yield from _not_subscribed("PRIVACY__ACKNOWLEDGE_RESOURCES", privacy.acknowledge_resources, resources)
    for variable, paths in zip(_RULES, (privacy.redact, privacy.pseudonymise), strict=True):
        for place, path in enumerate(paths, start=1):
            if fields_of(path)[1:] == ("id",):
                yield (
                    variable,
                    f"item {place}: the id is the key of the events and stands in their headers all the same",
                )


def _not_subscribed(variable: str, names: Sequence[str], resources: Sequence[str]) -> Iterator[tuple[str, str]]:
    subscribed = frozenset(map(same_name, resources))
    for place, name in enumerate(names, start=1):
        if same_name(name) not in subscribed:
            yield variable, f"item {place} has no effect, since SUBSCRIBE__RESOURCES does not name it"


def _paths(given: Mapping[str, object], variable: str) -> Sequence[tuple[str, ...]]:
    paths = given.get(variable)
    return [fields_of(path) for path in paths] if isinstance(paths, tuple) else []


def _unacknowledged(left: Sequence[str], known: Collection[str]) -> Iterator[tuple[str, str]]:
    everything = EVERYTHING in left
    risky = [name for name in _SECRET_BEARING if (everything or name in left) and name not in known]
    if risky:
        how = "or be left out by FILTER__EXCLUDE_RESOURCES, " if everything else ""
        why = f"must name {', '.join(risky)} too, {how}since they may hold keys or passwords and are subscribed"
        yield "PRIVACY__ACKNOWLEDGE_RESOURCES", why


def _of_paths(
    variable: str, paths: Sequence[tuple[str, ...]], left: Collection[str], gone: Collection[str]
) -> Iterator[tuple[str, str]]:
    for place, path in enumerate(paths, start=1):
        if len(path) < 2 or "" in path or EVERYTHING in path:  # noqa: PLR2004 - a resource and a field of it
            yield variable, f"item {place} should be resource.field, with further fields behind further dots"
        elif any(sign in field for field in path for sign in _NO_PART_OF_A_PATH):
            yield variable, f"item {place} holds `[`, `]` or `*`; {_LISTS_ARE_WALKED}"
        elif path[0] in gone or (path[0] not in left and EVERYTHING not in left):
            yield variable, f"item {place} is a field of what is not subscribed, or left out"


def _without_effect(given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    match given:
        case {"EVENT__CONTENT": "notification"}:
            why = "cannot be done, since EVENT__CONTENT=notification is what the hub sent, byte for byte; take resource"
        case {"EVENT__CONTENT": "reference"}:
            why = "is of no use, since EVENT__CONTENT=reference holds no fields"
        case _:
            return
    for variable in _RULES:
        if given.get(variable):
            yield variable, why


def _ruled_twice(
    redact: Sequence[tuple[str, ...]], pseudonymise: Sequence[tuple[str, ...]]
) -> Iterator[tuple[str, str]]:
    """Find fields with two rules: the same one, or one within the other."""
    rules = [("PRIVACY__REDACT", place, path) for place, path in enumerate(redact, start=1)]
    rules += [("PRIVACY__PSEUDONYMISE", place, path) for place, path in enumerate(pseudonymise, start=1)]
    for index, (variable, place, path) in enumerate(rules):
        for other, other_place, earlier in rules[:index]:
            shorter = min(len(path), len(earlier))
            if shorter > 1 and path[:shorter] == earlier[:shorter]:
                yield variable, f"item {place} is, holds or is part of item {other_place} of {other}"


def _of_the_key(key: SecretStr | None, *, needed: bool) -> Iterator[tuple[str, str]]:
    if key is None:
        if needed:
            yield "PRIVACY__HMAC_KEY", "must be set, since PRIVACY__PSEUDONYMISE is"
    elif not needed:
        yield "PRIVACY__HMAC_KEY", "is of no use, since PRIVACY__PSEUDONYMISE is not set"
    elif len(key.get_secret_value()) < _SHORTEST_KEY:
        yield "PRIVACY__HMAC_KEY", f"should have at least {_SHORTEST_KEY} characters"
