"""The configuration that a bridge runs with, as it would be written down; what is secret is left out.

Used by the command `check`, and by whoever shows or tells which configuration a bridge has.
"""

import hashlib
from collections.abc import Iterator, Sequence

from pydantic import BaseModel

from bridge.settings.core import Settings
from bridge.settings.loading import Configuration
from bridge.settings.reference import Variable, sink_prefix, value_of, variables, written

__all__ = ["Effective", "effective", "fingerprint"]

_FINGERPRINT_DIGITS = 16


class Effective:
    """The configuration that is in effect just now, what tells it from others, and which variables wait for a restart.

    `rejected` is all that is wrong with what was read last, where it was not taken up, and `unanswered` names what does
    not answer, so that nobody knows whether it has changed.
    Changed by `bridge.reload` alone; whoever reads it may do so at any time.
    """

    def __init__(self, configuration: Configuration) -> None:
        self.unanswered = ""
        self.turn_to(configuration, ())

    def turn_to(self, configuration: Configuration, restart_needed: Sequence[str]) -> None:
        """Take another configuration for the one in effect."""
        self.configuration = configuration
        self.fingerprint = fingerprint(configuration)
        self.restart_needed = restart_needed
        self.rejected: Sequence[str] = ()

    def reject(self, problems: Sequence[str]) -> None:
        """Stay as it is, though something else was read."""
        self.rejected = problems


def effective(configuration: Configuration) -> Iterator[str]:
    """Give a line for each variable, whether it is set or not; of a secret it says only that there is one."""
    yield from _lines(configuration.settings, variables(Settings))
    for name, (plugin, config) in configuration.sinks.items():
        yield from _lines(config, variables(plugin.config, sink_prefix(name)))


def fingerprint(configuration: Configuration) -> str:
    """Give what is the same for bridges of the same configuration; from no secret, so that none can be found by it."""
    text = "\n".join(effective(configuration))
    return hashlib.sha256(text.encode()).hexdigest()[:_FINGERPRINT_DIGITS]


def _lines(part: BaseModel, found: Iterator[Variable]) -> Iterator[str]:
    for variable in found:
        value = value_of(part, variable)
        shown = ("**********" if value else "") if variable.secret else written(value)
        yield f"{variable.name}={shown}"
