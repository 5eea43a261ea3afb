"""Which sinks are installed: the entry points of the group `portos_bridge.sinks`, by name.

The core knows no sink by name. A sink is imported only when its loader is called, so that nobody pays for a client
library that is not used. Used by the command line, which hands the result to `bridge.settings.loading`.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeGuard

from bridge.errors import ConfigError
from bridge.ports import SinkPlugin
from bridge.settings import SinkConfig

__all__ = ["GROUP", "Plugins", "installed"]

GROUP = "portos_bridge.sinks"

Plugins = Mapping[str, Callable[[], SinkPlugin[Any]]]
"""Installed sinks by name; calling one imports it, or raises `ConfigError` if it is broken."""


def installed() -> Plugins:
    """Find the installed sinks without importing any."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, []).append(entry)
    return {name: _loader(name, entries) for name, entries in sorted(found.items())}


def _loader(name: str, entries: list[EntryPoint]) -> Callable[[], SinkPlugin[Any]]:
    def load() -> SinkPlugin[Any]:
        targets = sorted({entry.value for entry in entries})
        if len(targets) > 1:
            raise _broken(name, f"it is installed more than once ({', '.join(targets)}); remove all but one")
        try:
            plugin = entries[0].load()
        except Exception as error:
            raise _broken(name, f"importing {targets[0]} failed with {error!r}; reinstall it") from error
        if not _is_plugin(plugin):
            raise _broken(name, f"{targets[0]} is no SinkPlugin with a SinkConfig; ask its author")
        return plugin

    return load


def _is_plugin(found: object) -> TypeGuard[SinkPlugin[Any]]:
    if not isinstance(found, SinkPlugin):
        return False
    config: object = found.config
    return isinstance(config, type) and issubclass(config, SinkConfig)


def _broken(name: str, why: str) -> ConfigError:
    return ConfigError([f"PORTOS_BRIDGE_SINKS: the sink {name} cannot be used: {why}"])
