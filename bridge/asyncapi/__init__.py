"""An AsyncAPI 3.0 document of what a configuration publishes, and where.

Pure. Topics, keys, headers and payloads are those of specimens that went through the same functions as the hub's own
notifications do, so the document cannot say what the bridge does not do. Sinks add what no message shows. Used by the
command `asyncapi` and, as `/asyncapi.json`, by the admin port.
"""

from collections.abc import Mapping
from typing import Any

from bridge import __version__
from bridge.asyncapi.part import Parts
from bridge.asyncapi.sink import add_sink
from bridge.asyncapi.sort import sorts
from bridge.settings.loading import Configuration

__all__ = ["document"]

_TEXT = (
    "What portos-bridge publishes of the shop `{site}`: every event is a CloudEvent 1.0.2. An event may come again"
    " after a lost connection or a crash, with the id that it had; those of one resource come in order. Schemas are"
    " open: members and attributes may be added."
)


def document(configuration: Configuration) -> Mapping[str, Any]:
    """Describe a configuration; the same one always gives the same document, and no secret is in it."""
    settings = configuration.settings
    parts = Parts()
    found = list(sorts(settings))
    for name, (plugin, config) in configuration.sinks.items():
        add_sink(parts, name, plugin, config, found)
    return {
        "asyncapi": "3.0.0",
        "id": f"urn:portos-bridge:site:{settings.site}",
        "info": {
            "title": "portos-bridge",
            "version": __version__,
            "description": _TEXT.format(site=settings.site),
        },
        "defaultContentType": "application/json",
        **parts.written(),
    }
