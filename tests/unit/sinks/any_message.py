"""Messages with anything in them that the hub can have sent."""

from collections.abc import Iterator

import msgspec
from hypothesis import strategies as st

from bridge.message import LICENCE_ACTIVATED, RESOURCES_CHANGED, Message


def any_message(names: st.SearchStrategy[str]) -> st.SearchStrategy[Message]:
    """Draw a message whose resource and id are of these names, or ordinary, or missing."""
    moments = st.floats(0, 4e9)
    return st.builds(
        Message,
        id=st.uuids().map(str) | st.just("id"),
        event=st.sampled_from([RESOURCES_CHANGED, LICENCE_ACTIVATED]),
        resource=st.none() | st.just("tickets") | names,
        resource_id=st.none() | names | st.text("abcdef0123456789", min_size=1, max_size=70),
        version=st.none() | st.integers(0, 2**63 - 1),
        action=st.sampled_from([None, "created", "updated", "deleted", "unknown"]),
        created_at=st.none() | moments,
        expires_at=st.none() | moments,
        received_at=moments,
        body=st.just(b"{}"),
        flags=st.just(()) | st.just((("versionreset", "true"),)) | st.just((("gapfrom", "3"),)),
    )


def each_a_little_other(message: Message) -> Iterator[Message]:
    """Yield a message again and again, each time with something else in one field, and as it is in between.

    The last ones have ids around the length from which a header or property is written in another way.
    """
    others = {
        "id": "another",
        "event": "portos.resources.renamed",
        "resource": "orders",
        "resource_id": "18",
        "version": 5,
        "action": "deleted",
        "created_at": (message.created_at or 0) + 0.125,
        "received_at": message.received_at + 0.125,
    }
    for name, other in others.items():
        yield message
        yield msgspec.structs.replace(message, **{name: other})
    for length in range(50, 70):
        yield msgspec.structs.replace(message, resource_id="1" * length)
