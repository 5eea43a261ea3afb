"""The configuration that a bridge runs with, as it would be written down; what is secret is left out.

Used by the command `check`, and by `bridge.notices`, which tells one configuration from another.
"""

import hashlib
from collections.abc import Iterator

from bridge.settings.core import Settings
from bridge.settings.loading import Configuration
from bridge.settings.reference import Variable, sink_prefix, variables, written

__all__ = ["effective", "fingerprint"]

_FINGERPRINT_DIGITS = 16


def effective(configuration: Configuration) -> Iterator[str]:
    """Give a line for each variable, whether it is set or not; of a secret it says only that there is one."""
    yield from _lines(configuration.settings, variables(Settings))
    for name, (plugin, config) in configuration.sinks.items():
        yield from _lines(config, variables(plugin.config, sink_prefix(name)))


def fingerprint(configuration: Configuration) -> str:
    """Give what is the same for bridges of the same configuration; from no secret, so that none can be found by it."""
    text = "\n".join(effective(configuration))
    return hashlib.sha256(text.encode()).hexdigest()[:_FINGERPRINT_DIGITS]


def _lines(part: object, found: Iterator[Variable]) -> Iterator[str]:
    for variable in found:
        value = part
        for step in variable.path:
            value = getattr(value, step)
        shown = ("**********" if value else "") if variable.secret else written(value)
        yield f"{variable.name}={shown}"
