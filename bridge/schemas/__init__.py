"""The JSON Schemas (2020-12) of all that the bridge publishes, a file each, made by `make reference`.

An event's own is named as the event, that of a notice `bridge.` and its name. `attributes` is what stands beside a
payload in binary mode, `event` the whole in structured mode; `resource` and `reference` are payloads with
`EVENT__CONTENT` of that name, `notification` is of any event that Portos may have one day.
Used by `bridge.asyncapi` and the command `schema`.
"""

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

__all__ = ["names", "schema"]

_ENDING = ".json"


def names() -> Sequence[str]:
    """Name all schemas."""
    found = (file.name for file in files(__name__).iterdir() if file.name.endswith(_ENDING))
    return sorted(name.removesuffix(_ENDING) for name in found)


def schema(name: str) -> dict[str, Any]:
    """Read the schema with this name; raises `KeyError` for one that is not there."""
    if name not in names():
        raise KeyError(name)
    read: dict[str, Any] = json.loads((files(__name__) / f"{name}{_ENDING}").read_text(encoding="utf-8"))
    return read
