"""Changes of resources as the tests of the version memory want them: by version, action and times."""

from collections.abc import Sequence

import msgspec

from bridge.message import GAP_CLOSED, GAP_DETECTED, RESOURCES_CHANGED, Message, event_id

__all__ = ["change", "told", "unversioned"]


def change(
    version: int,
    created_at: float | None = None,
    action: str = "updated",
    *,
    resource_id: str | None = "1",
    resource: str = "tickets",
    received_at: float = 0.0,
    body: bytes = b"{}",
) -> Message:
    """A change; `created_at` is the version unless told otherwise, so that a higher version is a later one."""
    at = float(version) if created_at is None else created_at
    identity = event_id("default", resource, resource_id, version, action)
    return Message(identity, RESOURCES_CHANGED, resource, resource_id, version, action, at, None, received_at, body)


def unversioned(content: str, received_at: float = 0.0, body: bytes = b"{}") -> Message:
    """A change of a resource without a version; its content makes its id, as when it is read."""
    return Message(
        event_id("default", "zones", "1", None, "updated", content),
        RESOURCES_CHANGED,
        "zones",
        "1",
        None,
        "updated",
        1.0,
        None,
        received_at,
        body,
    )


def told(messages: Sequence[Message]) -> list[object]:
    """Say in short what a batch became: versions, with a flag's value where there is one, and what is told of gaps."""
    return [_told(message) for message in messages]


def _told(message: Message) -> object:
    if message.event in (GAP_DETECTED, GAP_CLOSED):
        data = msgspec.json.decode(message.body)
        words = (data.get("cause") or data["by"], data["fromVersion"], data["toVersion"])
        return (*words, *data["missing"]) if "missing" in data else words
    return (message.version, *message.flags) if message.flags else message.version
