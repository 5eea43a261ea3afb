"""Notifications as the hub sends them: built from pieces of bytes, so that a burst costs little beside the sending.

Pure. The order of the keys is that of the real server's recordings. Used by the simulator; facts and names are those of
the vendor's documentation (https://developers.portos.sk, "SignalR").
"""

from functools import lru_cache

from bridge.simulator.notation import encoded, moment

__all__ = ["ACTIONS", "LICENCE", "Actor", "licence_activated", "resource_changed", "sample"]

ACTIONS = ("created", "updated", "deleted")

Actor = tuple[str, str]
"""Whose action caused a change: unique user name and device."""

LICENCE = encoded(
    {
        "shopId": 700123,
        "activationTime": "2025-03-04T09:15:59Z",
        "expirationTime": "2031-02-23T23:00:00Z",
        "verificationTime": "2025-03-04T09:16:00.120Z",
        "verificationInterval": "1.00:00:00",
        "features": [
            {
                "productSku": "MaxDeviceCount",
                "rawValue": "3",
                "name": "Max. počet zariadení",
                "activationTime": "2025-03-04T09:15:59Z",
                "expirationTime": "2031-02-23T23:00:00Z",
            }
        ],
        "remainingDays": 2181,
        "isExpired": False,
    }
)
_SENDER = b'"s":{"c":"SYSTEM","u":{"u":"SYSTEM","d":"SYSTEM","f":null}},"r":null,"ca":"'
_NAMED_BY_NAME = frozenset({"devices", "stocks", "zones"})


def resource_changed(  # noqa: PLR0913 - the notification's own fields
    resource: str,
    action: str,
    resource_id: str,
    version: int,
    objects: bytes,
    *,
    actor: Actor,
    at: float,
    expires: float | None = None,
) -> bytes:
    """Tell that a resource changed; `objects` is the JSON of `p.r`, times are seconds since the epoch."""
    return b"".join(
        (
            b'{"e":"portos.resources.changed",',
            _SENDER,
            moment(at).encode(),
            b'","ea":',
            b"null" if expires is None else encoded(moment(expires)),
            _payload_head(resource, action, actor),
            _identity(resource_id),
            _payload_middle(resource),
            b"%d" % version,
            b'},"r":',
            objects,
            b"}}",
        )
    )


def licence_activated(at: float) -> bytes:
    """Tell that the licence was activated."""
    return b'{"e":"portos.licence.activated",%b%b","ea":null,"p":%b}' % (_SENDER, moment(at).encode(), LICENCE)


def sample(resource: str, resource_id: str, version: int, size: int) -> bytes:
    """Make a resource of about `size` bytes, the same that the real stand-in makes, with nothing in it but filling."""
    before_id, before_version = _sample_pieces(resource, size)
    return b"%b%b%b%d}" % (before_id, _identity(resource_id), before_version, version)


@lru_cache(maxsize=1024)
def _payload_head(resource: str, action: str, actor: Actor) -> bytes:
    user, device = actor
    who = encoded({"u": user, "d": device, "f": None})
    return b',"p":{"u":%b,"n":%b,"a":%d,"i":{"i":' % (who, encoded(resource), ACTIONS.index(action) + 1)


@lru_cache(maxsize=1024)
def _payload_middle(resource: str) -> bytes:
    return b',"n":%b,"v":' % encoded(resource)


@lru_cache(maxsize=16_384)
def _identity(resource_id: str) -> bytes:
    return encoded(resource_id)


@lru_cache(maxsize=256)
def _sample_pieces(resource: str, size: int) -> tuple[bytes, bytes]:
    """Give what stands before the id, and what stands between it and the version."""
    fields: dict[str, object] = {"name" if resource in _NAMED_BY_NAME else "id": "\x01"}
    if resource == "tickets":
        fields |= {
            "state": "Opened",
            "type": "CashRegister",
            "name": "14",
            "openDate": "2025-03-04T08:51:20.76Z",
            "purchaseType": "WalkIn",
            "location": {"zoneName": "Terasa", "tableName": "T4"},
            "employee": {"name": "Čašník", "userName": "1", "featureName": None},
        }
    bare = encoded(fields | {"comment": "", "_v": 1}).decode()
    filling = "x" * max(0, size - len(bare) - 20)
    text = encoded(fields | {"comment": filling, "_v": 1})
    before_id, rest = text.split(b'"\\u0001"')
    return before_id, rest.removesuffix(b"1}")
