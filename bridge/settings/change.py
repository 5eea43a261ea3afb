"""What becomes of settings that were read anew while the bridge runs: what takes effect, what waits for a restart.

Asks nothing of the world outside but what `bridge.settings.check` does. Used by `bridge.reload`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import BaseModel

from bridge.settings.check import cautions, contradictions
from bridge.settings.core import Settings
from bridge.settings.loading import Configuration
from bridge.settings.reference import PREFIX, Variable, sink_prefix, value_of, variables

__all__ = ["Decision", "decided"]

_READ_FOR_EACH_CONNECTION = tuple(f"{PREFIX}{section}__" for section in ("HUB", "AUTH", "SINK"))


@dataclass(frozen=True, slots=True)
class Decision:
    """The configuration from now on, the variables that took effect with it, and what waits, by variable.

    `hindrances` say why what could take effect has to wait as well: it does not go with what is in effect. `cautions`
    are what should be known of what took effect.
    """

    configuration: Configuration
    applied: Sequence[str] = ()
    waiting: Mapping[str, object] = field(default_factory=dict)
    hindrances: Sequence[str] = ()
    cautions: Sequence[str] = ()

    @property
    def result(self) -> str:
        """Give the label for `bridge.metrics`."""
        return "applied" if self.applied else "restart_needed" if self.waiting else "unchanged"


def decided(running: Configuration, read: Configuration) -> Decision:
    """Compare what is in effect with what was read, which is valid as a whole.

    Only what is hot takes effect, so what is in effect then was never read as a whole, and has to be judged anew.
    """
    differing = dict(_differing(running, read))
    hot = [variable for variable in differing if variable.hot]
    settings = _with(running.settings, read.settings, hot)
    hindrances = _added(_problems(running.settings), _problems(settings)) if hot else ()
    waiting = {variable.name: value for variable, value in differing.items() if hindrances or not variable.hot}
    if hindrances:
        return Decision(running, (), waiting, hindrances)
    news = _added(cautions(running.settings, running.sinks), cautions(settings, running.sinks))
    names = [variable.name for variable in hot]
    return Decision(replace(running, settings=settings), names, waiting, cautions=news)


def _differing(running: Configuration, read: Configuration) -> Iterator[tuple[Variable, object]]:
    """Yield what was read otherwise, with what was read; but no secret that whoever uses it reads again by itself."""
    pairs = [_pairs(variables(Settings), running.settings, read.settings)]
    for name, (plugin, config) in running.sinks.items():
        if name in read.sinks:
            pairs.append(_pairs(variables(plugin.config, sink_prefix(name)), config, read.sinks[name][1]))
    for variable, before, now in (pair for found in pairs for pair in found):
        renewed = variable.name in running.secret_files and variable.name.startswith(_READ_FOR_EACH_CONNECTION)
        if before != now and not renewed:
            yield variable, now


def _pairs(found: Iterable[Variable], running: BaseModel, read: BaseModel) -> Iterator[tuple[Variable, object, object]]:
    return ((variable, value_of(running, variable), value_of(read, variable)) for variable in found)


def _with(settings: Settings, read: Settings, hot: Iterable[Variable]) -> Settings:
    for section, name in (variable.path for variable in hot):
        part = getattr(settings, section).model_copy(update={name: getattr(getattr(read, section), name)})
        settings = settings.model_copy(update={section: part})
    return settings


def _problems(settings: Settings) -> Iterator[str]:
    given = {
        f"{section}__{name}".upper(): value
        for section, part in settings
        if isinstance(part, BaseModel)
        for name, value in part
    }
    return contradictions(given)


def _added(before: Iterable[str], now: Iterable[str]) -> Sequence[str]:
    known = frozenset(before)
    return [line for line in now if line not in known]
